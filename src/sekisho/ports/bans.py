"""Networks that may not log in for a while: each with its reason and its end, for an operator to see and to
lift."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from msgspec import Struct

# Guesses from one network; names from it that nobody has; guesses at one account from it; guesses from all
# around it; an operator.
BanReason = Literal["guesses", "unknown-names", "account", "wide", "operator"]
ANYBODY = ""  # the account of a ban that is not about one


class Ban(Struct, frozen=True, kw_only=True):
    """`network` is canonical CIDR. `account`: the login name that it is about, ANYBODY for all. `failures`:
    what it was counted up to.

    `times`: the how manieth it is within a week. `until_us` 0: until it is lifted. `by`: "limiter" or the
    operator ("uid:0").
    """

    network: str
    account: str
    reason: BanReason
    since_us: int
    until_us: int
    failures: int = 0
    times: int = 1
    by: str = "limiter"
    note: str = ""

    def is_on(self, now_us: int) -> bool:
        return not 0 < self.until_us <= now_us


class Bans(Protocol):
    """One ban for each network and account. Raises StoreUnavailable."""

    async def banning(self, client: IPv4Network | IPv6Network, account: str) -> list[Ban]:
        """Bans that are on and meet this client (a /32 or /128): of networks around it, for anybody or this
        account (< 200 µs)."""
        ...

    async def put(self, ban: Ban) -> None:
        """In place of what there was for the same network and account; what is over is forgotten."""
        ...

    async def listing(self) -> list[Ban]:
        """Those that are on, the newest first."""
        ...

    async def lift(self, bans: Sequence[Ban]) -> None:
        """What is not there any more is lifted already."""
        ...
