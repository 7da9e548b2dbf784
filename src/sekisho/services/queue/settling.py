"""What follows from an attempt: try again when, tell whom, let the destination rest; in one transaction."""

from msgspec.structs import replace

from sekisho.core.message.dsn import DsnRecipient, status_for
from sekisho.core.policy.retry import is_about_next_hop, wants_failure_notice, wants_success_notice
from sekisho.core.policy.shaping.explaining import explained
from sekisho.core.terms.reply import EnhancedStatus
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.ports.spool import Acceptance, Outcome, QueueJob, QueueRecipient
from sekisho.services.notices import HEAD_OCTETS, NoticedMessage, NoticePorts, NoticeRules, Notices
from sekisho.services.queue.surroundings import QueuePorts, QueueRules

# RFC 3463 §3.5, X.4.7: delivery time expired.
EXPIRED = EnhancedStatus(4, 4, 7)
PLAIN_WAIT_US = 3_600_000_000  # after settling without schedule and notices


class Settler:
    def __init__(self, rules: QueueRules, ports: QueuePorts) -> None:
        self._rules = rules
        self._ports = ports
        self._notices = Notices(
            NoticeRules(rules.hostname, rules.language, rules.routes, rules.schedule.notice_lifetime_us),
            NoticePorts(
                spool=ports.spool,
                recipients=ports.recipients,
                clock=ports.clock,
                dice=ports.dice,
                journal=ports.journal,
                signing=ports.signing,
            ),
        )

    async def settle(
        self, job: QueueJob, octets: MessageOctets, outcomes: tuple[Outcome, ...], *, plainly: bool = False
    ) -> None:
        """Raises StaleLease and StoreUnavailable; then nothing was written.

        `plainly`: settling failed by a fault of ours, again and again. What was delivered is written down;
        who would have to be told of a failure is tried again later, so that nothing ends untold.
        """
        now_us = self._ports.clock.now_us()
        told: list[DsnRecipient] = []
        pairs = list(zip(job.recipients, outcomes, strict=True))
        if plainly:
            final = tuple(_decide_plainly(recipient, outcome, now_us) for recipient, outcome in pairs)
        else:
            final = tuple(self._decide(job, recipient, outcome, now_us, told) for recipient, outcome in pairs)
        notices: tuple[Acceptance, ...] = ()
        if told:
            is_ours = job.origin in ("submission", "local")
            message = NoticedMessage(
                message_id=job.message_id,
                envelope=job.envelope,
                arrived_at_us=job.arrived_at_us,
                head=await _head(octets),
                size_octets=octets.size_octets,
                is_ours=is_ours,
            )
            notices = await self._notices.about(message, told)
        full = await self._ports.spool.settle(
            job, final, notices=notices, not_before_us=_rest_until_us(final)
        )
        for notice in full:
            to = str(notice.envelope.recipients[0].address)
            fields = {"recipients": to, "reason": "the mailbox of the sender is full"}
            self._ports.journal.record(Entry("notice.lost", job.message_id, fields))

    def _decide(
        self,
        job: QueueJob,
        recipient: QueueRecipient,
        outcome: Outcome,
        now_us: int,
        told: list[DsnRecipient],
    ) -> Outcome:
        """The outcome with its consequences; who must be told goes into `told`."""
        notify = recipient.recipient.notify
        if outcome.result == "delivered":
            # RFC 3461 §5.2.2: where the next hop cannot report success, we say "relayed".
            if wants_success_notice(notify) and not outcome.remote_has_dsn:
                told.append(_told(recipient, outcome, "relayed", now_us))
            return outcome
        if outcome.result == "failed":
            if wants_failure_notice(notify):
                told.append(_told(recipient, outcome, "failed", now_us))
            return outcome
        if outcome.result == "held":
            return outcome
        if outcome.interrupted and (not outcome.retry_at_us or now_us < recipient.expires_at_us):
            return self._kept_waiting(job, recipient, outcome, now_us, told)
        schedule = self._rules.schedule
        roll = self._ports.dice.uniform(-1.0, 1.0)
        retry_at_us = schedule.retry_at_us(now_us, recipient.attempts, recipient.expires_at_us, roll)
        if retry_at_us is None:
            self._ports.journal.record(
                Entry("queue.expired", job.message_id, {"recipient": str(recipient.recipient.address)})
            )
            if wants_failure_notice(notify):
                told.append(_told(recipient, outcome, "failed", now_us, expired=True))
            return replace(outcome, result="failed")
        is_late = schedule.wants_delay_notice(
            now_us, job.arrived_at_us, notify, by_default=job.origin in ("submission", "local")
        )
        if is_late and not recipient.delay_notified:
            told.append(_told(recipient, outcome, "delayed", now_us))
        return replace(outcome, retry_at_us=retry_at_us, delay_notified=recipient.delay_notified or is_late)

    def _kept_waiting(
        self,
        job: QueueJob,
        recipient: QueueRecipient,
        outcome: Outcome,
        now_us: int,
        told: list[DsnRecipient],
    ) -> Outcome:
        """It was not tried. Who waits long for a budget of ours hears it at once: when it goes is known."""
        waits = replace(outcome, retry_at_us=outcome.retry_at_us or now_us)
        if recipient.delay_notified or not outcome.through_us:
            return waits
        is_late = self._rules.schedule.wants_delay_notice(
            max(now_us, outcome.through_us),
            job.arrived_at_us,
            recipient.recipient.notify,
            by_default=job.origin in ("submission", "local"),
        )
        if is_late:
            told.append(_told(recipient, outcome, "delayed", now_us))
        return replace(waits, delay_notified=is_late)


def _decide_plainly(recipient: QueueRecipient, outcome: Outcome, now_us: int) -> Outcome:
    if outcome.result in ("delivered", "held"):
        return outcome
    if outcome.result == "failed" and not wants_failure_notice(recipient.recipient.notify):
        return outcome
    return replace(outcome, result="deferred", retry_at_us=now_us + PLAIN_WAIT_US)


async def _head(octets: MessageOctets) -> bytes:
    """The beginning of the message; nothing when it cannot be read: the notice matters more."""
    try:
        return await octets.read(0, HEAD_OCTETS)
    except StoreUnavailable:
        return b""


def _told(
    recipient: QueueRecipient, outcome: Outcome, action: str, now_us: int, *, expired: bool = False
) -> DsnRecipient:
    # RFC 3464 §2.3.5: Remote-MTA is who reported; what we say ourselves of a silent host is not its word.
    remote = outcome.remote if outcome.reply is not None and outcome.reply.cause == "answered" else ""
    if action == "delayed":
        return DsnRecipient(
            recipient=recipient.recipient,
            action="delayed",
            status=status_for(outcome.reply, "delayed"),
            reply=outcome.reply,
            remote=remote,
            last_attempt_at_us=now_us,
            will_retry_until_us=recipient.expires_at_us,
            explained=explained(outcome.reply, remote),
        )
    if action == "relayed":
        return DsnRecipient(
            recipient=recipient.recipient,
            action="relayed",
            status=status_for(outcome.reply, "relayed"),
            reply=outcome.reply,
            remote=remote,
            last_attempt_at_us=now_us,
        )
    status = EXPIRED if expired else status_for(outcome.reply, "failed")
    return DsnRecipient(
        recipient=recipient.recipient,
        action="failed",
        status=status,
        reply=outcome.reply,
        remote=remote,
        last_attempt_at_us=now_us,
        explained=explained(outcome.reply, remote),
    )


def _rest_until_us(outcomes: tuple[Outcome, ...]) -> int | None:
    """RFC 5321 §4.5.4.1: a destination that could not be reached rests as long as its first message waits."""
    waits = [
        o.retry_at_us
        for o in outcomes
        if o.result == "deferred" and not o.interrupted and is_about_next_hop(o.reply)
    ]
    return min(waits) if len(waits) == len(outcomes) else None
