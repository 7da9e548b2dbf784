"""Octets of messages: written once, shared, read in ranges (DESIGN §4 Message)."""

from typing import Protocol


class StoreUnavailable(Exception):
    """The store cannot take or give this now (disk full, read-only, lock, I/O error): the peer gets a 4xx."""


class ContentWriter(Protocol):
    """One incoming content. Nothing is durable until the store's accept or append returned."""

    @property
    def size_octets(self) -> int: ...

    def write(self, octets: bytes) -> None:
        """Append. Above 16 KB the octets go to a file, so at most 64 KB are held; raises StoreUnavailable."""
        ...

    def head(self, limit_octets: int) -> bytes:
        """The first octets, as far as they were written (at most 1 MB are kept readable cheaply: the header
        section)."""
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Any range of what was written, for probes and Sieve before acceptance."""
        ...

    def discard(self) -> None:
        """Forget it. Harmless after acceptance, and more than once."""
        ...


class MessageOctets(Protocol):
    """prefix‖content of one stored message: what SIZE, BODY[], RETR and relay see."""

    size_octets: int

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` octets at `offset`, fewer only at the end; raises StoreUnavailable."""
        ...
