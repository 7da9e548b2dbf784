"""What others reported about our domains: who sends in their name, and over what TLS their mail came here."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from sekisho.admin.check.finding import sentence
from sekisho.admin.context import Context, parse_domain_name
from sekisho.core.reports.aggregate import AggregateReport, AggregateRow
from sekisho.core.reports.tls import TlsPolicySeen, TlsReport
from sekisho.ports.reports import KeptReport, ReportBook, ReportKind
from sekisho.services.reports.complaints import KnownComplaint

DAY_US = 86_400_000_000
MOST_REPORTS = 20_000


class AskReports(Struct, frozen=True, forbid_unknown_fields=True):
    """`domain`: "" for all of ours; `unproven`: also those whose sender nothing proves."""

    domain: str = ""
    days: int = 30
    unproven: bool = False


class SenderSeen(Struct, frozen=True, kw_only=True):
    """One host that sent in the name of a domain. `advice`: a sentence, "" where all is well;
    `through`: the domains that its mail was signed by or came from."""

    domain: str
    source_ip: str
    messages: int
    passed: int
    failed: int
    refused: int
    quarantined: int
    since_s: int
    until_s: int
    through: list[str]
    reporters: list[str]
    advice: str


class TlsSeen(Struct, frozen=True, kw_only=True):
    """Sessions under one policy of a domain; `failures`: by kind (RFC 8460 §4.3)."""

    domain: str
    policy_type: str
    successes: int
    failed: int
    failures: dict[str, int]
    hosts: list[str]
    since_s: int
    until_s: int
    reporters: list[str]
    advice: str


class ComplaintSeen(Struct, frozen=True, kw_only=True):
    """One account that somebody complained about, or "" for mail that nobody can tell whose it was."""

    account: str
    complaints: int
    reporters: list[str]
    last_us: int
    message_ids: list[str]


# For people; `faces` translates them.
AUTHORIZE = sentence("If you use this service, let it sign with your domain, or name it in SPF.")
FORGED = sentence("Unless it is yours, somebody uses your name: p=quarantine or p=reject keeps it out.")
PARTLY = sentence("Some of its mail passes and some does not: look at what it does not sign.")
_TLS_ADVICE = {
    "starttls-not-supported": sentence(
        "Mail came without TLS: see whether STARTTLS is offered to everybody, and that "
        "nothing on the way takes it out."
    ),
    "certificate-host-mismatch": sentence(
        "The certificate does not name the mail host: have one made for it."
    ),
    "certificate-expired": sentence("The certificate had expired: see that it is renewed."),
    "certificate-not-trusted": sentence(
        "The certificate is not from an authority that others trust, or its chain is not complete."
    ),
    "tlsa-invalid": sentence(
        "The TLSA records do not fit the certificate: publish those of the present key."
    ),
    "dnssec-invalid": sentence("DNSSEC of the domain does not validate: have the zone signed anew."),
    "dane-required": sentence("DANE was required and there are no TLSA records."),
    "sts-policy-fetch-error": sentence(
        "The MTA-STS policy could not be fetched: see that the web server of mta-sts.DOMAIN answers."
    ),
    "sts-policy-invalid": sentence("The MTA-STS policy is malformed."),
    "sts-webpki-invalid": sentence("The certificate of the web server of mta-sts.DOMAIN is not valid."),
    "validation-failure": sentence("The certificate could not be validated."),
}


async def dmarc_reports(context: Context, request: AskReports) -> list[SenderSeen]:
    """What fails first, then the most mail."""
    found: dict[tuple[str, str], list[tuple[KeptReport, AggregateReport, AggregateRow]]] = {}
    for kept in await _kept(context, "dmarc", request):
        said = msgspec.json.decode(kept.body, type=AggregateReport)
        for row in said.rows:
            found.setdefault((row.header_from or kept.domain, row.source_ip), []).append((kept, said, row))
    seen = [_sender(domain, source_ip, rows) for (domain, source_ip), rows in found.items()]
    return sorted(seen, key=lambda one: (not one.failed, one.domain, -one.messages, one.source_ip))


async def tls_reports(context: Context, request: AskReports) -> list[TlsSeen]:
    """What fails first."""
    found: dict[tuple[str, str], list[tuple[KeptReport, TlsReport, TlsPolicySeen]]] = {}
    for kept in await _kept(context, "tls", request):
        said = msgspec.json.decode(kept.body, type=TlsReport)
        for policy in said.policies:
            found.setdefault((policy.domain, policy.policy_type), []).append((kept, said, policy))
    seen = [_tls(domain, kind, policies) for (domain, kind), policies in found.items()]
    return sorted(seen, key=lambda one: (not one.failed, one.domain, one.policy_type))


async def complaints(context: Context, request: AskReports) -> list[ComplaintSeen]:
    """The most first."""
    found: dict[str, list[tuple[KeptReport, KnownComplaint]]] = {}
    for kept in await _kept(context, "complaint", request):
        known = msgspec.json.decode(kept.body, type=KnownComplaint)
        found.setdefault(known.account, []).append((kept, known))
    seen = [
        ComplaintSeen(
            account=account,
            complaints=len(known),
            reporters=_names(kept.reporter for kept, _ in known),
            last_us=max(kept.received_us for kept, _ in known),
            message_ids=[one.header_message_id for _, one in known if one.header_message_id][:10],
        )
        for account, known in found.items()
    ]
    return sorted(seen, key=lambda one: (-one.complaints, one.account))


async def _kept(context: Context, kind: ReportKind, request: AskReports) -> list[KeptReport]:
    book: ReportBook = context.reporting
    domain = parse_domain_name(request.domain) if request.domain else ""
    since_us = context.clock.now_us() - max(1, request.days) * DAY_US
    return [
        kept
        for kept in await book.kept(kind, since_us=since_us, limit=MOST_REPORTS)
        if (not domain or kept.domain == domain) and (kept.proven or request.unproven)
    ]


def _sender(
    domain: str, source_ip: str, found: Sequence[tuple[KeptReport, AggregateReport, AggregateRow]]
) -> SenderSeen:
    rows = [row for _, _, row in found]
    passed, failed = (sum(row.count for row in rows if row.passes is wanted) for wanted in (True, False))
    through = Counter[str]()
    for row in rows:
        through.update({one.domain: row.count for one in row.signatures if one.result == "pass"})
        if row.spf_result == "pass" and row.spf_domain:
            through[row.spf_domain] += row.count
    others = [name for name, _ in through.most_common(5)]
    return SenderSeen(
        domain=domain,
        source_ip=source_ip,
        messages=passed + failed,
        passed=passed,
        failed=failed,
        refused=sum(row.count for row in rows if row.disposition == "reject"),
        quarantined=sum(row.count for row in rows if row.disposition == "quarantine"),
        since_s=min(said.begins_s for _, said, _ in found),
        until_s=max(said.ends_s for _, said, _ in found),
        through=others,
        reporters=_names(said.organization for _, said, _ in found),
        advice="" if not failed else PARTLY if passed else AUTHORIZE if others else FORGED,
    )


def _tls(domain: str, kind: str, found: Sequence[tuple[KeptReport, TlsReport, TlsPolicySeen]]) -> TlsSeen:
    failures = Counter[str]()
    for _, _, policy in found:
        for detail in policy.details:
            failures[detail.result_type] += detail.count
    hosts = (detail.receiving_mx_hostname for _, _, policy in found for detail in policy.details)
    worst = next((name for name, _ in failures.most_common() if name in _TLS_ADVICE), "")
    return TlsSeen(
        domain=domain,
        policy_type=kind,
        successes=sum(policy.successes for _, _, policy in found),
        failed=sum(policy.failures for _, _, policy in found),
        failures=dict(failures.most_common(20)),
        hosts=_names(host for host in hosts if host),
        since_s=min(said.begins_s for _, said, _ in found),
        until_s=max(said.ends_s for _, said, _ in found),
        reporters=_names(said.organization for _, said, _ in found),
        advice=_TLS_ADVICE.get(worst, ""),
    )


def _names(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))[:20]
