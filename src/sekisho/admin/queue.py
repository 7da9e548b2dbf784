"""The queue of what must leave, for the operator."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.domains import Nothing
from sekisho.admin.nextattempt import as_it_will_be, rests
from sekisho.ports.spool import DestinationState, QueuedMessage, RecipientState


class ListQueue(Struct, frozen=True, forbid_unknown_fields=True):
    limit: int = 1000


class MessageRequest(Struct, frozen=True, forbid_unknown_fields=True):
    message_id: str


class RetryQueue(Struct, frozen=True, forbid_unknown_fields=True):
    """`message_id` None: everything that waits."""

    message_id: str | None = None


class QueueRecipientView(Struct, frozen=True, kw_only=True):
    address: str
    state: RecipientState
    next_hop: str
    attempts: int
    due_at_us: int  # the next attempt, when its next hop does not rest any more; 0: none by itself
    expires_at_us: int
    last_attempt_at_us: int
    last_reply: str


class QueueMessageView(Struct, frozen=True, kw_only=True):
    message_id: str
    reverse_path: str  # "" is the null path
    recipients: list[QueueRecipientView]
    size_octets: int
    arrived_at_us: int
    origin: str
    account: str  # address of who submitted it, or ""


class QueueChange(Struct, frozen=True):
    message_id: str | None
    recipients: int  # how many were touched


async def list_queue(context: Context, request: ListQueue) -> list[QueueMessageView]:
    queued = await context.spool.queue(max(1, min(request.limit, 100_000)))
    resting = await rests(context.spool)
    return [await _view(context, as_it_will_be(message, resting)) for message in queued]


async def show_queued(context: Context, request: MessageRequest) -> QueueMessageView:
    message = await context.spool.queued(request.message_id)
    if message is None:
        raise _unknown(request.message_id)
    return await _view(context, as_it_will_be(message, await rests(context.spool)))


async def retry_queue(context: Context, request: RetryQueue) -> QueueChange:
    if request.message_id is not None:
        await _must_exist(context, request.message_id)
    count = await context.spool.retry(request.message_id)
    return _done(context, "retry", request.message_id, count)


async def hold_queued(context: Context, request: MessageRequest) -> QueueChange:
    await _must_exist(context, request.message_id)
    return _done(context, "hold", request.message_id, await context.spool.hold(request.message_id, True))


async def release_queued(context: Context, request: MessageRequest) -> QueueChange:
    await _must_exist(context, request.message_id)
    await _must_not_be_guarded(context, request.message_id)
    return _done(context, "release", request.message_id, await context.spool.hold(request.message_id, False))


async def drop_queued(context: Context, request: MessageRequest) -> QueueChange:
    """Remove without telling the sender."""
    await _must_exist(context, request.message_id)
    return _done(context, "drop", request.message_id, await context.spool.drop(request.message_id))


async def list_destinations(context: Context, request: Nothing) -> list[DestinationState]:
    return sorted(await context.spool.destinations(), key=lambda destination: destination.next_hop)


def _done(context: Context, action: str, message_id: str | None, count: int) -> QueueChange:
    context.audit(f"queue.{action}", message_id or "", recipients=count)
    return QueueChange(message_id, count)


async def _must_exist(context: Context, message_id: str) -> None:
    if await context.spool.queued(message_id) is None:
        raise _unknown(message_id)


async def _must_not_be_guarded(context: Context, message_id: str) -> None:
    """What the guard holds is signed anew and delivered to mailboxes here when it goes: the guard lets it
    go."""
    sent = await context.guard_kit.guard.sent_message(message_id) if context.guard_kit else None
    account = await context.directory.account(sent.account_id) if sent is not None and sent.case_id else None
    if account is not None:
        raise AdminRefused(
            "The guard holds {id}: look with sekisho guard show {account}.",
            id=repr(message_id),
            account=account.address,
        )


def _unknown(message_id: str) -> AdminRefused:
    return AdminRefused(
        "There is no message {id} in the queue; it may have been delivered.", id=repr(message_id)
    )


async def _view(context: Context, message: QueuedMessage) -> QueueMessageView:
    account = await context.directory.account(message.account_id) if message.account_id is not None else None
    recipients = [
        QueueRecipientView(
            address=str(row.recipient.address),
            state=row.state,
            next_hop=next_hop,
            attempts=row.attempts,
            due_at_us=row.due_at_us,
            expires_at_us=row.expires_at_us,
            last_attempt_at_us=row.last_attempt_at_us,
            last_reply=row.last_reply,
        )
        for row, next_hop in zip(message.recipients, message.next_hops, strict=True)
    ]
    return QueueMessageView(
        message_id=message.message_id,
        reverse_path=str(message.envelope.reverse_path),
        recipients=recipients,
        size_octets=message.size_octets,
        arrived_at_us=message.arrived_at_us,
        origin=message.origin,
        account=account.address if account else "",
    )
