"""The guard of hijacked accounts, for the operator: what is held and why, who had mail already, and one step
that ends it."""

import asyncio

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account, parse_address
from sekisho.admin.domains import Nothing
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.text import decode_field
from sekisho.core.policy.takeover.judge import Ending
from sekisho.core.policy.takeover.state import State
from sekisho.ports.directory import Account
from sekisho.ports.guard import Case, Left, Sent

HEAD_OCTETS = 65_536
AT_ONCE = 8  # messages released at the same time
MOST_LEFT = 10_000


class GuardRequest(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


class ShowGuarded(Struct, frozen=True, forbid_unknown_fields=True):
    """`limit`: so many held messages are described."""

    address: str
    limit: int = 100


class PurgeHeld(Struct, frozen=True, forbid_unknown_fields=True):
    """`keep_credential`: do not freeze it, although a thief had it."""

    address: str
    keep_credential: bool = False


class SetBulk(Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    bulk: bool


class SetRecovery(Struct, frozen=True, forbid_unknown_fields=True):
    """`recovery_address` "": none."""

    address: str
    recovery_address: str


class GuardedAccount(Struct, frozen=True, kw_only=True):
    """One open case, or mail that is held without one: `action` is "sending_held" while an operator holds all
    of the account, else ""."""

    address: str
    credential_id: str
    action: str
    opened_at_us: int
    score: int
    held_messages: int
    frozen: bool


class HeldMessage(Struct, frozen=True, kw_only=True):
    message_id: str
    accepted_at_us: int
    reverse_path: str
    subject: str
    recipients: list[str]  # those that wait
    size_octets: int
    score: int
    network: str
    client: str


class UsualView(Struct, frozen=True, kw_only=True):
    """What the account is known by: (network or program, days it was seen on), the most frequent first; and
    what is usual on a day."""

    networks: list[tuple[str, int]]
    clients: list[tuple[str, int]]
    messages: int
    strangers_a_day: float
    today_first_time: int
    today_recipients: int


class GuardDetails(Struct, frozen=True, kw_only=True):
    """`cases`: open ones first, then the last closed ones. `left`: who had mail since the oldest open case
    looks back."""

    account: Account
    bulk: bool
    recovery_address: str
    cases: list[Case]
    held_messages: int
    held: list[HeldMessage]
    left: list[Left]
    usual: UsualView


class GuardDone(Struct, frozen=True, kw_only=True):
    """`full`: messages of which a copy waits on, as its mailbox here is full. `done`: what else was done, in
    sentences."""

    address: str
    messages: int
    recipients: int
    full: int
    cases: int
    done: list[str]


class GuardRights(Struct, frozen=True):
    address: str
    bulk: bool
    recovery_address: str


async def list_cases(context: Context, request: Nothing) -> list[GuardedAccount]:
    guard = context.guarding.guard
    held = await guard.held_accounts()
    rows: list[GuardedAccount] = []
    for case in await guard.cases():
        address = await _address(context, case.account_id)
        count = held.pop(case.account_id, 0)
        rows.append(
            GuardedAccount(
                address=address,
                credential_id=case.credential_id,
                action=case.action,
                opened_at_us=case.opened_at_us,
                score=case.score,
                held_messages=count,
                frozen=bool(case.frozen_at_us),
            )
        )
    for account_id, count in held.items():
        account = await context.directory.account(account_id)
        action = "sending_held" if account is not None and account.state == "sending_held" else ""
        rows.append(
            GuardedAccount(
                address=await _address(context, account_id),
                credential_id="",
                action=action,
                opened_at_us=0,
                score=0,
                held_messages=count,
                frozen=False,
            )
        )
    return rows


async def show_account(context: Context, request: ShowGuarded) -> GuardDetails:
    guard = context.guarding.guard
    account = await find_account(context, request.address)
    watched = await guard.watched(account.id)
    cases = await guard.cases(account.id, only_open=False)
    cases.sort(key=lambda case: bool(case.closed_at_us))
    held = await guard.held(account.id)
    looked = [case.since_us for case in cases if not case.closed_at_us] or [
        case.since_us for case in cases[:1]
    ]
    left = await guard.left(account.id, min(looked), MOST_LEFT) if looked else []
    return GuardDetails(
        account=account,
        bulk=watched.bulk,
        recovery_address=watched.recovery_address,
        cases=cases[:20],
        held_messages=len(held),
        held=[await _held(context, sent) for sent in held[: max(0, request.limit)]],
        left=left,
        usual=_usual(watched.state),
    )


async def release_held(context: Context, request: GuardRequest) -> GuardDone:
    """It was the owner: close the cases, thaw the credential, let the mail go, signed anew."""
    kit = context.guarding
    account = await find_account(context, request.address)
    held = await kit.guard.held(account.id)
    closed, done = await _close(context, account, "released")
    if not held and not closed:
        raise AdminRefused("The guard holds nothing of {address}.", address=account.address)
    gate = asyncio.Semaphore(AT_ONCE)

    async def release(message_id: str) -> tuple[int, int]:
        async with gate:
            return await kit.releaser.release(message_id)

    counts = await asyncio.gather(*(release(sent.message_id) for sent in held))
    recipients, full = sum(count for count, _ in counts), sum(full for _, full in counts)
    context.audit("guard.release", account.address, messages=len(held), recipients=recipients, full=full)
    return GuardDone(
        address=account.address, messages=len(held), recipients=recipients, full=full, cases=closed, done=done
    )


async def purge_held(context: Context, request: PurgeHeld) -> GuardDone:
    """It was a thief: remove what is held, freeze the credential if it is not, forget what the thief taught
    the guard."""
    kit = context.guarding
    account = await find_account(context, request.address)
    cases = await kit.guard.cases(account.id)
    done: list[str] = []
    for case in cases:
        if not case.frozen_at_us and not request.keep_credential:
            done += await kit.freezer.freeze(account.id, case.credential_id, case.since_us)
            await kit.guard.note(case.id, frozen_at_us=context.clock.now_us(), done=tuple(done))
    messages, recipients = await kit.guard.purge(account.id)
    for case in cases:
        await kit.guard.close_case(case.id, "purged")
    if not messages and not cases:
        raise AdminRefused("The guard holds nothing of {address}.", address=account.address)
    context.audit("guard.purge", account.address, messages=messages, recipients=recipients)
    return GuardDone(
        address=account.address, messages=messages, recipients=recipients, full=0, cases=len(cases), done=done
    )


async def forgive_account(context: Context, request: GuardRequest) -> GuardDone:
    """Let the account send again; what is held stays held."""
    account = await find_account(context, request.address)
    closed, done = await _close(context, account, "forgiven")
    if not closed:
        raise AdminRefused("There is no open case of {address}.", address=account.address)
    held = await context.guarding.guard.held(account.id)
    context.audit("guard.forgive", account.address, cases=closed)
    return GuardDone(
        address=account.address, messages=len(held), recipients=0, full=0, cases=closed, done=done
    )


async def set_bulk(context: Context, request: SetBulk) -> GuardRights:
    account = await find_account(context, request.address)
    await context.guarding.guard.set_bulk(account.id, request.bulk)
    context.audit("guard.bulk", account.address, bulk=request.bulk)
    return await _rights(context, account)


async def set_recovery(context: Context, request: SetRecovery) -> GuardRights:
    account = await find_account(context, request.address)
    address = str(parse_address(request.recovery_address)) if request.recovery_address else ""
    if address == account.address:
        raise AdminRefused(
            "The second address of {address} must be another one: a thief may read this mailbox.",
            address=address,
        )
    await context.guarding.guard.set_recovery_address(account.id, address)
    context.audit("guard.recovery", account.address, recovery_address=address)
    return await _rights(context, account)


async def _rights(context: Context, account: Account) -> GuardRights:
    watched = await context.guarding.guard.watched(account.id)
    return GuardRights(account.address, watched.bulk, watched.recovery_address)


async def _close(context: Context, account: Account, ending: Ending) -> tuple[int, list[str]]:
    """Close the open cases first: mail that goes while one is open would be put back."""
    kit = context.guarding
    done: list[str] = []
    cases = await kit.guard.cases(account.id)
    for case in cases:
        if case.frozen_at_us:
            done += await kit.freezer.thaw(account.id, case.credential_id)
        await kit.guard.close_case(case.id, ending)
    return len(cases), done


async def _held(context: Context, sent: Sent) -> HeldMessage:
    queued = await context.spool.queued(sent.message_id)
    content = await context.guarding.guard.open_content(sent.message_id)
    header = HeaderSection(await content.read(0, HEAD_OCTETS) if content else b"")
    rows = queued.recipients if queued else ()
    return HeldMessage(
        message_id=sent.message_id,
        accepted_at_us=sent.accepted_at_us,
        reverse_path=str(queued.envelope.reverse_path) if queued else "",
        subject=decode_field(header.first(b"subject") or b"")[:500],
        recipients=[str(row.recipient.address) for row in rows if row.state not in ("delivered", "failed")],
        size_octets=queued.size_octets if queued else 0,
        score=sent.score,
        network=sent.network,
        client=sent.client,
    )


def _usual(state: State) -> UsualView:
    networks = sorted(((name, seen.days) for name, seen in state.networks.items()), key=lambda pair: -pair[1])
    clients = sorted(((name, seen.days) for name, seen in state.clients.items()), key=lambda pair: -pair[1])
    return UsualView(
        networks=networks,
        clients=clients,
        messages=state.messages,
        strangers_a_day=round(state.usual_strangers / 3, 1),
        today_first_time=state.first_time,
        today_recipients=state.recipients,
    )


async def _address(context: Context, account_id: int) -> str:
    account = await context.directory.account(account_id)
    return account.address if account else f"#{account_id}"
