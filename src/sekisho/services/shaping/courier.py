"""The courier before the relay: asks which provider a message goes to, and whether it may go there now.

What may not is put off without an attempt, so that it holds up nothing else; what a provider answers slows
all mail for it. Pace and budgets are the store's, so of all workers; connections are shared out among them.
"""

import asyncio
from datetime import UTC, datetime

from msgspec.structs import replace

from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.routing import next_hop_for, parse_route
from sekisho.core.policy.shaping.pace import FREE, SECOND_US, Pace, admitted, eased, slowed
from sekisho.core.policy.shaping.provider import BY_NAME, Provider, group_of
from sekisho.core.policy.shaping.recognise import Recognised, recognise
from sekisho.core.policy.shaping.shape import Shape
from sekisho.core.policy.shaping.warmup import MANY_RECIPIENTS, Granted, Trouble, cold, granted, troubled
from sekisho.core.terms.dns import Mx
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.courier import Courier
from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.spool import Outcome, QueueJob, QueueRecipient
from sekisho.services.shaping.surroundings import ShapingMemory, ShapingPorts, ShapingRules, Slots

HEAD_OCTETS = 16_384
WAIT_SECONDS = 20.0  # for a connection, in memory
CROWDED_SECONDS = 5.0  # then from the queue
_BULK_FIELDS = (b"list-unsubscribe", b"list-id")


class ShapedCourier:
    """`ports.courier.Courier` around another one."""

    def __init__(
        self, inner: Courier, rules: ShapingRules, ports: ShapingPorts, memory: ShapingMemory
    ) -> None:
        self._inner, self._rules, self._ports, self._memory = inner, rules, ports, memory

    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        host, is_route = await self._host(job.next_hop) if self._rules.enabled else ("", False)
        if not host:
            return await self._inner.carry(job, octets)
        group = group_of(host)
        provider = BY_NAME.get(group)
        shape = await self._memory.shape(self._ports, self._rules.source, group)
        is_slow = not shape.pace.is_free
        may_go: QueueJob = job
        waits: tuple[Outcome, ...] = ()
        try:
            governed = provider if not is_route and await self._is_governed(shape) else None
            bulk = (governed is not None or is_slow) and await _is_bulk(job, octets)
            if is_slow and (put_off := await self._paced(job, group, bulk=bulk)):
                return put_off
            if governed is not None:
                may_go, waits = await self._budgeted(job, governed, bulk=bulk)
        except StoreUnavailable as error:
            self._record("queue.store_unavailable", job, {"error": str(error)})
            may_go, waits = job, ()
        said = await self._carry(may_go, octets, group, provider, shape) if may_go.recipients else ()
        known = {outcome.recipient_id: outcome for outcome in (*said, *waits)}
        return tuple(known[row.id] for row in job.recipients)

    async def _host(self, next_hop: str) -> tuple[str, bool]:
        """The best MX host, "" if the DNS does not say; and whether an operator named it."""
        hop = next_hop if parse_route(next_hop) is not None else next_hop_for(next_hop, self._rules.routes)
        route = parse_route(hop)
        if route is not None:
            return route.host, True
        answer = await self._ports.resolver.resolve(hop, "MX")
        hosts = [record for record in answer.records if isinstance(record, Mx) and record.host]
        if hosts:
            return min(hosts).host.rstrip(".").lower(), False
        return ("" if answer.is_unknown else hop), False

    async def _paced(self, job: QueueJob, group: str, *, bulk: bool) -> tuple[Outcome, ...]:
        """Outcomes of a job that must wait, or none."""
        now_us = self._ports.clock.now_us()

        def step(known: Shape) -> tuple[Shape, tuple[Shape, int]]:
            pace, at_us = admitted(known.pace, now_us, bulk=bulk)
            after = replace(known, pace=pace)
            return after, (after, at_us)

        after, at_us = await self._ports.shapes.change(self._rules.source, group, step)
        self._memory.note(self._rules.source, group, after)
        if at_us <= now_us:
            return ()
        text = (
            f"Waits here: {_title(group)} asked us to slow down ({after.pace.rule}); next at {_time(at_us)}"
        )
        return self._put_off(job, job.recipients, text, at_us, at_us)

    async def _is_governed(self, shape: Shape) -> bool:
        if shape.warmth is not None:
            return not shape.warmth.is_warm and self._rules.warmup != "off"
        mode = self._rules.warmup
        return mode == "on" or (mode == "auto" and not await self._memory.is_established(self._ports))

    async def _budgeted(
        self, job: QueueJob, provider: Provider, *, bulk: bool
    ) -> tuple[QueueJob, tuple[Outcome, ...]]:
        """Who may go today, and the outcomes of the others."""
        now_us, rules = self._ports.clock.now_us(), self._rules.budget

        def step(known: Shape) -> tuple[Shape, Granted]:
            warmth = known.warmth or cold(now_us, rules)
            result = granted(warmth, now_us, len(job.recipients), rules, bulk=bulk)
            return replace(known, warmth=result.warmth), result

        result = await self._ports.shapes.change(self._rules.source, provider.name, step)
        go, wait = job.recipients[: result.amount], job.recipients[result.amount :]
        if not wait:
            return job, ()
        text = (
            f"Waits here: this address is new to {provider.title}, which gets {result.warmth.budget} a day; "
            f"next at {_time(result.at_us)}, through about {_time(result.through_us)}"
        )
        return replace(job, recipients=go), self._put_off(job, wait, text, result.at_us, result.through_us)

    def _put_off(
        self, job: QueueJob, rows: tuple[QueueRecipient, ...], text: str, at_us: int, through_us: int
    ) -> tuple[Outcome, ...]:
        first = str(rows[0].recipient.address)
        self._record("shaping.waits", job, {"recipient": first, "recipients": len(rows), "because": text})
        reply = Reply.of(451, "4.7.1", text, cause="pace")
        return tuple(
            Outcome(
                recipient_id=row.id,
                result="deferred",
                reply=reply,
                retry_at_us=at_us,
                interrupted=True,
                through_us=through_us,
            )
            for row in rows
        )

    async def _carry(
        self, job: QueueJob, octets: MessageOctets, group: str, provider: Provider | None, shape: Shape
    ) -> tuple[Outcome, ...]:
        slots = self._memory.slots.setdefault(group, Slots())
        most = self._most(provider, shape.pace)
        try:
            if not await _entered(slots, most):
                at_us = self._ports.clock.now_us() + int(CROWDED_SECONDS * SECOND_US)
                text = f"Waits here: all connections to {_title(group)} are in use"
                return self._put_off(job, job.recipients, text, at_us, at_us)
            try:
                said = await self._inner.carry(job, octets)
            finally:
                slots.running -= 1
                slots.freed.set()
        finally:
            if not slots.running and not slots.waiting:
                self._memory.slots.pop(group, None)
        try:
            await self._learn(job, group, provider, said)
        except StoreUnavailable as error:
            self._record("queue.store_unavailable", job, {"error": str(error)})
        return said

    def _most(self, provider: Provider | None, pace: Pace) -> int:
        if provider is None:
            return min(pace.connections or self._rules.connections, self._rules.connections)
        return max(1, (pace.connections or provider.connections) // self._rules.workers)

    async def _learn(
        self, job: QueueJob, group: str, provider: Provider | None, said: tuple[Outcome, ...]
    ) -> None:
        """From the worst complaint; else, while the group is slowed, from what was delivered."""
        complaints = [found for outcome in said if (found := _complaint(outcome)) is not None]
        now_us, rules, source = self._ports.clock.now_us(), self._rules, self._rules.source
        if not complaints:
            shape = await self._memory.shape(self._ports, source, group)
            if not shape.pace.is_free and any(outcome.result == "delivered" for outcome in said):
                await self._ease(group, provider, now_us)
            return
        worst, reply = max(complaints, key=lambda complaint: complaint[0].rest_seconds)

        def step(known: Shape) -> tuple[Shape, tuple[Shape, Pace | None]]:
            pace = slowed(known.pace, now_us, worst, reply)
            trouble: Trouble = "blocked" if worst.rule.kind == "blocked" else "slowed"
            warmth = known.warmth
            if warmth is not None and pace is not None:
                warmth = troubled(warmth, now_us, trouble, rules.budget)
            after = replace(known, pace=pace or known.pace, warmth=warmth)
            return after, (after, pace)

        after, news = await self._ports.shapes.change(source, group, step)
        self._memory.note(source, group, after)
        if news is not None:
            self._ports.metrics.count("sekisho_shaping_slowed_total", group=group if provider else "other")
            fields: dict[str, JournalValue] = {
                "provider": group,
                "message": job.message_id,
                "rule": worst.rule.name,
                "reply": reply,
                "until": _time(news.closed_until_us),
                "per_minute": news.per_minute,
                "connections": news.connections,
                "alarm": worst.treatment.tells_operator,
            }
            self._ports.journal.record(Entry("shaping.slowed", "", fields, (group, job.next_hop)))

    async def _ease(self, group: str, provider: Provider | None, now_us: int) -> None:
        row = provider.connections if provider is not None else self._rules.connections

        def step(known: Shape) -> tuple[Shape, tuple[Shape, Pace | None]]:
            pace = eased(known.pace, now_us, row)
            after = replace(known, pace=pace) if pace is not None else known
            return after, (after, pace)

        after, news = await self._ports.shapes.change(self._rules.source, group, step)
        self._memory.note(self._rules.source, group, after)
        if news == FREE:
            entry = Entry("shaping.recovered", "", {"provider": group}, (group,))
            self._ports.journal.record(entry)

    def _record(self, kind: str, job: QueueJob, fields: dict[str, JournalValue]) -> None:
        self._ports.journal.record(Entry(kind, job.message_id, {"next_hop": job.next_hop, **fields}))


async def _entered(slots: Slots, most: int) -> bool:
    """One of `most` places; some may wait for one, the others come again from the queue."""
    if slots.running >= most:
        if slots.waiting >= 2 * most:
            return False
        slots.waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while slots.running >= most:
                    slots.freed.clear()
                    await slots.freed.wait()
        except TimeoutError:
            return False
        finally:
            slots.waiting -= 1
    slots.running += 1
    return True


async def _is_bulk(job: QueueJob, octets: MessageOctets) -> bool:
    if len(job.recipients) >= MANY_RECIPIENTS:
        return True
    try:
        section = HeaderSection(await octets.read(0, HEAD_OCTETS))
    except StoreUnavailable:
        return False
    precedence = (section.first(b"precedence") or b"").strip().lower()
    return precedence in (b"bulk", b"list") or any(section.first(name) is not None for name in _BULK_FIELDS)


def _complaint(outcome: Outcome) -> tuple[Recognised, str] | None:
    if outcome.reply is None or outcome.interrupted or outcome.result == "delivered":
        return None
    found = recognise(outcome.reply, outcome.remote)
    return (found, str(outcome.reply)) if found is not None and found.treatment.action != "none" else None


def _title(group: str) -> str:
    provider = BY_NAME.get(group)
    return provider.title if provider is not None else group


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / SECOND_US, UTC).strftime("%Y-%m-%d %H:%M UTC")
