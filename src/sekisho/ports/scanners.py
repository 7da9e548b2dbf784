"""Asking programs beside us about a message. None of them may fail a message: what they cannot say is a `problem` in the finding."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from sekisho.core.policy.content import ClamavFinding, RspamdFinding

Read = Callable[[int, int], Awaitable[bytes]]  # (offset, length) → octets, fewer only at the end


class Circumstances(Struct, frozen=True):
    """What a scanner may want to know beside the octets. `client_name`: verified reverse name or "" """

    message_id: str
    client: str
    client_name: str
    hello: str
    reverse_path: str
    recipients: tuple[str, ...]


class SpamScanner(Protocol):
    async def scan(self, read: Read, size_octets: int, circumstances: Circumstances) -> RspamdFinding: ...


class VirusScanner(Protocol):
    async def scan(self, read: Read, size_octets: int) -> ClamavFinding: ...
