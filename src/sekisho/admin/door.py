"""The door, for people who wait: mail that is expected."""

from msgspec import Struct

from sekisho.admin.context import Context, Refused, parse_address, parse_domain_name
from sekisho.ports.reputation import Expected

MOST_MINUTES = 10_080  # a week
_MINUTE_US = 60_000_000


class Expect(Struct, frozen=True, forbid_unknown_fields=True):
    """`address`: of an account, or an alias of some; `sender`: "", an address, or a domain; `minutes` 0 ends the wait."""

    address: str
    minutes: int = 10
    sender: str = ""


class Expecting(Struct, frozen=True):
    """One account that waits for mail; `sender` as in `ports.reputation.Expected`."""

    account: str
    sender: str
    until_us: int


async def expect(context: Context, request: Expect) -> list[Expecting]:
    """Nothing to these accounts has to wait meanwhile; raises Refused."""
    if not 0 <= request.minutes <= MOST_MINUTES:
        raise Refused("Minutes must be from 0 to {most}.", most=MOST_MINUTES)
    address, sender = parse_address(request.address), _sender(request.sender)
    found = await context.door.recipients.resolve(address)
    if not found.accounts:
        raise Refused("No account here gets the mail to {address}.", address=str(address))
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
