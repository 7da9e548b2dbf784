"""The connection policy: what one client does before there is a message is counted and judged."""

from collections.abc import Sequence

from sekisho.core.policy.door.connection import (
    AT_GREETING,
    AT_MAIL,
    AT_RCPT,
    AT_REFUSED_RCPT,
    CONNECTION_RATE,
    EARLY_TALKER,
    HELO_FORGED,
)
from sekisho.core.policy.door.judge import judge
from sekisho.core.policy.door.rule import DoorVerdict, Rule
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greeting import EarlyFinding, HeloFinding
from sekisho.core.policy.rates import Measure, RateFinding
from sekisho.ports.stream import StreamTimeout
from sekisho.services.reception.watch import DoorWatch
from sekisho.services.smtp.connection import Connection
from sekisho.services.smtp.refusal import Refusal, Refusals

# From so many refused recipients of one connection on, each answer waits: guessing names becomes slow, a
# stale list does not.
SWIFT_REFUSALS = 20
SLOW_SECONDS = 1.0
MOST_SLOWED = 200  # connections of one worker
_BESIDES_CONNECTIONS: tuple[Measure, ...] = ("errors", "refused")
_NOT_EARLY = EarlyFinding()


class ConnectionPolicy:
    """Of one connection."""

    def __init__(self, watch: DoorWatch, refusals: Refusals) -> None:
        self._watch, self._refusals = watch, refusals
        self._connection: Connection = refusals.connection
        self._client = self._connection.stream.peer.address
        self._counts = watch.rules.mode(CONNECTION_RATE) != "off"
        self._refused = 0
        self.early = _NOT_EARLY
        self.helo: HeloFinding | None = None

    async def greet(self) -> Refusal | None:
        """Before the greeting: None, or why there is none."""
        watch, tools = self._watch, self._watch.tools
        is_known = bool(await tools.probe.vouched(self._client))
        if is_known:
            self._connection.stream.place.know()
        if watch.rules.mode(EARLY_TALKER) != "off" and await self._speaks_early(is_known=is_known):
            self.early = EarlyFinding(before_greeting=True)
        rate = await self._count("connections", _BESIDES_CONNECTIONS)
        if rate is None and not self.early.before_greeting:
            return None
        verdict = self._judge(AT_GREETING, Evidence(early=self.early, rate=rate))
        if verdict.reply is None:
            self._observe(verdict)
            return None
        network = tools.probe.network(self._client)
        id_ = watch.told(verdict.rule, network)
        if id_:
            return Refusal(
                reply=verdict.reply, rule=verdict.rule, because=verdict.because, id=id_, is_told=True
            )
        id_ = self._refusals.number()
        watch.tell(verdict.rule, network, id_)
        return Refusal(reply=verdict.reply, rule=verdict.rule, because=verdict.because, id=id_)

    async def _speaks_early(self, *, is_known: bool) -> bool:
        """The greeting waits only for strangers of whom the DNS says that no name leads back to them."""
        watch, tools, stream = self._watch, self._watch.tools, self._connection.stream
        if stream.has_input or not watch.greet_delay or is_known:
            return stream.has_input
        name = await tools.kept.iprev(tools.budgeted(), self._client)
        if name.result not in ("fail", "permerror"):
            return stream.has_input
        try:
            octets = await stream.read(watch.greet_delay)
        except StreamTimeout:
            return False
        stream.unread(octets)
        return bool(octets)

    def hello(self, *, is_early: bool) -> None:
        """EHLO came; `is_early`: with octets behind it, which only who knows our answer may send (RFC 2920
        §3.1)."""
        self.helo = None
        if is_early:
            self.early = EarlyFinding(self.early.before_greeting, behind_hello=True)

    async def mail(self) -> Refusal | None:
        rate = await self._count("messages")
        return self._turned(AT_MAIL, Evidence(rate=rate)) if rate is not None else None

    async def rcpt(self, *, is_role: bool) -> Refusal | None:
        """Of a recipient that exists. Postmaster and abuse are reached under any name."""
        rate = await self._count("recipients")
        if self.helo is None and self._watch.rules.mode(HELO_FORGED) != "off":
            self.helo = await self._watch.look_at_hello(self._connection.hello.name, self._connection.stream)
        helo = self.helo if self.helo is not None and self.helo.forgery and not is_role else None
        return (
            self._turned(AT_RCPT, Evidence(helo=helo, rate=rate))
            if helo is not None or rate is not None
            else None
        )

    async def refused_rcpt(self) -> Refusal | None:
        """Count one that does not exist. From some of them on the answer is slow in coming."""
        watch = self._watch
        self._refused += 1
        rate = await self._count("refused")
        if rate is not None and (refusal := self._turned(AT_REFUSED_RCPT, Evidence(rate=rate))) is not None:
            return refusal
        if (
            self._refused > SWIFT_REFUSALS
            and watch.rules.mode(CONNECTION_RATE) == "enforce"
            and watch.slowed < MOST_SLOWED
        ):
            watch.slowed += 1
            try:
                await watch.tools.pause(SLOW_SECONDS)
            finally:
                watch.slowed -= 1
        return None

    def ended(self) -> None:
        errors = self._connection.errors + int(self.early.behind_hello)
        if errors and self._counts:
            self._watch.tools.rates.add("errors", self._client, errors, self._watch.tools.clock.now_us())

    async def _count(self, measure: Measure, besides: Sequence[Measure] = ()) -> RateFinding | None:
        """Count one; what is known of the network, if that, or what was counted `besides`, is too much for a
        stranger."""
        if not self._counts:
            return None
        tools = self._watch.tools
        now_us = tools.clock.now_us()
        count = tools.rates.add(measure, self._client, 1, now_us)
        if not tools.probe.is_passed(self._client, measure, count, besides, now_us):
            return None
        return await tools.probe.look(self._client, (measure, *besides))

    def _turned(self, among: tuple[Rule, ...], evidence: Evidence) -> Refusal | None:
        verdict = self._judge(among, evidence)
        if verdict.reply is not None:
            return Refusal(reply=verdict.reply, rule=verdict.rule, because=verdict.because)
        self._observe(verdict)
        return None

    def _observe(self, verdict: DoorVerdict) -> None:
        """What is only observed is written down here, once a minute for each network."""
        if not verdict.observed:
            return
        watch, session = self._watch, self._connection.session
        network = watch.tools.probe.network(self._client)
        if not watch.told(verdict.rule, network):
            watch.tell(verdict.rule, network, session)
            self._refusals.observed(verdict.rule, verdict.because)

    def _judge(self, among: tuple[Rule, ...], evidence: Evidence) -> DoorVerdict:
        verdict = judge(evidence, self._watch.rules, among)
        if verdict.rule:
            action = "observed" if verdict.observed else verdict.action
            self._watch.tools.metrics.count("sekisho_door_verdicts_total", rule=verdict.rule, action=action)
        return verdict
