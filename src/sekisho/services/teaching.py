"""Moves to and from Junk reach the learners in the background: no IMAP command waits for them, or fails by
them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Journal
from sekisho.ports.learning import JudgedMessage, Judgements, Learner
from sekisho.ports.mailstore import MailStore, NoSuchMailbox, SpecialUse
from sekisho.ports.metrics import Metrics

MOST_WAITING = 1_000  # commands
MOST_PER_COMMAND = 1_000  # messages: who moves a whole archive teaches with the newest of it
_JUNK: SpecialUse = "\\Junk"
# Into these nobody moves what they want to keep: junk that is thrown away stays junk.
_BIN: tuple[SpecialUse | None, ...] = ("\\Trash", _JUNK)


@dataclass(frozen=True, slots=True)
class _Moved:
    account_id: int
    source: SpecialUse | None
    target: str
    uids: UidSet


@dataclass(frozen=True, slots=True)
class _Marked:
    account_id: int
    mailbox_id: int
    uids: UidSet
    is_junk: bool


@dataclass(frozen=True, slots=True)
class TeacherPorts:
    store: MailStore
    judgements: Judgements
    journal: Journal
    metrics: Metrics


class Teacher:
    """Implements `ports.learning.JunkWatch`. One per worker; `run` does the work, `learners` may be changed
    at any time."""

    def __init__(self, ports: TeacherPorts, learners: Sequence[Learner] = ()) -> None:
        self.learners = tuple(learners)
        self._ports = ports
        self._waiting: asyncio.Queue[_Moved | _Marked] = asyncio.Queue(MOST_WAITING)

    def moved(self, account_id: int, source: SpecialUse | None, target: str, uids: UidSet) -> None:
        self._put(_Moved(account_id, source, target, uids))

    def marked(self, account_id: int, mailbox_id: int, uids: UidSet, *, is_junk: bool) -> None:
        self._put(_Marked(account_id, mailbox_id, uids, is_junk))

    def _put(self, event: _Moved | _Marked) -> None:
        try:
            if event.uids and self.learners:
                self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._ports.metrics.count("sekisho_judgements_lost_total")

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            event = await self._waiting.get()
            try:
                await self._take(event)
            except (NoSuchMailbox, StoreUnavailable):
                self._ports.metrics.count("sekisho_judgements_lost_total")
            except Exception as error:  # an own bug: the next event is not to blame
                self._ports.journal.fault("teaching", error)
            finally:
                self._waiting.task_done()

    async def finish(self) -> None:
        """Learn from everything told so far, for a process that does not `run`."""
        running = asyncio.create_task(self.run())
        try:
            await self._waiting.join()
        finally:
            running.cancel()

    async def settle(self) -> None:
        """Wait until everything told so far was learned; `run` must be running."""
        await self._waiting.join()

    async def _take(self, event: _Moved | _Marked) -> None:
        if isinstance(event, _Marked):
            await self._teach(event.account_id, event.mailbox_id, event.uids, event.is_junk)
            return
        target = await self._ports.store.mailbox(event.account_id, event.target)
        if target.special_use == _JUNK and event.source != _JUNK:
            await self._teach(event.account_id, target.id, event.uids, True)
        elif event.source == _JUNK and target.special_use not in _BIN:
            await self._teach(event.account_id, target.id, event.uids, False)

    async def _teach(self, account_id: int, mailbox_id: int, uids: UidSet, is_junk: bool) -> None:
        count = len(uids)
        if count > MOST_PER_COMMAND:
            uids = uids & UidSet(((uids.uid_at(count - MOST_PER_COMMAND + 1), uids.uid_at(count)),))
        for row in await self._ports.store.rows(mailbox_id, uids):
            octets = await self._ports.store.open(mailbox_id, row.uid)
            if octets is None:
                continue
            standing = await self._ports.judgements.note(account_id, row.content_id, is_junk=is_junk)
            if standing == "again":
                continue
            self._ports.metrics.count("sekisho_judgements_total", judged="junk" if is_junk else "not_junk")
            await self._tell(
                JudgedMessage(
                    account_id=account_id,
                    content_id=row.content_id,
                    is_junk=is_junk,
                    was_other=standing == "changed",
                    octets=octets,
                    prefix_octets=row.prefix_octets,
                )
            )

    async def _tell(self, message: JudgedMessage) -> None:
        for learner in self.learners:
            try:
                await learner.judged(message)
            except StoreUnavailable:
                self._ports.metrics.count("sekisho_judgements_lost_total")
            except Exception as error:  # an own bug of one learner: the others still hear of the message
                self._ports.journal.fault("learning", error)
