"""One attempt to get one job to its next hop: address after address, until everybody has an outcome."""

from contextlib import aclosing
from dataclasses import replace

from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.retry import SECOND_US
from sekisho.core.policy.routing import worst_hope
from sekisho.core.smtp.client.commands import Extensions, find_obstacle, recipients_per_transaction
from sekisho.core.smtp.client.machine import TransactionDone
from sekisho.core.terms.envelope import Envelope, Notify
from sekisho.core.terms.reply import Reply
from sekisho.core.tlspolicy.demand import HostUnusable, TlsDemand
from sekisho.core.tlspolicy.wishes import TlsWishes, wishes_of
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.spool import Outcome, QueueJob, QueueRecipient
from sekisho.services.relay.discovery import Discovery
from sekisho.services.relay.hop import HopMessage
from sekisho.services.relay.session import (
    CHUNK_OCTETS,
    BrokenContent,
    HostFailed,
    IsOurselves,
    RelaySession,
    Target,
)
from sekisho.services.relay.surroundings import RelaySurroundings

# RFC 5321 §5.1 wants at least two addresses; more than these only cost time.
MAX_TARGETS = 6
_NEVER: frozenset[Notify] = frozenset(("NEVER",))


class DeliveryAttempt:
    """Outcomes grow while `run` works; what has none at its end gets `failures`' worst hope or
    "interrupted"."""

    def __init__(self, job: QueueJob, octets: MessageOctets, around: RelaySurroundings) -> None:
        self._job = job
        self._octets = octets
        self._around = around
        self._head = b""
        self._is_8bit: bool | None = None
        self._header_needs_smtputf8 = False
        self._pending: dict[int, QueueRecipient] = {recipient.id: recipient for recipient in job.recipients}
        self._outcomes: dict[int, Outcome] = {}
        self._failures: list[tuple[Reply, str]] = []
        self._refused_by: set[Target] = set()  # a temporary no to MAIL: not asked again now
        self._security = around.security(self._about(TlsWishes()))
        self._session: RelaySession | None = None  # while a transaction runs
        self._started = around.clock.monotonic()

    async def run(self) -> None:
        """Everything; the next hop's slot is held by the caller."""
        try:
            await self._read_head()
            session = self._around.pool.take(self._job.next_hop, self._security.fits)
            if session is not None:
                await self._use(session)
                if session.target not in self._refused_by:
                    self._failures.clear()  # an idle connection may have died: a new one decides
            if self._pending:
                await self._try_targets()
        except StoreUnavailable:
            self._settle_rest(
                "deferred",
                Reply.of(451, "4.3.0", "The message cannot be read from the store at the moment"),
                "",
            )
        if self._pending:
            number = worst_hope([reply for reply, _ in self._failures])
            reply, remote = (
                self._failures[number]
                if number >= 0
                else (Reply.of(451, "4.4.1", "No host could be tried"), "")
            )
            self._settle_rest("failed" if reply.is_permanent else "deferred", reply, remote)

    def interrupt(self) -> None:
        """Shutdown: what is under way is broken off before its final dot, or left unanswered behind it."""
        self.break_off(Reply.of(451, "4.3.2", "Interrupted by a shutdown of this server"), interrupted=True)

    def break_off(self, reply: Reply, *, interrupted: bool = False) -> None:
        """Whoever has no outcome yet is put off; a connection under way is aborted."""
        is_open = False
        if self._session is not None:
            is_open = self._session.awaits_final_reply
            self._session.abort()
        rest = list(self._pending.values())
        self._settle_many(
            [
                (
                    row,
                    Outcome(recipient_id=row.id, result="deferred", reply=reply, interrupted=interrupted),
                    is_open,
                )
                for row in rest
            ]
        )

    def forget_rest(self, reply: Reply) -> None:
        """`break_off` without a word about it."""
        for recipient in self._pending.values():
            self._outcomes[recipient.id] = Outcome(recipient_id=recipient.id, result="deferred", reply=reply)
        self._pending.clear()

    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(self._outcomes[recipient.id] for recipient in self._job.recipients)

    async def _read_head(self) -> None:
        head = self._head = await self._octets.read(0, CHUNK_OCTETS)
        if not head and self._octets.size_octets:
            raise StoreUnavailable("the stored message is empty")
        wishes = wishes_of(head, requiretls=self._job.envelope.requiretls)
        self._security = self._around.security(self._about(wishes))
        if head.isascii():
            self._is_8bit = False if len(head) >= self._octets.size_octets else None
        else:
            self._is_8bit = True
            self._header_needs_smtputf8 = (
                self._job.envelope.smtputf8 and not head[: HeaderSection(head).end].isascii()
            )

    def _about(self, wishes: TlsWishes) -> HopMessage:
        return HopMessage(id=self._job.message_id, wishes=wishes, arrived_at_us=self._job.arrived_at_us)

    async def _try_targets(self) -> None:
        """RFC 5321 §5.1: in order, until one takes the message; a host that cannot be talked to is passed
        over."""
        around, job = self._around, self._job
        discovery = Discovery(job.next_hop, around.hostname, around.settings, around.resolver, around.dice)
        tried = 0
        async with aclosing(discovery.targets()) as targets:
            async for target in targets:
                if around.is_own_endpoint(target.endpoint):
                    discovery.is_ourselves()
                    continue
                if target in self._refused_by:
                    continue
                demand = await self._security.judge(discovery.facts, target.endpoint.port)
                if isinstance(demand, HostUnusable):
                    if (demand.reply, target.host) not in self._failures:
                        self._failures.append((demand.reply, target.host))
                    continue
                tried += 1
                await self._try_target(target, demand, discovery)
                if not self._pending or tried >= MAX_TARGETS:
                    break
        self._failures[:0] = [(reply, "") for reply in discovery.failures]

    async def _try_target(self, target: Target, demand: TlsDemand, discovery: Discovery) -> None:
        try:
            while await self._use(self._reuse(target, demand) or await self._open(target, demand)):
                pass  # the session carried all it may, and there is more
        except IsOurselves:
            discovery.is_ourselves()
        except HostFailed as failure:
            self._failures.append((self._security.failed(target, demand, failure), str(target)))

    def _reuse(self, target: Target, demand: TlsDemand) -> RelaySession | None:
        session = self._around.pool.take_target(target, lambda one: self._security.satisfies(demand, one))
        if session is not None:
            session.demand, session.judged_at = demand, self._around.clock.monotonic()
        return session

    async def _open(self, target: Target, demand: TlsDemand) -> RelaySession:
        """As it is demanded. Where nothing is, with TLS if it is offered, and if only the handshake fails,
        once more without (RFC 7435 §3)."""
        around, id_ = self._around, self._job.message_id
        try:
            session = await around.open_session(target, message_id=id_, demand=demand)
        except HostFailed as failure:
            if demand.needs_tls or not failure.in_handshake:
                raise
            why = str(failure.__cause__ or failure.reply)
            fields = {"next_hop": self._job.next_hop, "remote": str(target), "error": why}
            around.journal.record(Entry("relay.tls_failed", id_, fields))
            if demand.tries_pkix:
                # RFC 8461 §5: in testing the certificate is looked at, and its failure is no reason for
                # anything.
                self._security.tested(target, failure.failure, why)
                return await self._open(target, replace(demand, tries_pkix=False))
            session = await around.open_session(target, message_id=id_, demand=demand, use_tls=False)
        await self._security.opened(session)
        return session

    async def _use(self, session: RelaySession) -> bool:
        """Transactions until nobody is left whom this host would take. True: only the session's limit stood
        in the way."""
        self._session = session
        if session.is_over:
            self._failures.append((_ended_early(session), session.name))
        elif (lack := self._security.lacks_requiretls(session)) is not None:
            self._failures.append((lack, session.name))
            self._session = None
            self._around.pool.give_back(self._job.next_hop, session)
            return False
        while self._pending and not session.is_over and not session.is_spent:
            if self._is_8bit is None and "8BITMIME" not in session.extensions:
                self._is_8bit = await self._has_8bit_rest()
            batch = self._next_batch(session.extensions)
            envelope = self._envelope(batch)
            obstacle = find_obstacle(envelope, session.extensions)
            if obstacle is not None:
                self._settle_all(batch, obstacle, session.name)
                continue
            try:
                done = await session.transact(envelope, self._octets, self._head)
            except BrokenContent:
                self._settle_rest(
                    "failed",
                    Reply.of(554, "5.6.0", "The message holds a bare CR, LF or NUL and cannot be sent"),
                    "",
                )
                break
            if not self._digest(batch, done, session):
                break
        self._session = None
        is_spent = bool(self._pending) and session.is_usable and session.is_spent
        self._around.pool.give_back(self._job.next_hop, session)
        return is_spent

    def _next_batch(self, extensions: Extensions) -> list[QueueRecipient]:
        """Who goes into the next transaction. Who needs SMTPUTF8 in vain gets it said alone (RFC 6531
        §3.2)."""
        if "SMTPUTF8" not in extensions:
            alien = [
                recipient
                for recipient in self._pending.values()
                if recipient.recipient.address.needs_smtputf8
            ]
            if alien:
                return alien
        return list(self._pending.values())[: recipients_per_transaction(extensions)]

    async def _has_8bit_rest(self) -> bool:
        """Look through a long message, for the rare server that must know (RFC 6152 §3)."""
        offset = len(self._head)
        while chunk := await self._octets.read(offset, CHUNK_OCTETS):
            if not chunk.isascii():
                return True
            offset += len(chunk)
        return False

    def _envelope(self, batch: list[QueueRecipient]) -> Envelope:
        envelope = self._job.envelope
        sender = envelope.reverse_path.address
        smtputf8 = (
            self._header_needs_smtputf8
            or (sender is not None and sender.needs_smtputf8)
            or any(recipient.recipient.address.needs_smtputf8 for recipient in batch)
        )
        recipients = tuple(recipient.recipient for recipient in batch)
        if self._job.origin == "reception" and not envelope.vouched:
            # RFC 3461 §4.1: what we may not tell the name in MAIL FROM, which nothing vouches for, nobody
            # else shall on our behalf.
            recipients = tuple(replace(recipient, notify=_NEVER) for recipient in recipients)
            envelope = replace(envelope, ret="HDRS" if envelope.ret else None)
        return replace(
            envelope,
            recipients=recipients,
            body="7BIT" if self._is_8bit is False else "8BITMIME",
            smtputf8=smtputf8,
            declared_octets=self._octets.size_octets,
        )

    def _digest(self, batch: list[QueueRecipient], done: TransactionDone, session: RelaySession) -> bool:
        """Turn replies into outcomes. False: this host is no use for the rest."""
        if done.refused_at_mail and (reply := done.replies[0]) is not None and reply.is_transient:
            self._failures.append((reply, session.name))  # perhaps another host has room
            self._refused_by.add(session.target)
            return False
        closed = not session.is_usable
        progress = any(reply is not None and reply.is_positive for reply in done.replies)
        known: list[tuple[QueueRecipient, Outcome, bool]] = []
        for number, (recipient, reply) in enumerate(zip(batch, done.replies, strict=True)):
            if reply is None:
                early = _ended_early(session)
                if done.may_be_delivered:
                    # RFC 5321 §4.5.3.2.6: perhaps the answer was lost and the message was not; another host
                    # would double it now.
                    known.append((recipient, self._outcome(recipient, "deferred", early, session), True))
                else:
                    self._failures.append((early, session.name))
            elif number in done.postponed:
                if not progress or closed:
                    known.append((recipient, self._outcome(recipient, "deferred", reply, session), False))
            elif reply.code == 421:
                self._failures.append((reply, session.name))
            else:
                result = "delivered" if reply.is_positive else "deferred" if reply.is_transient else "failed"
                known.append((recipient, self._outcome(recipient, result, reply, session), False))
        self._settle_many(known)
        return not closed

    def _outcome(
        self, recipient: QueueRecipient, result: str, reply: Reply, session: RelaySession
    ) -> Outcome:
        has_dsn = "DSN" in session.extensions
        if result == "delivered":
            return Outcome(
                recipient_id=recipient.id,
                result="delivered",
                reply=reply,
                remote=session.name,
                remote_has_dsn=has_dsn,
            )
        return Outcome(
            recipient_id=recipient.id,
            result="failed" if result == "failed" else "deferred",
            reply=reply,
            remote=session.name,
            remote_has_dsn=has_dsn,
        )

    def _settle_all(self, batch: list[QueueRecipient], reply: Reply, remote: str) -> None:
        self._settle_many(
            [
                (row, Outcome(recipient_id=row.id, result="failed", reply=reply, remote=remote), False)
                for row in batch
            ]
        )

    def _settle_rest(self, result: str, reply: Reply, remote: str) -> None:
        self._settle_many(
            [
                (
                    row,
                    Outcome(
                        recipient_id=row.id,
                        result="failed" if result == "failed" else "deferred",
                        reply=reply,
                        remote=remote,
                    ),
                    False,
                )
                for row in self._pending.values()
            ]
        )

    def _settle_many(self, known: list[tuple[QueueRecipient, Outcome, bool]]) -> None:
        """First all of it is kept, then told: a fault in telling costs no outcome. The third: may it be a
        duplicate?"""
        for recipient, outcome, _ in known:
            self._outcomes[recipient.id] = outcome
            del self._pending[recipient.id]
        for recipient, outcome, may_be_duplicate in known:
            self._tell(recipient, outcome, may_be_duplicate)

    def _tell(self, recipient: QueueRecipient, outcome: Outcome, may_be_duplicate: bool) -> None:
        around, job = self._around, self._job
        around.metrics.count("sekisho_relay_attempts_total", result=outcome.result)
        around.journal.record(
            Entry(
                "relay.attempt",
                job.message_id,
                {
                    "reverse_path": str(job.envelope.reverse_path),
                    "recipient": str(recipient.recipient.address),
                    "next_hop": job.next_hop,
                    "remote": outcome.remote,
                    "result": outcome.result,
                    "reply": str(outcome.reply),
                    "cause": outcome.reply.cause if outcome.reply is not None else "",
                    "attempt": recipient.attempts,
                    "age_seconds": max(0, around.clock.now_us() - job.arrived_at_us) / SECOND_US,
                    "took_seconds": round(around.clock.monotonic() - self._started, 3),
                    "tls": self._session.tls_version if self._session is not None else None,
                    **self._way(),
                    "interrupted": outcome.interrupted,
                    "may_be_duplicate": may_be_duplicate,
                },
                (str(recipient.recipient.address), job.next_hop),
            )
        )

    def _way(self) -> dict[str, JournalValue]:
        """Under which policy the attempt was, and what was proved."""
        if self._session is not None:
            return {"policy": self._session.demand.source, "proof": self._session.proof}
        demand = self._security.demand
        return {"policy": demand.source, "proof": ""} if demand is not None else {}


def _ended_early(session: RelaySession) -> Reply:
    refused = (
        f" (it had answered STARTTLS with: {session.tls_refused})" if session.tls_refused is not None else ""
    )
    text = (
        f"The session with {session.name} ended early: "
        f"{session.last_reason or 'the connection was lost'}{refused}"
    )
    return Reply.of(451, "4.4.2", text, cause="broken")
