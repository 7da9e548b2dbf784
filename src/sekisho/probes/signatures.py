"""DKIM and ARC: one pass over the body for both (RFC 6376 §6, RFC 8617 §5.2)."""

import asyncio
import re

from sekisho.core.mailauth.arc.verify import ArcEvidence, ArcVerifier
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dkim.verify import DkimVerifier
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.dns import Resolver
from sekisho.probes.arrival import Arrival

_PIECE_OCTETS = 65_536
_LIST_ID = re.compile(rb"<([^<> \t]{1,255})>[ \t]*\Z")  # RFC 2919 §3
_NO_CHAIN = ArcEvidence(result="none")


Signed = tuple[tuple[DkimEvidence, ...], ArcEvidence]


class SignatureProbe:
    """The body is read once, in pieces, and only if a signature could still pass. `author_domain`: whose
    signatures go first."""

    def __init__(self, arrival: Arrival, author_domain: str) -> None:
        header, now_seconds = arrival.header, arrival.at_us // 1_000_000
        self._dkim = (
            DkimVerifier(header, now_seconds, author_domain=author_domain)
            if header.count(b"dkim-signature")
            else None
        )
        self._arc = ArcVerifier(header, now_seconds) if _has_chain(header) else None
        self._content, self._offset = arrival.content, arrival.body_offset
        self._readers = [
            verifier for verifier in (self._dkim, self._arc) if verifier is not None and verifier.wants_body
        ]

    async def finish(self, resolver: Resolver) -> Signed:
        """What was found; may be asked again with another resolver."""
        readers, self._readers = self._readers, []
        while readers and (octets := await self._content.read(self._offset, _PIECE_OCTETS)):
            for reader in readers:
                reader.feed(octets)
            self._offset += len(octets)
            if len(octets) < _PIECE_OCTETS:
                break
            await asyncio.sleep(0)  # a large message lets the others have their turn
        return await self._dkim.finish(resolver) if self._dkim else (), await self._arc.finish(
            resolver
        ) if self._arc else _NO_CHAIN


def _has_chain(header: HeaderSection) -> bool:
    return any(map(header.count, (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")))


def list_id(header: HeaderSection) -> str:
    """The list that the message says it comes through (RFC 2919 §3), lower-case; "" if it names none, or
    several."""
    if header.count(b"list-id") != 1:
        return ""
    found = _LIST_ID.search(header.first(b"list-id") or b"")
    return found[1].decode("ascii", "replace").lower() if found else ""
