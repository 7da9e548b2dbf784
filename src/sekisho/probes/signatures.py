"""DKIM and ARC: one pass over the body for both (RFC 6376 §6, RFC 8617 §5.2)."""

import asyncio
import re

from sekisho.core.mailauth.arc.verify import ArcEvidence, ArcVerifier
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dkim.verify import DkimVerifier
from sekisho.core.message.header import HeaderSection
from sekisho.probes.context import ProbeContext

_PIECE_OCTETS = 65_536
_LIST_ID = re.compile(rb"<([^<> \t]{1,255})>[ \t]*\Z")  # RFC 2919 §3
_NO_CHAIN = ArcEvidence("none")


async def probe_signatures(context: ProbeContext, author_domain: str) -> tuple[tuple[DkimEvidence, ...], ArcEvidence]:
    """The body is read in pieces, and only if a signature could still pass. `author_domain`: whose signatures go first."""
    header, now_seconds = context.header, context.now_us // 1_000_000
    dkim = DkimVerifier(header, now_seconds, author_domain=author_domain) if header.count(b"dkim-signature") else None
    arc = ArcVerifier(header, now_seconds) if _has_chain(header) else None
    readers = [verifier for verifier in (dkim, arc) if verifier is not None and verifier.wants_body]
    if readers:
        await _feed(context, readers)
    return await dkim.finish(context.resolver) if dkim else (), await arc.finish(context.resolver) if arc else _NO_CHAIN


def _has_chain(header: HeaderSection) -> bool:
    return any(map(header.count, (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")))


async def _feed(context: ProbeContext, readers: list[DkimVerifier | ArcVerifier]) -> None:
    offset = context.body_offset
    while octets := await context.content.read(offset, _PIECE_OCTETS):
        for reader in readers:
            reader.feed(octets)
        offset += len(octets)
        await asyncio.sleep(0)  # a large message lets the others have their turn


def list_id(header: HeaderSection) -> str:
    """The list that the message says it comes through (RFC 2919 §3), lower-case; "" if it names none, or several."""
    if header.count(b"list-id") != 1:
        return ""
    found = _LIST_ID.search(header.first(b"list-id") or b"")
    return found[1].decode("ascii", "replace").lower() if found else ""
