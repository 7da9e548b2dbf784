"""APPEND: the message streams into the store (RFC 3501 §6.3.11, law 9)."""

from sekisho.core.imap.machine import AppendBegins, AppendEnds, AppendPiece, Fatal
from sekisho.core.imap.responses import Bad, No, Ok, Response
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import ContentWriter, StoreUnavailable
from sekisho.ports.mailstore import Appended
from sekisho.services.access.imap.session import CommandFailed, ImapSession, SessionEnds

_HEAD_OCTETS = 262_144
_MAX_REFERENCES = 100


async def append(session: ImapSession, begins: AppendBegins) -> Response:
    """Decide, take the message, store it. The answer to a literal that comes unasked is given after it was
    skipped by the machine."""
    try:
        writer = await _decide(session, begins)
    except BaseException:
        session.machine.refuse_append()
        raise
    session.machine.accept_append()
    try:
        problem = await _receive(session, writer)
        if isinstance(problem, StoreUnavailable):
            raise problem
        if problem is not None:
            raise CommandFailed(problem)
        message_id, references = thread_fields(writer.head(_HEAD_OCTETS))
        command = begins.append
        uidvalidity, uids = await session.context.ports.store.append(
            session.account_id,
            command.name,
            [
                Appended(
                    content=writer,
                    flags=command.flags,
                    keywords=command.keywords,
                    date_us=command.date_us,
                    offset_minutes=command.offset_minutes,
                    message_id=message_id,
                    references=references,
                )
            ],
        )
    finally:
        writer.discard()
    session.context.ports.junk.moved(session.account_id, None, command.name, UidSet.of(uids))
    if session.selected is not None:
        session.selected.is_stale = True
    return Ok("Appended", f"APPENDUID {uidvalidity} {uids[0]}")  # RFC 4315 §3


async def _decide(session: ImapSession, begins: AppendBegins) -> ContentWriter:
    """May it come? Asked before the `+`, so that nobody sends 100 MB for nothing."""
    context = session.context
    account_id = session.account_id
    if begins.size_octets > context.access.append_octets:
        raise CommandFailed(No(f"A message may have {context.access.append_octets} octets", "TOOBIG"))
    if begins.size_octets == 0:
        raise CommandFailed(No("An empty message cannot be stored"))
    await context.ports.store.mailbox(account_id, begins.append.name)
    account = await context.ports.directory.account(account_id)
    if (
        account is not None
        and account.quota_octets
        and account.used_octets + begins.size_octets > account.quota_octets
    ):
        raise CommandFailed(No("The mailbox is full", "OVERQUOTA"))
    if not await context.ports.spool.has_room():
        raise CommandFailed(
            No("The server has not enough disk space at the moment, try again later", "UNAVAILABLE")
        )
    return context.ports.spool.open_content()


async def _receive(session: ImapSession, writer: ContentWriter) -> Bad | StoreUnavailable | None:
    """All pieces into the writer. A store that fails is remembered, so that the literal is still read to its
    end."""
    failure: StoreUnavailable | None = None
    while True:
        event = await session.next_event()
        match event:
            case AppendPiece():
                if failure is None:
                    try:
                        writer.write(event.octets)
                    except StoreUnavailable as error:
                        failure = error
                await session.breathe()
            case AppendEnds():
                return failure or event.problem
            case Fatal():
                raise SessionEnds(event.text, event.code)
            case _:
                raise SessionEnds("")


def thread_fields(head: bytes) -> tuple[str, tuple[str, ...]]:
    """Message-ID and the ids of References and In-Reply-To, as the store threads by (RFC 5322 §3.6.4)."""
    header = HeaderSection(head)
    ids = [_ids(header.first(name) or b"") for name in (b"message-id", b"references", b"in-reply-to")]
    return (ids[0][0] if ids[0] else ""), tuple(
        dict.fromkeys(ids[1][-_MAX_REFERENCES:] + ids[2][:_MAX_REFERENCES])
    )


def _ids(value: bytes) -> list[str]:
    """What stands in angle brackets."""
    out = []
    for piece in value.split(b"<")[1:1001]:
        inner, closed, _ = piece.partition(b">")
        if closed and inner:
            out.append(inner.strip()[:500].decode("utf-8", "replace"))
    return out
