"""Feedback about one message: complaints (ARF, RFC 5965) and DMARC failure reports (RFC 9991, RFC 6591)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from sekisho.core.message.header import HeaderSection
from sekisho.core.reports.refusal import ReportRefused, tame

MAX_OCTETS = 65_536  # of a part are looked at
MAX_FIELDS = 200
MAX_RECEIVED = 50

# RFC 5965 §3.1: these must be there once, whatever the type.
_ONCE = (b"feedback-type", b"user-agent", b"version")
_TYPE = re.compile(r"[a-z0-9][a-z0-9-]{0,40}\Z")
_RECEIVED_ID = re.compile(rb"\bby[ \t]+([^\s;()]{1,255})[^;]{0,500}?\bid[ \t]+([A-Za-z0-9._-]{6,80})")
_ADDRESS = re.compile(r"<?([^\s<>]{1,320}@[^\s<>]{1,255})>?\Z")
# The one failure report without a part for machines that is often met: it tells people in lines of their own.
_IN_WORDS = re.compile(
    rb"^[ \t]*(Sender Domain|Sender IP Address|Received date)[ \t]*:[ \t]*([^\r\n]{1,500})", re.M
)
_COPY = re.compile(rb"^-{3,}[^\r\n]{0,200}copy of the headers[^\r\n]{0,200}\r?\n(?:\r?\n)?", re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The message that is reported, as far as it came along. `hops`: (host, id) of its Received fields."""

    message_id: str = ""
    author: str = ""
    hops: tuple[tuple[str, str], ...] = ()
    signing_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """`kind`: abuse, auth-failure, fraud, not-spam, virus, opt-out, other or what else somebody registers."""

    kind: str
    user_agent: str
    source_ip: str = ""
    reported_domain: str = ""
    mail_from: str = ""
    recipients: tuple[str, ...] = ()
    auth_failure: str = ""
    delivery_result: str = ""
    identity_alignment: str = ""
    incidents: int = 1
    original: Original = Original()


def read_feedback(octets: bytes, original: bytes) -> Feedback:
    """`octets`: the message/feedback-report, decoded; `original`: the beginning of the message reported.

    Raises ReportRefused.
    """
    fields = _fields(octets)
    for name in _ONCE:
        if len(fields.get(name, ())) != 1 and (name == b"feedback-type" or len(fields.get(name, ())) > 1):
            raise ReportRefused(f"{name.decode()} is not there once")
    kind = tame(_first(fields, b"feedback-type"), 60).lower()
    if not _TYPE.match(kind):
        raise ReportRefused("its feedback type is none")
    incidents = _first(fields, b"incidents")
    return Feedback(
        kind=kind,
        user_agent=tame(_first(fields, b"user-agent")),
        source_ip=_ip(_first(fields, b"source-ip")),
        reported_domain=tame(_first(fields, b"reported-domain")).lower(),
        mail_from=_address(_first(fields, b"original-mail-from")),
        recipients=tuple(_address(one) for one in fields.get(b"original-rcpt-to", ())[:20]),
        auth_failure=tame(_first(fields, b"auth-failure"), 60).lower(),
        delivery_result=tame(_first(fields, b"delivery-result"), 60).lower(),
        identity_alignment=tame(_first(fields, b"identity-alignment"), 60).lower(),
        incidents=int(incidents)
        if incidents.isascii() and incidents.isdecimal() and len(incidents) < 7
        else 1,
        original=read_original(original),
    )


def read_failure_in_words(text: bytes) -> Feedback:
    """A failure report that has only a text for people (Exim writes it so). Raises ReportRefused."""
    said = {match[1]: match[2].decode("utf-8", "replace") for match in _IN_WORDS.finditer(text[:MAX_OCTETS])}
    domain = tame(said.get(b"Sender Domain", "")).lower()
    source_ip = _ip(said.get(b"Sender IP Address", ""))
    if not domain or not source_ip:
        raise ReportRefused("it says neither for machines nor in known words what failed")
    copy = _COPY.search(text)
    return Feedback(
        kind="auth-failure",
        user_agent="",
        source_ip=source_ip,
        reported_domain=domain,
        auth_failure="dmarc",
        original=read_original(text[copy.end() :]) if copy else Original(),
    )


def read_original(octets: bytes) -> Original:
    """What finds a message again, from the beginning of a copy of it."""
    header = HeaderSection(octets[:MAX_OCTETS], MAX_FIELDS)
    hops = [_RECEIVED_ID.search(value) for value in list(header.values(b"received"))[:MAX_RECEIVED]]
    signatures = [_signing_domain(value) for value in list(header.values(b"dkim-signature"))[:20]]
    return Original(
        message_id=tame((header.first(b"message-id") or b"").decode("utf-8", "replace").strip("<> "), 998),
        author=tame((header.first(b"from") or b"").decode("utf-8", "replace")),
        hops=tuple((hop[1].decode("ascii", "replace").lower(), hop[2].decode()) for hop in hops if hop),
        signing_domains=tuple(domain for domain in signatures if domain),
    )


def _fields(octets: bytes) -> Mapping[bytes, Sequence[str]]:
    header = HeaderSection(octets[:MAX_OCTETS].lstrip(b"\r\n") + b"\r\n", MAX_FIELDS)
    return {
        name: [header.value(field).decode("utf-8", "replace") for field in fields]
        for name, fields in header.by_name.items()
    }


def _first(fields: Mapping[bytes, Sequence[str]], name: bytes) -> str:
    values = fields.get(name)
    return values[0].strip() if values else ""


def _signing_domain(value: bytes) -> str:
    found = re.search(rb"(?:^|;)[ \t]*d[ \t]*=[ \t]*([A-Za-z0-9._-]{1,253})", value[:4096])
    return found[1].decode().lower() if found else ""


def _address(text: str) -> str:
    found = _ADDRESS.match(text.strip())
    return tame(found[1], 320) if found else ""


def _ip(text: str) -> str:
    try:
        return str(ip_address(text.strip().strip("[]").removeprefix("IPv6:")))
    except ValueError:
        return ""
