"""Commands on messages of the selected mailbox that move no octets: STORE, COPY, MOVE, EXPUNGE, CLOSE (RFC
3501 §6.4)."""

from collections.abc import Iterable

from sekisho.core.imap.commands import Copy, Expunge, Simple, Store
from sekisho.core.imap.responses import DONE, Bad, No, Ok, Response
from sekisho.core.imap.sequences import SequenceSet
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.learning import JUNK_KEYWORD, NOT_JUNK_KEYWORD
from sekisho.ports.mailstore import FlagRow
from sekisho.services.access.imap.selected import Selected
from sekisho.services.access.imap.session import CommandFailed, ImapSession

# RFC 5530 §3: another session expunged some of them.
EXPUNGE_ISSUED = No("Some of these messages no longer exist", "EXPUNGEISSUED")
_JUNK, _NOT_JUNK = JUNK_KEYWORD.lower(), NOT_JUNK_KEYWORD.lower()
_READ_ONLY = No("The mailbox is open read-only")


def resolve(selected: Selected, messages: SequenceSet, *, uid: bool) -> UidSet:
    """The UIDs that a client names; raises CommandFailed for a number that is not there (RFC 3501 §9
    `seq-number`)."""
    if uid:
        return messages.uids(selected.uids)
    try:
        return messages.uids_of_numbers(selected.uids)
    except IndexError as error:
        raise CommandFailed(Bad("There is no message of this number")) from error


def portions(uids: UidSet, rows: int) -> Iterable[UidSet]:
    """`uids` cut into sets of at most `rows`."""
    count = len(uids)
    if count <= rows:
        return [uids] if count else []
    return (
        UidSet(((uids.uid_at(start), uids.uid_at(min(start + rows - 1, count))),)) & uids
        for start in range(1, count + 1, rows)
    )


def writable(session: ImapSession) -> Selected:
    selected = session.take_selected()
    if selected.read_only:
        raise CommandFailed(_READ_ONLY)
    return selected


async def store(session: ImapSession, command: Store) -> Response:
    """STORE (RFC 3501 §6.4.6)."""
    selected = writable(session)
    uids = resolve(selected, command.messages, uid=command.uid)
    verdict = _judgement(command)
    # FLAGS may only repeat a keyword that is there already: that judges nothing.
    before = (
        await _having(session, selected, uids, verdict) if verdict and command.how == "replace" else UidSet()
    )
    result = await session.context.ports.store.store_flags(
        selected.mailbox_id, uids, command.how, command.flags, command.keywords
    )
    if verdict:
        judged = UidSet.of(row.uid for row in result.changed) - before
        session.context.ports.junk.marked(
            session.account_id, selected.mailbox_id, judged, is_junk=verdict == _JUNK
        )
    undisturbed = (
        result.highestmodseq <= selected.modseq + 1
    )  # each transaction raises it: nobody else was in between
    told = {}
    session.send_all(selected.keyword_responses(result.changed))
    if not command.silent:
        session.send_all(selected.flag_responses(result.changed))
        told = {row.uid: row.modseq for row in result.changed}
    if undisturbed:
        selected.modseq = result.highestmodseq
    else:
        session.send_all(await selected.catch_up(session.context, may_expunge=command.uid, told=told))
    return DONE if len(result.changed) == len(uids) else EXPUNGE_ISSUED


def _judgement(command: Store) -> str:
    """Which of the two keywords it sets, in lower case; "" for neither, or both."""
    named = (
        {keyword.lower() for keyword in command.keywords} & {_JUNK, _NOT_JUNK}
        if command.how != "remove"
        else set()
    )
    return named.pop() if len(named) == 1 else ""


async def _having(session: ImapSession, selected: Selected, uids: UidSet, keyword: str) -> UidSet:
    def has(row: FlagRow) -> bool:
        return any(one.lower() == keyword for one in row.keywords)

    rows = await session.context.ports.store.flag_rows(selected.mailbox_id, uids)
    return UidSet.of(row.uid for row in rows if has(row))


async def copy(session: ImapSession, command: Copy) -> Response:
    """COPY with COPYUID, and MOVE (RFC 3501 §6.4.7, RFC 4315 §3, RFC 6851 §4.3)."""
    selected = writable(session) if command.move else session.take_selected()
    uids = resolve(selected, command.messages, uid=command.uid)
    if not uids:
        return Ok("Nothing to do")
    result = await session.context.ports.store.copy(
        selected.mailbox_id, uids, session.account_id, command.target, move=command.move
    )
    code = ""
    if result.source_uids:
        copies = UidSet.of(result.target_uids)
        session.context.ports.junk.moved(session.account_id, selected.special_use, command.target, copies)
        code = f"COPYUID {result.uidvalidity} {UidSet.of(result.source_uids)} {copies}"
    if not command.move:
        selected.is_stale = selected.is_stale or command.target == selected.name
        return Ok("Copied", code) if len(result.source_uids) == len(uids) else EXPUNGE_ISSUED
    if code:
        session.machine.tell(Ok("Moved", code))
    session.send_all(await selected.catch_up(session.context, may_expunge=True))
    return DONE


async def expunge(session: ImapSession, command: Expunge) -> Response:
    """EXPUNGE, UID EXPUNGE (RFC 3501 §6.4.3, RFC 4315 §2.1)."""
    selected = writable(session)
    uids = None if command.uids is None else command.uids.uids(selected.uids)
    if uids is None or uids:
        await session.context.ports.store.expunge(selected.mailbox_id, uids)
    session.send_all(await selected.catch_up(session.context, may_expunge=True))
    return DONE


async def close(session: ImapSession, command: Simple) -> Response:
    """CLOSE expunges silently, unless the mailbox was EXAMINEd (RFC 3501 §6.4.2)."""
    selected = session.take_selected()
    if not selected.read_only:
        await session.context.ports.store.expunge(selected.mailbox_id)
    session.deselect()
    return Ok("Closed")


async def unselect(session: ImapSession, command: Simple) -> Response:
    """RFC 3691 §2."""
    session.take_selected()
    session.deselect()
    return Ok("Unselected")
