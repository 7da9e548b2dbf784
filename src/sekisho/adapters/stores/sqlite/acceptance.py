"""One accepted message: deliveries into mailboxes and queue rows (the hot path)."""

import dataclasses

from sekisho.adapters.stores import guarding, rules
from sekisho.adapters.stores.sqlite import placing, queue_rows
from sekisho.adapters.stores.sqlite.content import own_writer
from sekisho.adapters.stores.sqlite.destinations import announce
from sekisho.adapters.stores.sqlite.guard_steps import GuardSteps
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.mailbox_tree import MailboxTree
from sekisho.adapters.stores.sqlite.placing import NewMessage
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.ports.changes import QueueChanged
from sekisho.ports.clock import Clock
from sekisho.ports.guard import Release
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import MailboxExists, MailboxRefused, NoSuchMailbox, OverQuota
from sekisho.ports.spool import (
    Acceptance,
    Accepted,
    MailboxDelivery,
    QueueJob,
    QueueRecipient,
    RelayRecipient,
)

OF_USE = "SELECT name FROM mailbox WHERE account_id = ? AND special_use = ? ORDER BY name LIMIT 1"


class NothingTaken(Exception):
    """Ends the step, which undoes it; the accounts that had no room."""

    def __init__(self, over_quota: tuple[int, ...]) -> None:
        super().__init__()
        self.over_quota = over_quota


class AcceptSteps:
    def __init__(self, clock: Clock, ids: Ids, guard: GuardSteps, tree: MailboxTree) -> None:
        self._clock, self._ids, self._guard, self._tree = clock, ids, guard, tree

    def accept(self, tx: WriteTransaction, acceptance: Acceptance) -> Accepted:
        """Raises NothingTaken for the sake of `one_of_each`."""
        decision = None
        if (outgoing := acceptance.outgoing) and (ruled := self._guard.submit(tx, outgoing)):
            ruling, decision = ruled
            acceptance = guarding.applied(acceptance, ruling)
        now_us = self._clock.now_us()
        if acceptance.kept_back is not None:
            acceptance = guarding.held_whole(acceptance, acceptance.kept_back, now_us)
            self._guard.note_kept_back(tx, acceptance.account_id or 0, [acceptance.message_id])
        relays, memory_seconds = acceptance.relays, acceptance.delivery_memory_seconds
        if (
            acceptance.repeatable
            and relays
            and self._is_repeated(tx, rules.relays_id(acceptance.message_id), memory_seconds, now_us)
        ):
            relays = ()
        content = own_writer(acceptance.content)
        delivered: dict[int, None] = {}
        over_quota: dict[int, None] = {}
        wanted: list[MailboxDelivery] = []
        for delivery in acceptance.deliveries:
            if self._is_repeated(tx, delivery.delivery_id, memory_seconds, now_us):
                delivered[delivery.account_id] = None
                continue
            try:
                placing.charge(tx, delivery.account_id, len(delivery.prefix) + content.size_octets)
            except OverQuota:
                tx.execute("DELETE FROM delivery WHERE delivery_id = ?", (delivery.delivery_id,))
                over_quota[delivery.account_id] = None
            else:
                wanted.append(delivery)
                delivered[delivery.account_id] = None
        if over_quota and rules.lacks_one(acceptance.one_of_each, delivered):
            raise NothingTaken(tuple(over_quota))
        jobs: tuple[QueueJob, ...] = ()
        refs = len(wanted) + bool(relays)
        if refs:
            content_id = placing.add_content(tx, self._ids, content, refs)
            # Whoever locks several mailboxes does it in one order.
            for delivery in (
                sorted(wanted, key=lambda d: (d.account_id, d.mailbox or "")) if len(wanted) > 1 else wanted
            ):
                size = len(delivery.prefix) + content.size_octets
                self._place(
                    tx,
                    delivery,
                    (content_id, size),
                    (acceptance.header_message_id, acceptance.references),
                    now_us,
                )
            if relays:
                jobs = self._enqueue(tx, acceptance, content_id, now_us)
        return Accepted(
            delivered_account_ids=tuple(delivered),
            over_quota_account_ids=tuple(over_quota),
            jobs=jobs,
            decision=decision,
        )

    def deliver_queued(self, tx: WriteTransaction, message_id: str, release: Release) -> int:
        """Copies of a message that is in the queue, all or none; returns how many mailboxes were full."""
        sql = (
            "SELECT content_id, content.size_octets FROM queue_message JOIN content ON content.id = "
            "content_id WHERE message_id = ?"
        )
        ((content_id, content_octets),) = tx.execute(sql, (message_id,)).fetchall()
        now_us = self._clock.now_us()
        tx.execute("SAVEPOINT copies")
        try:
            for delivery in sorted(release.deliveries, key=lambda d: (d.account_id, d.mailbox or "")):
                if self._is_repeated(tx, delivery.delivery_id, release.delivery_memory_seconds, now_us):
                    continue
                size = len(delivery.prefix) + content_octets
                placing.charge(tx, delivery.account_id, size)
                tx.execute("UPDATE content SET refs = refs + 1 WHERE id = ?", (content_id,))
                self._place(
                    tx, delivery, (content_id, size), (release.header_message_id, release.references), now_us
                )
        except OverQuota:
            tx.execute("ROLLBACK TO copies; RELEASE copies")
            return 1
        tx.execute("RELEASE copies")
        return 0

    def _is_repeated(self, tx: WriteTransaction, delivery_id: str, memory_seconds: int, now_us: int) -> bool:
        forget_at_us = now_us + memory_seconds * 1_000_000
        tx.execute(
            "INSERT INTO delivery (delivery_id, forget_at_us) VALUES (?1, ?2) ON CONFLICT "
            "(delivery_id) DO UPDATE SET forget_at_us = "
            "?2 WHERE forget_at_us <= ?3",
            (delivery_id, forget_at_us, now_us),
        )
        return not tx.touched()

    def _place(
        self,
        tx: WriteTransaction,
        delivery: MailboxDelivery,
        content: tuple[int, int],
        thread: tuple[str, tuple[str, ...]],
        now_us: int,
    ) -> None:
        """`content`: its id, and the size with the prefix; `thread`: Message-ID and references."""
        message = NewMessage(
            account_id=delivery.account_id,
            content_id=content[0],
            size_octets=content[1],
            prefix=delivery.prefix,
            flags=delivery.flags,
            keywords=delivery.keywords,
            internal_date_us=now_us,
            internal_offset_minutes=0,
            save_date_us=now_us,
            message_id=thread[0],
            references=thread[1],
        )
        name = rules.canonical_name(delivery.mailbox) if delivery.mailbox else rules.INBOX
        if delivery.special_use is not None:
            of_use = tx.execute(OF_USE, (delivery.account_id, delivery.special_use)).fetchall()
            name = of_use[0][0] if of_use else name
        try:
            placing.place(tx, self._ids, name, [message])
        except NoSuchMailbox:
            placing.place(tx, self._ids, self._made(tx, delivery, name), [message])

    def _made(self, tx: WriteTransaction, delivery: MailboxDelivery, name: str) -> str:
        """The mailbox that was made for it, or INBOX."""
        if delivery.create:
            try:
                return self._tree.create(tx, delivery.account_id, name, None).name
            except (MailboxRefused, MailboxExists):
                pass
        return rules.INBOX

    def _enqueue(
        self, tx: WriteTransaction, acceptance: Acceptance, content_id: int, now_us: int
    ) -> tuple[QueueJob, ...]:
        envelope = dataclasses.replace(acceptance.envelope, recipients=())
        size = len(acceptance.prefix) + acceptance.content.size_octets
        tx.execute(
            "INSERT INTO queue_message (message_id, content_id, prefix, size_octets, "
            "arrived_at_us, origin, account_id, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                acceptance.message_id,
                content_id,
                acceptance.prefix,
                size,
                now_us,
                acceptance.origin,
                acceptance.account_id,
                queue_rows.to_json(envelope),
            ),
        )
        fresh: dict[tuple[str, Owner], list[QueueRecipient]] = {}
        epochs: dict[tuple[str, Owner], int] = {}
        for position, relay in enumerate(acceptance.relays):
            owner = relay.fresh_lease if self._may_go_now(tx, relay, now_us) else None
            epoch = epochs.setdefault((relay.next_hop, owner), self._ids.new()) if owner else 0
            recipient = self._add_recipient(
                tx=tx,
                message_id=acceptance.message_id,
                position=position,
                relay=relay,
                owner=owner,
                epoch=epoch,
                now_us=now_us,
            )
            if owner:
                fresh.setdefault((relay.next_hop, owner), []).append(recipient)
        tx.changed(QueueChanged())
        return tuple(
            QueueJob(
                message_id=acceptance.message_id,
                next_hop=next_hop,
                envelope=envelope,
                recipients=tuple(recipients),
                size_octets=size,
                arrived_at_us=now_us,
                owner=owner,
                epoch=epochs[next_hop, owner],
                origin=acceptance.origin,
                account_id=acceptance.account_id,
            )
            for (next_hop, owner), recipients in fresh.items()
        )

    def _may_go_now(self, tx: WriteTransaction, relay: RelayRecipient, now_us: int) -> bool:
        """A fresh lease is given unless the recipient is held or early, or its destination is backing off."""
        if relay.fresh_lease is None or relay.held or relay.due_at_us > now_us:
            return False
        found = tx.execute(
            "SELECT 1 FROM destination WHERE next_hop = ? AND not_before_us > ?", (relay.next_hop, now_us)
        )
        return not found.fetchall()

    def _add_recipient(
        self,
        tx: WriteTransaction,
        message_id: str,
        position: int,
        relay: RelayRecipient,
        owner: Owner | None,
        epoch: int,
        now_us: int,
    ) -> QueueRecipient:
        state = "claimed" if owner else "held" if relay.held else "waiting"
        attempts, key = (1, queue_rows.owner_key(owner)) if owner else (0, "")
        last_us = now_us if owner else 0
        text = queue_rows.to_json(relay.recipient)

        def insert(new: int) -> bool:
            values = (
                new,
                message_id,
                position,
                relay.next_hop,
                state,
                relay.due_at_us,
                relay.expires_at_us,
                attempts,
                key,
                epoch,
                last_us,
                text,
            )
            tx.execute(
                "INSERT INTO queue_recipient (id, message_id, position, next_hop, state, "
                "due_at_us, expires_at_us, attempts, crashes, owner, epoch, "
                "delay_notified, last_reply, last_attempt_at_us, recipient) VALUES (?1, "
                "?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, 0, '', "
                "?11, ?12) "
                "ON CONFLICT (id) DO NOTHING",
                values,
            )
            return tx.touched() == 1

        id_ = self._ids.insert(insert)
        if state == "waiting":
            announce(tx, relay.next_hop, relay.due_at_us)
        return QueueRecipient(
            id=id_,
            recipient=relay.recipient,
            state="claimed" if owner else "waiting",
            attempts=attempts,
            due_at_us=relay.due_at_us,
            expires_at_us=relay.expires_at_us,
            last_attempt_at_us=last_us,
        )
