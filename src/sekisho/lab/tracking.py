"""Follows what the server took: into mailboxes, out to the sink, through the queue; and moves the time on
when nothing is due."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sekisho.lab.mailbox import MailboxTrouble
from sekisho.lab.outcomes import SECOND_US, Book, OutcomeCase
from sekisho.lab.scene import Outcome
from sekisho.lab.stage import Stage
from sekisho.ports.lab import RehearsalFailed

_WAIT_SECONDS = 0.015  # for the sink, before the queue is asked
_LOOKS = 400  # at a queue that does not get done with what is due: then the scene goes on
_LONG_US, _TOGETHER = 6 * 3600 * SECOND_US, 0.02  # of the time that mail waited
_PATIENT = 15  # looks
_MISSED = 3  # looks in a row that find a message nowhere
_ASKED_SINGLY = 10  # messages
_STAYS = ("held", "parked")


class Tracker:
    def __init__(self, stage: Stage, book: Book, notice: Callable[[OutcomeCase], None]) -> None:
        self._stage = stage
        self._book = book
        self._notice = notice
        self._under_way: dict[
            tuple[str, str], OutcomeCase
        ] = {}  # accepted for the world outside, not arrived: by Message-ID and recipient
        self._due_us: int | None = None
        self._missed: dict[int, int] = {}
        self._unreadable: set[str] = set()  # accounts
        self._all_may_have_changed = self._may_remove = False
        self._unsettled = False  # something may have become due since the queue was asked last

    async def follow(self, cases: Sequence[OutcomeCase]) -> None:
        """Cases with a 250: find them in mailboxes at once; those for outside are followed from now on."""
        accounts: set[str] = set()
        for case in cases:
            inside = self._stage.accounts_of(case.recipient)
            accounts.update(inside)
            if not inside:
                self._under_way[(case.message_id, case.recipient.lower())] = case
                self._unsettled = True
        await self._refresh(accounts)
        for case in cases:
            if (inside := self._stage.accounts_of(case.recipient)) and case.outcome == "waiting":
                self._place(case, inside)

    def _place(self, case: OutcomeCase, accounts: Sequence[str]) -> None:
        if self._unreadable.intersection(accounts):
            # Nobody may log in there now: what the server wrote down has to do.
            case.arrived_us, case.outcome, case.is_unread = case.accepted_us, "inbox", True
            return
        places = [
            place
            for account in accounts
            for place in self._stage.mailbox(account).found.get(case.message_id, [])
        ]
        case.copies = max(
            (len(self._stage.mailbox(name).found.get(case.message_id, [])) for name in accounts), default=0
        )
        case.arrived_us = case.accepted_us
        case.outcome = "lost" if not places else "inbox" if places[0][0] == "INBOX" else "junk"

    async def _refresh(self, accounts: set[str]) -> None:
        for account in sorted(accounts):
            self._unreadable.discard(account)
            if not await self._has_refreshed(account) and not await self._has_refreshed(account):
                self._unreadable.add(account)

    async def _has_refreshed(self, account: str) -> bool:
        mailbox = self._stage.mailbox(account)
        try:
            await mailbox.refresh()
        except (MailboxTrouble, OSError, TimeoutError):
            await mailbox.close()  # cut off by the server: the next time it logs in anew
            return False
        return True

    async def find_token(self, token: str, recipients: Sequence[str]) -> Outcome | None:
        """Where a message whose id begins with the token arrived, if anywhere."""
        accounts = {account for recipient in recipients for account in self._stage.accounts_of(recipient)}
        await self._refresh(accounts or {account.name for account in self._stage.scene.account[:2]})
        for account in self._stage.scene.account:
            for message_id, places in self._stage.mailbox(account.name).found.items():
                if message_id.startswith(f"<{token}") and places:
                    return "inbox" if places[0][0] == "INBOX" else "junk"
        return (
            "outside"
            if any(message_id.startswith(f"<{token}") for message_id, _ in self._stage.sink.arrived)
            else None
        )

    def look_again(self, *, may_remove: bool) -> None:
        """Somebody changed the queue, or may even have removed what was held in it."""
        self._may_remove = may_remove
        self._unsettled = self._all_may_have_changed = bool(self._under_way)

    async def advance_to(self, at_us: int) -> None:
        """Let the time be `at_us`, stopping at every moment between at which the queue has something to
        do."""
        await self._settle()
        while self._due_us is not None and self._due_us <= at_us:
            self._stage.move_to(self._due_us)
            self._unsettled = True
            await self._settle()
        self._stage.move_to(at_us)

    async def finish(self) -> None:
        """Until nothing waits but what is held; at most so long as the queue's patience is."""
        await self._settle()
        while self._due_us is not None:
            # What waited for long is not looked at row by row: its moments lie close to each other.
            waited_us = self._due_us - min(
                (case.first_us for case in self._under_way.values()), default=self._due_us
            )
            self._stage.move_to(self._due_us + (int(waited_us * _TOGETHER) if waited_us > _LONG_US else 0))
            self._unsettled = True
            await self._settle()
        await self._count_copies()

    async def _settle(self) -> None:
        """Until all that is under way arrived, waits for later, or is held."""
        for look in range(_LOOKS):
            self._note_arrivals()
            if not self._unsettled or not self._under_way:
                break
            self._stage.sink.changed.clear()
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._stage.sink.changed.wait()
                continue  # more may follow at once
            except TimeoutError:
                pass
            self._note_arrivals()
            if await self._ask_queue(patient=look >= _PATIENT):
                break
        if not self._under_way:
            self._due_us, self._unsettled = None, False

    def _note_arrivals(self) -> None:
        sink = self._stage.sink
        for key in [key for key in self._under_way if key in sink.arrived]:
            case = self._under_way.pop(key)
            case.arrived_us, case.outcome, case.copies = (
                sink.arrived[key][0].at_us,
                "outside",
                len(sink.arrived[key]),
            )
            self._notice(case)

    async def _ask_queue(self, *, patient: bool) -> bool:
        """Look into the queue; True when nothing in it is due now, with `_due_us` the next moment that
        matters. `patient`: what is due may still have to wait, as its host was unreachable a while ago."""
        rows = await self._queue_rows()
        resting = await self._resting() if patient else {}
        self._note_arrivals()
        now_us = self._stage.now_us()
        is_settled, due_us = True, list[int]()
        for key, case in list(self._under_way.items()):
            if case.outcome == "held" and not self._all_may_have_changed:
                continue
            row = rows.get((case.server_id, case.recipient.lower()))
            if row is None:
                is_settled = self._missing(key, case) and is_settled
            elif row["state"] in _STAYS:
                self._hold(case)
            elif (
                row["state"] == "waiting"
                and (due := max(row["due_at_us"], resting.get(row["next_hop"], 0))) > now_us + SECOND_US // 20
            ):
                case.outcome = "waiting"
                due_us.append(due)
            else:
                is_settled = False
        self._due_us = min(due_us, default=None)
        self._all_may_have_changed = self._all_may_have_changed and not is_settled
        self._unsettled = not is_settled
        return is_settled

    async def _resting(self) -> dict[str, int]:
        """Until when nothing is sent there, by next hop."""
        return {
            state["next_hop"]: state["not_before_us"]
            for state in await self._stage.server.ask("queue.destinations", {})
        }

    async def _queue_rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By message and recipient. A few messages are asked for one by one: the queue may be full of what is
        held."""
        ask = self._stage.server.ask
        wanted = {case.server_id for case in self._under_way.values() if case.outcome != "held"}
        if self._all_may_have_changed or len(wanted) > _ASKED_SINGLY:
            queue = await ask("queue.list", {"limit": 100_000})
        else:
            queue = []
            for server_id in wanted:
                try:
                    queue.append(await ask("queue.show", {"message_id": server_id}))
                except RehearsalFailed:
                    continue  # it has left
        return {
            (message["message_id"], row["address"].lower()): row
            for message in queue
            for row in message["recipients"]
        }

    def _hold(self, case: OutcomeCase) -> None:
        if case.outcome != "held":
            case.outcome, case.was_held = "held", True
            self._notice(case)

    def _missing(self, key: tuple[str, str], case: OutcomeCase) -> bool:
        """Neither in the queue nor outside. True when that is final."""
        if case.outcome == "held" and self._may_remove:
            del self._under_way[key]
            case.outcome = "purged"
            self._notice(case)
            return True
        looks = self._missed[case.number] = self._missed.get(case.number, 0) + 1
        if looks < _MISSED:
            return False
        del self._under_way[key]
        refused = any(recipient.lower() == key[1] for _, recipient in self._stage.sink.refused)
        case.outcome = "failed" if refused else "lost"
        self._notice(case)
        return True

    async def _count_copies(self) -> None:
        """At the end: did anything arrive twice, there or here?"""
        cases = [case for case in self._book.cases if case.outcome in ("inbox", "junk", "outside")]
        for account in {account for case in cases for account in self._stage.accounts_of(case.recipient)}:
            await self._refresh({account})
        for case in cases:
            if case.is_unread:
                continue
            arrivals = len(self._stage.sink.arrived.get((case.message_id, case.recipient.lower()), ()))
            inside = [
                self._stage.mailbox(account).found for account in self._stage.accounts_of(case.recipient)
            ]
            case.copies = max([arrivals, *(len(found.get(case.message_id, ())) for found in inside)])
