"""Acceptance and the queue of the memory store: no method awaits between reading and writing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from sekisho.adapters.stores import guarding, rules
from sekisho.adapters.stores.memory.content import MemoryContentWriter, MemoryOctets
from sekisho.adapters.stores.memory.guard import MemoryGuardSteps
from sekisho.adapters.stores.memory.state import (
    MemoryDestination,
    MemoryMessage,
    MemoryState,
    QueueMessage,
    QueueRow,
    content_octets,
)
from sekisho.ports.changes import QueueChanged
from sekisho.ports.content import ContentWriter, MessageOctets
from sekisho.ports.guard import Release
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import MessageRow, OverQuota
from sekisho.ports.outgoing import MAILBOX_HOP
from sekisho.ports.spool import (
    Acceptance,
    Accepted,
    DestinationState,
    MailboxDelivery,
    Outcome,
    QueuedMessage,
    QueueJob,
    QueuePlace,
    QueueRecipient,
    QueueTally,
    StaleLease,
)


class MemorySpool:
    def __init__(self, state: MemoryState, guard: MemoryGuardSteps) -> None:
        self._state, self._guard = state, guard

    def open_content(self) -> ContentWriter:
        return MemoryContentWriter()

    async def has_room(self) -> bool:
        return self._state.has_room

    async def accept(self, acceptance: Acceptance) -> Accepted:
        self._state.check_available()
        for delivery in acceptance.deliveries:
            self._state.account(delivery.account_id)
        return self._accept(acceptance)

    def _accept(self, acceptance: Acceptance) -> Accepted:
        decision = None
        if (outgoing := acceptance.outgoing) and (ruled := self._guard.submit(outgoing)):
            ruling, decision = ruled
            acceptance = guarding.applied(acceptance, ruling)
        if acceptance.kept_back is not None:
            acceptance = guarding.held_whole(acceptance, acceptance.kept_back, self._state.clock.now_us())
            self._guard.note_kept_back(acceptance.account_id or 0, acceptance.message_id)
        content = content_octets(acceptance.content)
        content_id = rules.object_id(self._state.clock, self._state.dice)
        delivered: dict[int, None] = {}
        over_quota: dict[int, None] = {}
        thread = (acceptance.header_message_id, acceptance.references)
        if acceptance.one_of_each and (full := self._without_room(acceptance.deliveries, len(content))):
            with_room = {delivery.account_id for delivery in acceptance.deliveries} - set(full)
            if rules.lacks_one(acceptance.one_of_each, with_room):
                return Accepted(delivered_account_ids=(), over_quota_account_ids=full, nothing_taken=True)
        for delivery in acceptance.deliveries:
            try:
                self._deliver(delivery, (content, content_id), acceptance.delivery_memory_seconds, thread)
                delivered[delivery.account_id] = None
            except OverQuota:
                over_quota[delivery.account_id] = None
        jobs = (
            self._enqueue(acceptance, content)
            if acceptance.relays and not self._is_repeated(acceptance)
            else ()
        )
        for account_id in delivered:
            self._state.account_changed(account_id)
        return Accepted(
            delivered_account_ids=tuple(delivered),
            over_quota_account_ids=tuple(over_quota),
            jobs=jobs,
            decision=decision,
        )

    def _without_room(self, deliveries: Iterable[MailboxDelivery], octets: int) -> tuple[int, ...]:
        """Accounts for whose copy there is no room."""
        now_us = self._state.clock.now_us()
        found = []
        for delivery in deliveries:
            account = self._state.account(delivery.account_id)
            is_new = self._state.delivered.get(delivery.delivery_id, 0) <= now_us
            used = account.used_octets + len(delivery.prefix) + octets
            if is_new and 0 < account.account.quota_octets < used:
                found.append(delivery.account_id)
        return tuple(found)

    def _is_repeated(self, acceptance: Acceptance) -> bool:
        """Were these relays accepted before? Remembers them."""
        key, now_us = rules.relays_id(acceptance.message_id), self._state.clock.now_us()
        if not acceptance.repeatable:
            return False
        if self._state.delivered.get(key, 0) > now_us:
            return True
        self._state.delivered[key] = now_us + acceptance.delivery_memory_seconds * 1_000_000
        return False

    def _deliver(
        self,
        delivery: MailboxDelivery,
        contents: tuple[bytes, str],
        memory_seconds: int,
        thread: tuple[str, tuple[str, ...]],
    ) -> None:
        now_us = self._state.clock.now_us()
        if self._state.delivered.get(delivery.delivery_id, 0) > now_us:
            return
        account = self._state.account(delivery.account_id)
        content, content_id = contents
        octets = delivery.prefix + content
        self._state.charge(account, len(octets))
        self._state.delivered[delivery.delivery_id] = now_us + memory_seconds * 1_000_000
        name = rules.canonical_name(delivery.mailbox or rules.INBOX)
        if delivery.special_use is not None:
            of_use = (
                mailbox.name
                for mailbox in account.mailboxes.values()
                if mailbox.special_use == delivery.special_use
            )
            name = min(of_use, default=name)
        if delivery.create:
            self._state.make_mailbox(account, name)
        mailbox = account.mailboxes.get(name, account.mailboxes[rules.INBOX])
        row = MessageRow(
            uid=0,
            modseq=0,
            flags=delivery.flags,
            keywords=delivery.keywords,
            internal_date_us=now_us,
            internal_offset_minutes=0,
            save_date_us=now_us,
            size_octets=len(octets),
            content_id=content_id,
            prefix_octets=len(delivery.prefix),
            email_id="M" + rules.object_id(self._state.clock, self._state.dice),
            thread_id=self._state.thread_of(account, *thread),
        )
        self._state.place(mailbox, [MemoryMessage(row, octets)])

    def _enqueue(self, acceptance: Acceptance, content: bytes) -> tuple[QueueJob, ...]:
        if acceptance.message_id in self._state.queue:
            raise RuntimeError(f"a message {acceptance.message_id} is in the queue already")
        message = QueueMessage(
            message_id=acceptance.message_id,
            envelope=replace(acceptance.envelope, recipients=()),
            octets=acceptance.prefix + content,
            arrived_at_us=self._state.clock.now_us(),
            origin=acceptance.origin,
            account_id=acceptance.account_id,
            prefix_octets=len(acceptance.prefix),
        )
        fresh: dict[tuple[str, Owner], list[QueueRow]] = {}
        for relay in acceptance.relays:
            row = QueueRow(
                id=self._state.dice.new_id(),
                recipient=relay.recipient,
                next_hop=relay.next_hop,
                state="held" if relay.held else "waiting",
                due_at_us=relay.due_at_us,
                expires_at_us=relay.expires_at_us,
            )
            message.rows.append(row)
            now_us = message.arrived_at_us
            # A fresh lease is given unless the recipient is held or early, or its destination is backing off.
            is_ready = (
                not relay.held and relay.due_at_us <= now_us and self._not_before_us(relay.next_hop) <= now_us
            )
            if relay.fresh_lease and is_ready:
                fresh.setdefault((relay.next_hop, relay.fresh_lease), []).append(row)
        self._state.queue[message.message_id] = message
        self._state.changes.publish(QueueChanged())
        return tuple(self._take(message, rows, owner) for (_, owner), rows in fresh.items())

    def _take(self, message: QueueMessage, rows: list[QueueRow], owner: Owner) -> QueueJob:
        epoch = self._state.dice.new_id()
        for row in rows:
            row.state, row.owner, row.epoch = "claimed", owner, epoch
            row.attempts += 1
            row.last_attempt_at_us = self._state.clock.now_us()
        return QueueJob(
            message_id=message.message_id,
            next_hop=rows[0].next_hop,
            envelope=message.envelope,
            recipients=tuple(map(_queue_recipient, rows)),
            size_octets=len(message.octets),
            arrived_at_us=message.arrived_at_us,
            owner=owner,
            epoch=epoch,
            origin=message.origin,
            account_id=message.account_id,
        )

    async def claim(
        self, owner: Owner, limit: int, *, per_next_hop: int = 1_000_000, busy: frozenset[str] = frozenset()
    ) -> list[QueueJob]:
        self._state.check_available()
        now_us = self._state.clock.now_us()
        ready: dict[tuple[int, str, str], list[QueueRow]] = {}
        for message in self._state.queue.values():
            for row in message.rows:
                if row.next_hop in busy or self._not_before_us(row.next_hop) > now_us:
                    continue
                if row.state == "waiting" and row.due_at_us <= now_us:
                    ready.setdefault((message.arrived_at_us, message.message_id, row.next_hop), []).append(
                        row
                    )
        taken: Counter[str] = Counter()
        jobs: list[QueueJob] = []
        for (_, message_id, next_hop), rows in sorted(ready.items()):
            if len(jobs) < limit and taken[next_hop] < per_next_hop:
                taken[next_hop] += 1
                jobs.append(self._take(self._state.queue[message_id], rows, owner))
        return jobs

    def _not_before_us(self, next_hop: str) -> int:
        destination = self._state.destinations.get(next_hop)
        return destination.not_before_us if destination else 0

    async def open_queued(self, message_id: str) -> MessageOctets | None:
        message = self._state.queue.get(message_id)
        return MemoryOctets(message.octets) if message else None

    async def settle(
        self,
        job: QueueJob,
        outcomes: tuple[Outcome, ...],
        *,
        notices: tuple[Acceptance, ...] = (),
        not_before_us: int | None = None,
    ) -> tuple[Acceptance, ...]:
        self._state.check_available()
        message = self._state.queue.get(job.message_id)
        rows = (
            {row.id: row for row in message.rows if row.state == "claimed" and row.epoch == job.epoch}
            if message
            else {}
        )
        if message is None or {r.id for r in job.recipients} != set(rows):
            raise StaleLease(job.message_id)
        if {outcome.recipient_id for outcome in outcomes} != set(rows):
            raise ValueError("settle needs one outcome for each recipient of the job")
        for notice in notices:
            for delivery in notice.deliveries:
                self._state.account(delivery.account_id)
        for outcome in outcomes:
            _apply(rows[outcome.recipient_id], outcome)
        self._guard.settle(job, outcomes)
        self._back_off(job.next_hop, outcomes, not_before_us)
        self._finish(message)
        full = tuple(notice for notice in notices if self._accept(notice).over_quota_account_ids)
        self._state.changes.publish(QueueChanged())
        return full

    def _back_off(self, next_hop: str, outcomes: tuple[Outcome, ...], not_before_us: int | None) -> None:
        if not_before_us is not None:
            destination = self._state.destinations.setdefault(next_hop, MemoryDestination())
            destination.not_before_us = not_before_us
            destination.failures += 1
            destination.last_error = next(
                (str(o.reply) for o in outcomes if o.reply and o.result != "delivered"), ""
            )
        elif any(outcome.result == "delivered" for outcome in outcomes):
            self._state.destinations.pop(next_hop, None)

    def _finish(self, message: QueueMessage) -> None:
        if all(row.state in ("delivered", "failed") for row in message.rows):
            del self._state.queue[message.message_id]

    async def next_due_at_us(self, busy: frozenset[str] = frozenset()) -> int | None:
        waiting = (row for row in self._rows() if row.state == "waiting" and row.next_hop not in busy)
        due = (max(row.due_at_us, self._not_before_us(row.next_hop)) for row in waiting)
        return min(due, default=None)

    def _rows(self) -> Iterable[QueueRow]:
        return (row for message in self._state.queue.values() for row in message.rows)

    def free(self, is_dead: Callable[[Owner], bool]) -> None:
        """Give back what a dead owner claimed; the third time it is parked."""
        self._free(
            [row for row in self._rows() if row.state == "claimed" and row.owner and is_dead(row.owner)]
        )

    def _free(self, freed: list[QueueRow]) -> int:
        for row in freed:
            row.crashes += 1
            row.owner = None
            row.state = "parked" if row.crashes >= rules.CRASHES_UNTIL_PARKED else "waiting"
            row.due_at_us = self._state.clock.now_us()
        return self._told(len(freed))

    async def claims(self, owner: Owner) -> dict[int, str]:
        self._state.check_available()
        rows = ((message.message_id, row) for message in self._state.queue.values() for row in message.rows)
        return {
            row.epoch: message_id for message_id, row in rows if row.state == "claimed" and row.owner == owner
        }

    async def give_back(self, owner: Owner, epochs: frozenset[int]) -> int:
        self._state.check_available()
        return self._free(
            [
                row
                for row in self._rows()
                if row.state == "claimed" and row.owner == owner and row.epoch in epochs
            ]
        )

    async def tally(self, stuck_since_us: int) -> QueueTally:
        self._state.check_available()
        rows = [(message.message_id, row) for message in self._state.queue.values() for row in message.rows]
        states = Counter(row.state for _, row in rows)
        return QueueTally(
            {state: states[state] for state in rules.QUEUED_STATES},
            tuple(_place(*each) for each in rows if each[1].state == "parked"),
            tuple(
                _place(*each)
                for each in rows
                if each[1].state == "claimed" and each[1].last_attempt_at_us <= stuck_since_us
            ),
        )

    async def pull_in(self, now_us: int, longest_us: int) -> int:
        self._state.check_available()
        horizon_us, count = now_us + rules.CLOCKS_DIFFER_US, 0
        for message in self._state.queue.values():
            too_new_us = message.arrived_at_us - now_us if message.arrived_at_us > horizon_us else 0
            message.arrived_at_us -= too_new_us
            for row in message.rows:
                row.expires_at_us -= too_new_us
                if row.state == "claimed" and row.last_attempt_at_us > horizon_us:
                    row.last_attempt_at_us = now_us
                if row.state == "waiting" and row.due_at_us > now_us + longest_us:
                    row.due_at_us = now_us
                    count += 1
        late = [
            hop
            for hop, destination in self._state.destinations.items()
            if destination.not_before_us > now_us + longest_us
        ]
        for hop in late:
            self._state.destinations[hop].not_before_us = 0
        if count or late:
            self._state.changes.publish(QueueChanged())
        return count

    async def queue(self, limit: int = 1000) -> list[QueuedMessage]:
        messages = sorted(self._state.queue.values(), key=lambda m: (m.arrived_at_us, m.message_id))
        return [_queued(message) for message in messages[:limit]]

    async def queued(self, message_id: str) -> QueuedMessage | None:
        message = self._state.queue.get(message_id)
        return _queued(message) if message else None

    async def retry(self, message_id: str | None) -> int:
        rows = [row for row in self._chosen(message_id) if row.state in ("waiting", "parked")]
        for row in rows:
            row.state, row.due_at_us, row.crashes = "waiting", self._state.clock.now_us(), 0
            self._state.destinations.pop(row.next_hop, None)
        return self._told(len(rows))

    async def hold(self, message_id: str, held: bool) -> int:
        rows = [
            row
            for row in self._chosen(message_id)
            if row.state in (("waiting", "parked") if held else ("held",))
        ]
        for row in rows:
            row.state = "held" if held else "waiting"
        return self._told(len(rows))

    async def drop(self, message_id: str) -> int:
        count = sum(row.state not in ("delivered", "failed") for row in self._chosen(message_id))
        self._state.queue.pop(message_id, None)
        return self._told(count)

    def _chosen(self, message_id: str | None) -> list[QueueRow]:
        self._state.check_available()
        if message_id is None:
            return list(self._rows())
        message = self._state.queue.get(message_id)
        return message.rows if message else []

    def _told(self, count: int) -> int:
        if count:
            self._state.changes.publish(QueueChanged())
        return count

    def release(self, message_id: str, release: Release) -> tuple[int, int]:
        """For the guard: let what is held of it go (recipients let go, mailboxes that were full)."""
        self._state.check_available()
        message = self._state.queue.get(message_id)
        held = [row for row in message.rows if row.state == "held"] if message else []
        if message is None or not held:
            return 0, 0
        content = message.octets[message.prefix_octets :]
        message.octets, message.prefix_octets = release.prefix + content, len(release.prefix)
        full = 0
        if any(row.next_hop == MAILBOX_HOP for row in held):
            full = self._deliver_all(release, content)
        for row in held:
            if row.next_hop == MAILBOX_HOP:
                row.state = "held" if full else "delivered"
            else:
                row.state, row.due_at_us, row.expires_at_us = "waiting", release.now_us, release.expires_at_us
                row.attempts, row.delay_notified = 0, False
        self._finish(message)
        self._state.changes.publish(QueueChanged())
        return len(held) - full, full

    def _deliver_all(self, release: Release, content: bytes) -> int:
        """All copies or none; 1 when a mailbox was full."""
        needed: Counter[int] = Counter()
        for delivery in release.deliveries:
            needed[delivery.account_id] += len(delivery.prefix) + len(content)
        for account_id, octets in needed.items():
            state = self._state.account(account_id)
            if state.account.quota_octets and state.used_octets + octets > state.account.quota_octets:
                return 1
        content_id = rules.object_id(self._state.clock, self._state.dice)
        for delivery in release.deliveries:
            thread = (release.header_message_id, release.references)
            self._deliver(delivery, (content, content_id), release.delivery_memory_seconds, thread)
            self._state.account_changed(delivery.account_id)
        return 0

    async def destinations(self) -> list[DestinationState]:
        return [
            DestinationState(name, d.not_before_us, d.failures, d.last_error)
            for name, d in sorted(self._state.destinations.items())
        ]


def _place(message_id: str, row: QueueRow) -> QueuePlace:
    return QueuePlace(
        recipient_id=row.id,
        message_id=message_id,
        address=str(row.recipient.address),
        next_hop=row.next_hop,
        since_us=row.last_attempt_at_us,
    )


def _apply(row: QueueRow, outcome: Outcome) -> None:
    row.owner = None
    row.crashes = 0
    row.last_reply = str(outcome.reply) if outcome.reply else row.last_reply
    if outcome.result == "deferred":
        row.state, row.due_at_us = "waiting", outcome.retry_at_us
        row.delay_notified = row.delay_notified or outcome.delay_notified
        row.attempts -= outcome.interrupted
    elif outcome.result == "held":
        row.state = "held"
        row.attempts -= 1
    else:
        row.state = outcome.result


def _queue_recipient(row: QueueRow) -> QueueRecipient:
    return QueueRecipient(
        id=row.id,
        recipient=row.recipient,
        state=row.state,
        attempts=row.attempts,
        due_at_us=row.due_at_us,
        expires_at_us=row.expires_at_us,
        delay_notified=row.delay_notified,
        last_reply=row.last_reply,
        last_attempt_at_us=row.last_attempt_at_us,
        crashes=row.crashes,
    )


def _queued(message: QueueMessage) -> QueuedMessage:
    return QueuedMessage(
        message_id=message.message_id,
        envelope=message.envelope,
        recipients=tuple(map(_queue_recipient, message.rows)),
        next_hops=tuple(row.next_hop for row in message.rows),
        size_octets=len(message.octets),
        arrived_at_us=message.arrived_at_us,
        origin=message.origin,
        account_id=message.account_id,
    )
