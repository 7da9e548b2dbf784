"""What a receiver would find out about a message: SPF, DKIM, ARC, DMARC, iprev, and the form of its header
section."""

import re
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

from sekisho.admin.check.aligned import judge_dmarc
from sekisho.admin.check.finding import Finding
from sekisho.admin.check.sender import judge_iprev, judge_spf
from sekisho.admin.check.signatures import judge_arc, judge_dkim
from sekisho.admin.context import AdminRefused
from sekisho.core.mailauth.arc.verify import ArcVerifier
from sekisho.core.mailauth.dkim.verify import SINGLETON_FIELDS, DkimVerifier
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import check_iprev
from sekisho.core.mailauth.spf.check import check_message as check_spf
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.message.authentication_results import format_authentication_results
from sekisho.core.message.authorship import Authorship, read_authorship
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.evidence import Evidence
from sekisho.core.terms.address import Address, AddressError
from sekisho.core.terms.dns import Resolver
from sekisho.probes.dmarc import probe_dmarc

_BARE_LINE_END = re.compile(rb"(?<!\r)\n")


class CheckMessage(Struct, frozen=True, kw_only=True):
    """`client`, `hello`: who hands it in, by default by its reverse name; `reverse_path`: of MAIL FROM, None
    for what Return-Path says."""

    octets: bytes
    client: IPv4Address | IPv6Address | None = None
    hello: str | None = None
    reverse_path: str | None = None
    receiver: str = "receiver.invalid"


class MessageReport(Struct, frozen=True):
    """`authentication_results` is the field that a receiver would write."""

    findings: list[Finding]
    authentication_results: str


async def check_message(resolver: Resolver, request: CheckMessage, now_seconds: int) -> MessageReport:
    """Raises Refused for what is no reverse path."""
    octets = with_line_ends(request.octets)
    header = HeaderSection(octets)
    client = request.client
    reverse_path = _reverse_path(request, header)
    authorship = read_authorship(header)
    author_domain = authorship.domains[0] if authorship.domains else ""
    iprev = await check_iprev(resolver, client) if client else None
    hello = request.hello or (iprev.name if iprev else "") or f"[{client}]"
    spf = None
    if client is not None and reverse_path is not None:
        spf = await check_spf(resolver, SpfClient(client, hello, request.receiver, now_seconds), reverse_path)
    dkim_verifier, arc_verifier = (
        DkimVerifier(header, now_seconds, author_domain=author_domain),
        ArcVerifier(header, now_seconds),
    )
    for verifier in (dkim_verifier, arc_verifier):
        if verifier.wants_body:
            verifier.feed(octets[header.body :])
    dkim, arc = await dkim_verifier.finish(resolver), await arc_verifier.finish(resolver)
    passing = [one.domain for one in dkim if one.result == "pass"]
    if authorship.problem:  # which the door refuses, whatever passes
        dmarc = DmarcFinding("permerror", problem=authorship.problem)
    else:
        dmarc = await probe_dmarc(resolver, authorship, spf, passing)
    evidence = Evidence(iprev=iprev, spf=spf, dkim=dkim, arc=arc, dmarc=dmarc)
    results = evidence.method_results(reverse_path or "", hello)
    return MessageReport(
        [
            *_judge_form(header, authorship),
            *judge_iprev(iprev, request.hello or ""),
            *judge_spf(spf, client, reverse_path),
            *judge_dkim(dkim, author_domain),
            *judge_arc(arc),
            judge_dmarc(dmarc, spf, dkim),
        ],
        format_authentication_results(request.receiver, results).decode("utf-8", "replace"),
    )


def with_line_ends(octets: bytes) -> bytes:
    """The message as it travels: a file of this system has bare LF, and maybe the "From " line of a mailbox
    file."""
    if octets.startswith(b"From "):
        octets = octets[octets.find(b"\n") + 1 :]
    return _BARE_LINE_END.sub(b"\r\n", octets)


def _reverse_path(request: CheckMessage, header: HeaderSection) -> str | None:
    """`local@domain`, "" for the null path; None if nobody says."""
    text = request.reverse_path
    if text is None:
        found = header.first(b"return-path")
        if found is None:
            return None
        text = found.decode("utf-8", "replace")
    text = text.strip().removeprefix("<").removesuffix(">")
    try:
        return str(Address.from_text(text)) if text else ""
    except AddressError as error:
        raise AdminRefused(
            "{text} is not an address: {reason}.", text=repr(text), reason=str(error)
        ) from error


def _judge_form(header: HeaderSection, authorship: Authorship) -> list[Finding]:
    """RFC 5322 §3.6: what must be there, and what may be there only once."""
    found: list[Finding] = []
    if not header.is_complete:
        found.append(
            Finding.bad(
                "FORM",
                "No empty line ends the header section.",
                "Give the whole message as it was sent, header section first.",
            )
        )
    for name in ("From", "Date", "Message-ID"):
        if not header.count(name.lower().encode()):
            found.append(
                Finding.bad(
                    "FORM",
                    "There is no {field} field.",
                    "The program that wrote the message must write one.",
                    field=name,
                )
            )
    for octets in SINGLETON_FIELDS:
        if (times := header.count(octets)) > 1:
            found.append(
                Finding.bad(
                    "FORM",
                    "The field {field} is given {count} times; receivers refuse such mail, or read "
                    "another one than was signed.",
                    "The program that wrote the message must write it once.",
                    field=octets.decode(),
                    count=times,
                )
            )
    if header.count(b"from") == 1 and authorship.problem:
        found.append(
            Finding.bad(
                "FORM", "From does not name a readable author.", "Write it as: From: Name <local@domain>"
            )
        )
    return found or [Finding.good("FORM", "The header section has the fields that it must have.")]
