"""The mail that carries a TLS report of ours (RFC 8460 §5.3)."""

import base64
from dataclasses import dataclass

from sekisho.core.message.date import format_date
from sekisho.core.terms.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReportMail:
    """`packed`: the JSON, as gzip. `id` is also the local part of Message-ID. Seconds since 1970."""

    id: str
    to: Address
    sender: Address
    policy_domain: str
    report_id: str
    begins_s: int
    ends_s: int
    packed: bytes
    date_us: int


def compose_tls_mail(mail: TlsReportMail) -> bytes:
    """The whole message. It asks to be delivered whatever TLS it meets: the report may be about
    just that (RFC 8460 §5.3, RFC 8689 §5)."""
    submitter, boundary = mail.sender.domain, f"=_{mail.id}"
    # RFC 8460 §5.1: sender "!" policy-domain "!" begin "!" end "!" unique-id "." extension.
    name = f"{submitter}!{mail.policy_domain}!{mail.begins_s}!{mail.ends_s}!{mail.report_id}.json.gz"
    lines = [
        f"From: <{mail.sender}>",
        f"To: <{mail.to}>",
        f"Subject: Report Domain: {mail.policy_domain}\r\n Submitter: {submitter}",
        f" Report-ID: <{mail.report_id}@{submitter}>",
        f"TLS-Report-Domain: {mail.policy_domain}",
        f"TLS-Report-Submitter: {submitter}",
        "TLS-Required: No",
        f"Date: {format_date(mail.date_us)}",
        f"Message-ID: <{mail.id}@{submitter}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a TLS report of {submitter} about mail to {mail.policy_domain}",
        f"in the day of {format_date(mail.begins_s * 1_000_000)}.",
        "",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{name}"',
        "",
    ]
    armoured = base64.encodebytes(mail.packed).replace(b"\n", b"\r\n")
    return "\r\n".join(lines).encode() + b"\r\n" + armoured + f"--{boundary}--\r\n".encode()
