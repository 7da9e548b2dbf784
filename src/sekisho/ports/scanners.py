"""Asking programs beside us about a message. None of them may fail a message: what they cannot say is a
`problem` in the finding."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from msgspec import Struct

from sekisho.core.policy.content import ClamavFinding, RspamdFinding

Read = Callable[[int, int], Awaitable[bytes]]  # (offset, length) → octets, fewer only at the end


class ScannerPlace(NamedTuple):
    """A Unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def parse_place(text: str) -> ScannerPlace:
    """`/run/clamav/clamd.ctl`, `127.0.0.1:3310`, `[::1]:3310`; raises ValueError."""
    if text.startswith("/"):
        return ScannerPlace(text)
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is neither the path of a socket nor host:port")
    return ScannerPlace("", host, int(port))


class Circumstances(Struct, frozen=True, kw_only=True):
    """What a scanner may want to know beside the octets. `client_name`: verified reverse name or ""; `user`:
    who logged in to send it, "" for mail of strangers."""

    message_id: str
    client: str
    client_name: str
    hello: str
    reverse_path: str
    recipients: tuple[str, ...]
    user: str = ""


class SpamScanner(Protocol):
    async def scan(self, read: Read, size_octets: int, circumstances: Circumstances) -> RspamdFinding: ...


class VirusScanner(Protocol):
    async def scan(self, read: Read, size_octets: int) -> ClamavFinding: ...
