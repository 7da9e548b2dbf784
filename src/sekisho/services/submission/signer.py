"""Signing what leaves with the keys of its author's domain (RFC 6376 §5)."""

import asyncio
from functools import lru_cache

from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningBody, SigningRefused
from sekisho.ports.clock import Clock
from sekisho.ports.content import ContentWriter
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.keys import DkimKey, Keys
from sekisho.services.submission.seams import Submitted

_PIECE_OCTETS = 65_536


class DomainSigner:
    """Implements `seams.Signer`: one signature per active key of the domain of the first author; none where there is no key."""

    def __init__(self, keys: Keys, clock: Clock, journal: Journal) -> None:
        self._keys = keys
        self._clock = clock
        self._journal = journal

    async def sign(self, submitted: Submitted) -> bytes:
        domain = submitted.authors[0].domain
        active = [key for key in await self._keys.dkim_keys(domain) if key.state == "active"]
        if not active:
            return b""
        body_hash = await _hash_body(submitted.content, submitted.header.body)
        now_seconds = self._clock.now_us() // 1_000_000
        try:
            # RSA first: whoever reads only one signature can read that one (RFC 8463 §5).
            signers = sorted(map(_signer, active), key=lambda signer: signer.algorithm, reverse=True)
            return b"".join(signer.sign(submitted.header, body_hash, now_seconds) for signer in signers)
        except SigningRefused as refused:
            self._journal.record(Entry("submission.not_signed", submitted.message_id, {"domain": domain, "because": str(refused)}))
            return b""


@lru_cache(maxsize=256)
def _signer(key: DkimKey) -> DkimSigner:
    """Parsing a key costs as much as signing with it."""
    return DkimSigner.from_pem(key.domain, key.selector, key.private_pem)


async def _hash_body(content: ContentWriter, offset: int) -> bytes:
    body = SigningBody()
    while octets := await content.read(offset, _PIECE_OCTETS):
        body.feed(octets)
        offset += len(octets)
        await asyncio.sleep(0)  # a large message lets the others have their turn
    return body.finish()
