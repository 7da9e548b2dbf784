"""The query side of the journal: what was written down about an id, an address, a message-id or a client."""

import unicodedata
from ipaddress import IPv6Network
from typing import Protocol

from msgspec import Struct

from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.stream import IpAddress


class LedgerEntry(Struct, frozen=True, array_like=True, kw_only=True):
    """One journal entry as it was kept. `about`: what it is found by besides its id."""

    at_us: int
    kind: str
    id: str
    fields: dict[str, JournalValue]
    about: tuple[str, ...] = ()


class LedgerSpan(Struct, frozen=True):
    """How far the ledger reaches. `oldest_at_us` 0: it is empty."""

    entries: int
    oldest_at_us: int
    octets: int


class Recorder(Protocol):
    """Where the journal leaves what is to be kept."""

    def keep(self, at_us: int, entry: Entry) -> None:
        """Never blocks, never raises; what cannot be kept is counted and told in the log."""
        ...


class Ledger(Protocol):
    """Raises StoreUnavailable. What the last moment brought may be missing until `settle` returns."""

    async def find(self, key: str, *, since_us: int = 0, limit: int = 200) -> list[LedgerEntry]:
        """Entries with this id, or about this address, message-id, client or domain; newest first."""
        ...

    async def span(self) -> LedgerSpan: ...

    async def settle(self) -> None:
        """Wait until everything recorded before this call, here or by a sibling, can be found."""
        ...


def normal_key(text: str) -> str:
    """What keys are compared by: without angle brackets and case, in one Unicode form."""
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def history_key(address: str) -> str:
    """What the good logins of an account are found by, apart from its mail. `address` is canonical."""
    return f"logins:{address}"


def client_keys(client: IpAddress) -> tuple[str, str]:
    """What a client is found by: its address, and the /24 or /64 that it is in."""
    if client.version == 4:
        octets = client.packed
        return str(client), f"{octets[0]}.{octets[1]}.{octets[2]}.0/24"
    return str(client), str(IPv6Network((client, 64), strict=False))


def is_about(entry: LedgerEntry, key: str) -> bool:
    """Does the entry have this key, which is normal?"""
    return normal_key(entry.id) == key or any(normal_key(about) == key for about in entry.about)
