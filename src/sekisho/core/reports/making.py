"""Making DMARC aggregate reports as RFC 9990 has them: the XML, the mail around it, and when it is due."""

import base64
import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote
from xml.sax.saxutils import escape

from sekisho.core.message.date import format_date
from sekisho.core.reports.aggregate import AggregateReport, AggregateRow, PublishedPolicy
from sekisho.core.terms.address import Address, AddressError

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"  # RFC 9990 appendix A
DAY_SECONDS = 86_400
FIRST_DUE_SECONDS = 3_600  # behind the end of the day: what arrived late is there
SPREAD_SECONDS = 20 * 3_600

_DKIM_RESULTS = ("none", "pass", "fail", "policy", "neutral", "temperror", "permerror")
_SPF_RESULTS = ("none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror")
_REASONS = ("local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder")
_SAFE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMail:
    """A report on its way to one address. `id` is also the local part of Message-ID."""

    id: str
    to: Address
    sender: Address
    report: AggregateReport
    xml: bytes
    date_us: int


def due_s(day: int, domain: str, hostname: str) -> int:
    """When the report about a day is sent: spread over the next by a number of its own, the same whenever it
    is asked for, so that not all come at midnight."""
    digest = hashlib.sha256(f"{hostname} {domain} {day}".encode()).digest()
    spread = int.from_bytes(digest[:4], "big") % SPREAD_SECONDS
    return (day + 1) * DAY_SECONDS + FIRST_DUE_SECONDS + spread


def read_destination(uri: str) -> Address | None:
    """The address of a mailto: URI; None for what is none (RFC 9989 §4.7)."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto" or not rest.isascii():
        return None
    try:
        address = Address.from_text(unquote(rest.partition("?")[0]))
    except AddressError:
        return None
    return None if address.is_literal or not address.domain else address


def format_report(report: AggregateReport) -> bytes:
    """The XML. Of what the rows say only what the schema has goes in."""
    policy, period = report.policy, (("begin", str(report.begins_s)), ("end", str(report.ends_s)))
    metadata = [
        _element("org_name", report.organization),
        _element("email", report.contact),
        _element("report_id", report.report_id),
        f"<date_range>{''.join(_element(name, value) for name, value in period)}</date_range>",
        *(_element("error", error) for error in report.errors[:1]),
        *([_element("generator", report.generator)] if report.generator else []),
    ]
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<feedback xmlns="{NAMESPACE}">\n<version>1.0</version>\n',
        f"<report_metadata>{''.join(metadata)}</report_metadata>\n",
        f"<policy_published>{_policy(policy)}</policy_published>\n",
        *(f"<record>{_record(row)}</record>\n" for row in report.rows),
        "</feedback>\n",
    ]
    return "".join(parts).encode()


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(_SAFE.sub('?', text))}</{name}>"


def _policy(policy: PublishedPolicy) -> str:
    said = [("domain", policy.domain), ("p", policy.p), ("sp", policy.sp), ("np", policy.np)]
    said += [("adkim", policy.adkim), ("aspf", policy.aspf), ("discovery_method", policy.discovery_method)]
    said += [("fo", policy.fo), ("testing", policy.testing)]
    return "".join(_element(name, value) for name, value in said if value)


def _record(row: AggregateRow) -> str:
    reasons = [reason.partition(": ") for reason in row.reasons]
    evaluated = [
        _element("disposition", row.disposition),
        _element("dkim", row.dkim),
        _element("spf", row.spf),
        *(
            f"<reason>{_element('type', kind)}{_element('comment', comment) if comment else ''}</reason>"
            for kind, _, comment in reasons
            if kind in _REASONS
        ),
    ]
    counted = _element("source_ip", row.source_ip) + _element("count", str(row.count))
    names = _element("header_from", row.header_from) + _element("envelope_from", row.envelope_from)
    names += _element("envelope_to", row.envelope_to) if row.envelope_to else ""
    return (
        f"<row>{counted}<policy_evaluated>{''.join(evaluated)}</policy_evaluated></row>"
        f"<identifiers>{names}</identifiers><auth_results>{_results(row)}</auth_results>"
    )


def _results(row: AggregateRow) -> str:
    dkim = "".join(
        f"<dkim>{_element('domain', one.domain)}{_element('selector', one.selector)}"
        f"{_element('result', one.result)}</dkim>"
        for one in row.signatures
        if one.result in _DKIM_RESULTS
    )
    if row.spf_result not in _SPF_RESULTS or not row.spf_domain:
        return dkim
    spf = _element("domain", row.spf_domain) + _element("scope", "mfrom") + _element("result", row.spf_result)
    return f"{dkim}<spf>{spf}</spf>"


def fit(report: AggregateReport, most_octets: int) -> tuple[AggregateReport, bytes] | None:
    """The report and its XML, packed no larger than `most_octets`: what is rare is left out, and the report
    says so. None: not even one row fits."""
    rows: Sequence[AggregateRow] = sorted(report.rows, key=lambda row: -row.count)
    whole = len(rows)
    while rows:
        said = report if len(rows) == whole else _shortened(report, rows)
        packed = gzip.compress(format_report(said), mtime=0)
        if len(packed) <= most_octets:
            return said, packed
        rows = rows[: min(len(rows) - 1, len(rows) * most_octets // len(packed))]
    return None


def _shortened(report: AggregateReport, rows: Sequence[AggregateRow]) -> AggregateReport:
    return AggregateReport(
        organization=report.organization,
        contact=report.contact,
        report_id=report.report_id,
        begins_s=report.begins_s,
        ends_s=report.ends_s,
        policy=report.policy,
        rows=tuple(rows),
        generator=report.generator,
        errors=(f"{len(report.rows) - len(rows)} records were left out: the report would be too large",),
    )


def compose_mail(mail: ReportMail) -> bytes:
    """The whole message (RFC 9990 §3.5). `mail.xml` is packed already."""
    report, boundary = mail.report, f"=_{mail.id}"
    submitter = mail.sender.domain
    # RFC 9990 §3.5.2.1: receiver "!" policy-domain "!" begin "!" end "!" unique-id ".xml.gz".
    name = f"{submitter}!{report.policy.domain}!{report.begins_s}!{report.ends_s}!{report.report_id}.xml.gz"
    text = (
        f"This is a DMARC aggregate report of {submitter} about mail from {report.policy.domain}\r\n"
        f"in the day of {format_date(report.begins_s * 1_000_000)}: {report.messages} messages.\r\n"
    )
    lines = [
        f"From: <{mail.sender}>",
        f"To: <{mail.to}>",
        # RFC 9990 §3.5.2.1.
        f"Subject: Report Domain: {report.policy.domain}\r\n Submitter: {submitter}",
        f" Report-ID: <{report.report_id}>",
        f"Date: {format_date(mail.date_us)}",
        f"Message-ID: <{mail.id}@{submitter}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        text,
        f"--{boundary}",
        f'Content-Type: application/gzip; name="{name}"',
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{name}"',
        "",
    ]
    armoured = base64.encodebytes(mail.xml).replace(b"\n", b"\r\n")
    return "\r\n".join(lines).encode() + b"\r\n" + armoured + f"--{boundary}--\r\n".encode()
