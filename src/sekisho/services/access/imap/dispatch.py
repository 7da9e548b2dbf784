"""From a command's record to the function that answers it, and from failures to their response codes (RFC
5530)."""

from collections.abc import Awaitable, Callable
from typing import Any

from sekisho.core.imap import commands as c
from sekisho.core.imap.machine import AppendBegins
from sekisho.core.imap.responses import DONE, Bye, No, Ok, Response
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.mailstore import MailboxExists, MailboxRefused, NoSuchMailbox, OverQuota
from sekisho.services.access.imap import login, mailboxes, messages
from sekisho.services.access.imap.append import append
from sekisho.services.access.imap.fetch import fetch
from sekisho.services.access.imap.idle import idle
from sekisho.services.access.imap.listing import list_mailboxes
from sekisho.services.access.imap.search import search
from sekisho.services.access.imap.selected import MailboxGone
from sekisho.services.access.imap.session import CommandFailed, ImapSession, SessionEnds

RECHECK_SECONDS = 30.0  # DESIGN §4 Changes: a hint may be lost, the store is the truth
_MAILBOX_GONE = "The selected mailbox was deleted"
# Answers one command: queues its untagged responses and gives the tagged one, or raises CommandFailed.
Handler = Callable[[ImapSession, Any], Awaitable[Response]]


async def run_command(session: ImapSession, command: c.Command) -> bool:
    """Answer one command with its tagged response; False when it was LOGOUT."""
    if isinstance(command, c.Simple):
        if command.name == "LOGOUT":
            return False
        if command.name == "STARTTLS":
            await _start_tls(session)
            return True
        handler: Handler = _SIMPLE[command.name]
    else:
        handler = _HANDLERS[type(command)]
    session.machine.answer(await _answer(session, command, handler))
    return True


async def run_append(session: ImapSession, begins: AppendBegins) -> None:
    session.machine.answer(await _answer(session, begins, append))


async def log_out(session: ImapSession) -> None:
    """RFC 3501 §6.1.3."""
    session.machine.tell(Bye("Goodbye"))
    session.machine.answer(Ok("Logged out"))
    await session.flush()


async def _start_tls(session: ImapSession) -> None:
    try:
        await login.start_tls(session)
    except CommandFailed as failed:
        session.machine.answer(failed.response)


async def _answer(session: ImapSession, command: Any, handler: Handler) -> Response:
    """The tagged response of one command, after the untagged ones were queued."""
    try:
        response = await handler(session, command)
    except CommandFailed as failed:
        response = failed.response
    except NoSuchMailbox:
        # RFC 3501 §6.3.11, §6.4.7: the client may create the target and try again.
        code = "TRYCREATE" if isinstance(command, c.Copy | AppendBegins) else "NONEXISTENT"
        response = No("There is no such mailbox", code)
    except MailboxExists:
        response = No("There is already a mailbox of this name", "ALREADYEXISTS")
    except MailboxRefused as refused:
        response = No(str(refused), "CANNOT")
    except OverQuota:
        response = No("The mailbox is full", "OVERQUOTA")
    except StoreUnavailable:
        response = No("The mail store cannot be used at the moment, try again later", "UNAVAILABLE")
    except MailboxGone as gone:
        raise SessionEnds(_MAILBOX_GONE) from gone
    await _tell_news(session, command)
    return response


async def _tell_news(session: ImapSession, command: Any) -> None:
    """What happened in the selected mailbox meanwhile (RFC 3501 §5.2, §7.4.1)."""
    selected = session.selected
    if selected is None:
        return
    if (
        not selected.is_stale
        and session.context.ports.clock.monotonic() - selected.checked_at < RECHECK_SECONDS
    ):
        return
    by_number = isinstance(command, c.Fetch | c.Store | c.Search) and not command.uid
    try:
        session.send_all(await selected.catch_up(session.context, may_expunge=not by_number))
    except StoreUnavailable:
        selected.is_stale = True
    except MailboxGone as gone:
        raise SessionEnds(_MAILBOX_GONE) from gone


async def _capability(session: ImapSession, command: c.Simple) -> Response:
    session.send(b"* CAPABILITY %b\r\n" % session.capabilities)
    return DONE


async def _noop(session: ImapSession, command: c.Simple) -> Response:
    if session.selected is not None:
        session.selected.is_stale = True
    return DONE


async def _check(session: ImapSession, command: c.Simple) -> Response:
    session.take_selected().is_stale = True
    return DONE


async def _namespace(session: ImapSession, command: c.Simple) -> Response:
    return mailboxes.namespace(session)


async def _id(session: ImapSession, command: c.ClientId) -> Response:
    """RFC 2971 §3.1: our name, but no version for strangers."""
    session.send(b'* ID ("name" "sekisho")\r\n')
    return DONE


async def _enable(session: ImapSession, command: c.Enable) -> Response:
    """RFC 5161 §3.1: nothing is there yet that could be enabled."""
    session.send(b"* ENABLED\r\n")
    return DONE


_SIMPLE: dict[str, Handler] = {
    "CAPABILITY": _capability,
    "NOOP": _noop,
    "CHECK": _check,
    "CLOSE": messages.close,
    "UNSELECT": messages.unselect,
    "NAMESPACE": _namespace,
    "IDLE": idle,
}
_HANDLERS: dict[type, Handler] = {
    c.ClientId: _id,
    c.Enable: _enable,
    c.Authenticate: login.authenticate,
    c.LoginCommand: login.log_in,
    c.Select: mailboxes.select,
    c.Create: mailboxes.create,
    c.Delete: mailboxes.delete,
    c.Rename: mailboxes.rename,
    c.Subscribe: mailboxes.subscribe,
    c.ListMailboxes: list_mailboxes,
    c.Status: mailboxes.status,
    c.Expunge: messages.expunge,
    c.Search: search,
    c.Fetch: fetch,
    c.Store: messages.store,
    c.Copy: messages.copy,
}
