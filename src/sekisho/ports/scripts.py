"""The Sieve scripts of accounts, and what they remember of messages."""

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct


class ScriptsRefused(Exception):
    """What was asked cannot be done; `text` is a sentence for the owner, whose `{name}` places `values`
    fills. `code`: RFC 5804 §1.3."""

    def __init__(self, text: str, code: str = "", **values: object) -> None:
        super().__init__(text.format(**values) if values else text)
        self.text = text
        self.code = code
        self.values = values


class ScriptLimits(Struct, frozen=True, kw_only=True):
    """Of one account."""

    scripts: int = 32
    octets: int = 1_048_576  # of all of them


class ScriptInfo(Struct, frozen=True):
    name: str
    size_octets: int
    is_active: bool
    changed_at_us: int


class ActiveScripts(Struct, frozen=True):
    """The name of the one that is run, and the octets of all, as it may include them."""

    active: str
    scripts: dict[str, bytes]


class ScriptsToRun(Protocol):
    """What is asked with every message."""

    async def active(self, account_id: int) -> ActiveScripts | None:
        """None where none is active: mostly, and then it costs an indexed row."""
        ...


class Scripts(ScriptsToRun, Protocol):
    """Names are Unicode, compared as they are (RFC 5804 §1.6). At most one script of an account is active.
    Writes are durable."""

    async def listing(self, account_id: int) -> list[ScriptInfo]:
        """By name."""
        ...

    async def script(self, account_id: int, name: str) -> bytes | None: ...

    async def put(self, account_id: int, name: str, octets: bytes, limits: ScriptLimits) -> None:
        """Add or replace; raises ScriptsRefused beyond the limits or without the account."""
        ...

    async def activate(self, account_id: int, name: str) -> None:
        """ "": none from now on. Raises ScriptsRefused where there is no such script."""
        ...

    async def rename(self, account_id: int, name: str, new_name: str) -> None:
        """An active one stays active. Raises ScriptsRefused where there is none, or the new name is taken."""
        ...

    async def remove(self, account_id: int, name: str) -> None:
        """Raises ScriptsRefused for an active one (RFC 5804 §2.10), and where there is none."""
        ...


class Remembered(Protocol):
    """Keys that scripts remember for a while: who was answered, what was seen. May be lost by a crash of the
    machine."""

    async def known(self, keys: Collection[bytes], now_us: int) -> frozenset[bytes]: ...

    async def remember(self, key: bytes, now_us: int, forget_at_us: int) -> bool:
        """Until then. True if it was not remembered before; one that was stays as it is."""
        ...

    async def renew(self, key: bytes, forget_at_us: int) -> None:
        """Until then, whatever was before."""
        ...
