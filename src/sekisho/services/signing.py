"""DKIM signatures with the keys of a domain of ours, for what submission sends and for notices (RFC 6376
§5)."""

import asyncio
from functools import lru_cache
from typing import Protocol

from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningBody, SigningRefused
from sekisho.core.message.header import HeaderSection
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.keys import DkimKey

_PIECE_OCTETS = 65_536


class Readable(Protocol):
    async def read(self, offset: int, length: int) -> bytes: ...


class SigningKeys(Protocol):
    async def dkim_keys(self, domain: str) -> list[DkimKey]: ...


class Signing(Protocol):
    async def has_key(self, domain: str) -> bool:
        """Can mail of this domain be signed now?"""
        ...

    async def sign(self, domain: str, header: HeaderSection, content: Readable, message_id: str) -> bytes:
        """Whole DKIM-Signature fields with CRLF, to go on top; b"" where nothing can be signed. `header`
        indexes the head of `content`."""
        ...


class NoSigning:
    async def has_key(self, domain: str) -> bool:
        return False

    async def sign(self, domain: str, header: HeaderSection, content: Readable, message_id: str) -> bytes:
        return b""


NO_SIGNING = NoSigning()


class KeySigning:
    """Implements `Signing`: one signature per active key of the domain."""

    def __init__(self, keys: SigningKeys, clock: Clock, journal: Journal) -> None:
        self._keys = keys
        self._clock = clock
        self._journal = journal

    async def has_key(self, domain: str) -> bool:
        return bool(await self._active(domain))

    async def _active(self, domain: str) -> list[DkimKey]:
        return [key for key in await self._keys.dkim_keys(domain) if key.state == "active"]

    async def sign(self, domain: str, header: HeaderSection, content: Readable, message_id: str) -> bytes:
        active = await self._active(domain)
        if not active:
            return b""
        body_hash = await _hash_body(content, header.body)
        now_seconds = self._clock.now_us() // 1_000_000
        try:
            # RSA first: whoever reads only one signature can read that one (RFC 8463 §5).
            signers = sorted(map(_signer, active), key=lambda signer: signer.algorithm, reverse=True)
            return b"".join(signer.sign(header, body_hash, now_seconds) for signer in signers)
        except SigningRefused as refused:
            self._journal.record(
                Entry("submission.not_signed", message_id, {"domain": domain, "because": str(refused)})
            )
            return b""


@lru_cache(maxsize=256)
def _signer(key: DkimKey) -> DkimSigner:
    """Parsing a key costs as much as signing with it."""
    return DkimSigner.from_pem(key.domain, key.selector, key.private_pem)


async def _hash_body(content: Readable, offset: int) -> bytes:
    body = SigningBody()
    while octets := await content.read(offset, _PIECE_OCTETS):
        body.feed(octets)
        offset += len(octets)
        await asyncio.sleep(0)  # a large message lets the others have their turn
    return body.finish()
