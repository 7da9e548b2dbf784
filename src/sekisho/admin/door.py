"""The door, for people who wait: mail that is expected, senders that were asked to come again."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, parse_address, parse_domain_name
from sekisho.core.policy.greylist import BOUNDS_US
from sekisho.ports.reputation import Expected

MOST_MINUTES = 10_080  # a week
_MINUTE_US = 60_000_000


class Expect(Struct, frozen=True, forbid_unknown_fields=True):
    """`address`: of an account, or an alias of some; `sender`: "", an address, or a domain; `minutes` 0 ends
    the wait."""

    address: str
    minutes: int = 10
    sender: str = ""


class Expecting(Struct, frozen=True):
    """One account that waits for mail; `sender` as in `ports.reputation.Expected`."""

    account: str
    sender: str
    until_us: int


class AskGreylist(Struct, frozen=True, forbid_unknown_fields=True):
    """`since_us`: of senders whose first try was then or later; `limit`: so many of those that did not come
    back are named."""

    since_us: int = 0
    limit: int = 0


class WaitingSender(Struct, frozen=True):
    key: str
    first_at_us: int
    last_at_us: int
    tries: int


class GreylistReport(Struct, frozen=True, kw_only=True):
    """Senders: `delayed` in all; `came_back`, `waiting` (they still may), `never`; `within`: how long those
    that came back took (seconds at most, how many), the last with 0 for no bound. `open`: the latest that did
    not come back."""

    delayed: int
    came_back: int
    waiting: int
    never: int
    tries: int
    within: list[tuple[int, int]]
    open: list[WaitingSender]


async def greylist_report(context: Context, request: AskGreylist) -> GreylistReport:
    door, now_us = context.door, context.clock.now_us()
    found = await door.greylist.summary(request.since_us, now_us, door.waiting)
    rows = await door.greylist.listing(request.limit, waiting=True) if request.limit > 0 else []
    bounds = [bound // 1_000_000 for bound in BOUNDS_US] + [0]
    return GreylistReport(
        delayed=found.senders,
        came_back=sum(found.came_back),
        waiting=found.waiting,
        never=found.never,
        tries=found.tries,
        within=list(zip(bounds, found.came_back, strict=True)),
        open=[
            WaitingSender(row.key, row.tried.first_at_us, row.tried.last_at_us, row.tried.tries)
            for row in rows
        ],
    )


async def expect(context: Context, request: Expect) -> list[Expecting]:
    """Nothing to these accounts has to wait meanwhile; raises Refused."""
    if not 0 <= request.minutes <= MOST_MINUTES:
        raise AdminRefused("Minutes must be from 0 to {most}.", most=MOST_MINUTES)
    address, sender = parse_address(request.address), _sender(request.sender)
    found = await context.door.recipients.resolve(address)
    if not found.accounts:
        raise AdminRefused("No account here gets the mail to {address}.", address=str(address))
    until_us = context.clock.now_us() + request.minutes * _MINUTE_US
    for account in found.accounts:
        await context.door.reputation.expect(Expected(account.id, until_us, sender))
    context.audit("door.expect", str(address), sender=sender, minutes=request.minutes)
    return [Expecting(account.address, sender, until_us) for account in found.accounts]


async def list_expected(context: Context, _request: Struct) -> list[Expecting]:
    """Who waits now, the longest last."""
    rows = []
    for one in await context.door.reputation.expected():
        account = await context.directory.account(one.account_id)
        if account is not None:
            rows.append(Expecting(account.address, one.sender, one.until_us))
    return sorted(rows, key=lambda row: (row.until_us, row.account, row.sender))


def _sender(text: str) -> str:
    """As `core.policy.reputation.is_awaited` reads it."""
    text = text.strip()
    if not text:
        return ""
    if "@" in text.removeprefix("@"):
        return str(parse_address(text))
    return f"@{parse_domain_name(text.removeprefix('@'))}"
