"""What clients do before there is a message: floods, early talkers, names of ours, guessed recipients."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from tests.services.smtp_world import HOSTNAME, World, codes, reply, talk

from sekisho.adapters.process.rates import SharedRates
from sekisho.core.policy.door.connection import RATE_RULES
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.rates import Measure, RateLimits
from sekisho.core.policy.reputation import ReputationRules, of_event
from sekisho.core.terms.dns import Resolver
from sekisho.ports.directory import Domain
from sekisho.ports.journal import Entry
from sekisho.ports.reputation import Known
from sekisho.probes.kept import KeptFindings
from sekisho.probes.rate import RateProbe
from sekisho.services.reception.connection_policy import SLOW_SECONDS, SWIFT_REFUSALS
from sekisho.services.reception.watch import DoorWatch, WatchTools
from sekisho.testing.zones import ZoneResolver

LIMITS = RateLimits(
    window_seconds=600, connections=5, messages=5, recipients=8, errors=4, refused=30, known_factor=10
)
ZONE = """
7.2.0.192.in-addr.arpa     PTR client.example
client.example             A   192.0.2.7
$SERVFAIL 9.2.0.192.in-addr.arpa
mx.local.example           A   192.0.2.25
"""
HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\n"
USER = b"RCPT TO:<user@local.example>\r\n"
NOBODY = b"RCPT TO:<nobody@local.example>\r\n"


@dataclass
class Watched:
    """A world whose door is watched, and what its watch was seen to do."""

    rules: DoorRules = field(default_factory=lambda: DoorRules(limits=LIMITS))
    unchecked: str = "203.0.113.0/24"
    delay: float = 0.0
    pauses: list[float] = field(default_factory=list)
    resolver: Resolver = field(default_factory=lambda: ZoneResolver(ZONE))

    def __post_init__(self) -> None:
        self.world = World()
        self.rates = SharedRates(1, self.rules.limits.window_seconds)
        self.reputation = self.world.store.reputation
        probe = RateProbe(self.rates, self.rules.limits, self.world.clock, self.reputation, ReputationRules())

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)

        tools = WatchTools(
            rates=self.rates,
            probe=probe,
            directory=self.world.store.directory,
            budgeted=lambda: self.resolver,
            clock=self.world.clock,
            journal=self.world.journal,
            metrics=self.world.metrics,
            kept=KeptFindings(self.world.clock.monotonic),
            pause=pause,
        )
        self.world.watch = DoorWatch(HOSTNAME, self.rules, [ip_network(self.unchecked)], tools, self.delay)

    async def fill(self) -> "Watched":
        await self.world.fill()
        return self

    def did(self, measure: Measure, amount: int, client: str = "192.0.2.7") -> None:
        self.rates.add(measure, ip_address(client), amount, self.world.clock.now_us())

    async def greeting(self, client: str = "192.0.2.7") -> str:
        lines = await talk(self.world.connect(address=client), b"")
        return lines[-1]

    def entries(self, kind: str) -> list[Entry]:
        return [entry for entry in self.world.journal.entries if entry.kind == kind]

    def counted(self, rule: str, action: str) -> float:
        return self.world.metrics.values.get(
            ("sekisho_door_verdicts_total", (("action", action), ("rule", rule))), 0.0
        )


async def test_a_network_that_connects_too_often_waits_and_the_log_is_not_flooded() -> None:
    watched = await Watched().fill()
    assert [(await watched.greeting("192.0.2.9"))[:3] for _ in range(5)] == ["220"] * 5
    refusals = [await watched.greeting(f"192.0.2.{number}") for number in range(10, 20)]
    assert len(set(refusals)) == 1 and refusals[0].startswith(
        "421 4.7.0 Too many connections from your network"
    )
    (entry,) = watched.entries("reception.turned_away")
    assert entry.fields["rule"] == "connection-rate" and entry.id in refusals[0]
    assert watched.counted("connection-rate", "disconnect") == 10
    assert (await watched.greeting("198.51.100.1")).startswith("220 ")
    watched.world.clock.advance(1200)
    assert (await watched.greeting("192.0.2.10")).startswith("220 ")


async def test_who_is_known_for_good_mail_has_more_room() -> None:
    watched = await Watched().fill()
    watched.did("connections", 6)
    assert (await watched.greeting()).startswith("421 ")
    at_us = watched.world.clock.now_us()
    watched.reputation.learn([Known("network:192.0.2.0/24", of_event("accepted", at_us)) for _ in range(20)])
    assert (await watched.greeting()).startswith("220 ")
    watched.did("connections", 50)
    assert (await watched.greeting()).startswith("421 ")


async def test_messages_and_recipients_have_their_limits() -> None:
    watched = await Watched().fill()
    client = watched.world.connect()
    await talk(client, b"", HELLO)
    assert codes(await talk(client, *[line for _ in range(5) for line in (MAIL, b"RSET\r\n")])) == [250] * 10
    (line,) = await talk(client, MAIL)
    assert line.startswith("421 4.7.0 Too many messages") and await reply(client) == []
    (entry,) = watched.entries("reception.command_refused")
    assert (entry.fields["rule"], entry.fields["command"]) == ("message-rate", "MAIL") and entry.id in line
    watched.world.clock.advance(1200)
    client = watched.world.connect()
    await talk(client, b"", HELLO, MAIL)
    assert codes(await talk(client, *[USER] * 9)) == [250] * 8 + [450]
    assert codes(await talk(client, b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n")) == [
        354,
        250,
    ]  # for those that were taken


async def test_errors_count_over_connections() -> None:
    watched = await Watched().fill()
    for _ in range(2):
        client = watched.world.connect()
        assert codes(await talk(client, b"", b"NONSENSE\r\n", b"MORE\r\n", b"DATA\r\n", b"QUIT\r\n")) == [
            220,
            500,
            500,
            503,
            221,
        ]
        assert await reply(client) == []
    line = await watched.greeting()
    assert line.startswith("421 4.7.0 Too many errors") and watched.counted("error-flood", "disconnect") == 1


async def test_guessing_recipients_becomes_slow_and_then_ends() -> None:
    watched = await Watched().fill()
    client = watched.world.connect()
    await talk(client, b"", HELLO, MAIL)
    assert (
        codes(await talk(client, *[NOBODY] * SWIFT_REFUSALS)) == [550] * SWIFT_REFUSALS
        and watched.pauses == []
    )
    assert codes(await talk(client, *[NOBODY] * 10)) == [550] * 10 and watched.pauses == [SLOW_SECONDS] * 10
    (line,) = await talk(client, b"RCPT TO:<x@elsewhere.example>\r\n")
    assert line.startswith("421 4.7.0 Too many refused recipients") and await reply(client) == []
    assert (await watched.greeting("192.0.2.77")).startswith("421 4.7.0 Too many refused recipients")


async def test_slow_answers_are_bounded() -> None:
    watched = await Watched(rules=DoorRules(limits=replace(LIMITS, refused=0))).fill()
    assert watched.world.watch is not None
    watched.world.watch.slowed = 200
    client = watched.world.connect()
    await talk(client, b"", HELLO, MAIL, *[NOBODY] * (SWIFT_REFUSALS + 5))
    assert watched.pauses == []


async def test_who_talks_before_the_greeting_is_sent_away() -> None:
    watched = await Watched().fill()
    client = watched.world.connect()
    client.write(HELLO)
    (line,) = await reply(client)
    assert line.startswith("421 4.5.1 Commands came before the greeting") and await reply(client) == []
    (entry,) = watched.entries("reception.turned_away")
    assert entry.fields["rule"] == "early-talker" and entry.id in line


async def test_the_greeting_waits_only_for_strangers_without_a_name() -> None:
    watched = await Watched(delay=1.0).fill()
    assert (await watched.greeting("192.0.2.7")).startswith("220 ")  # its name leads back
    assert (await watched.greeting("192.0.2.9")).startswith("220 ")  # the DNS does not say
    waiting = watched.world.connect(address="192.0.2.8")
    assert not waiting.has_input
    waiting.write(b"EHLO x\r\n")
    assert codes(await reply(waiting)) == [421]
    patient = watched.world.connect(address="192.0.2.8")
    patient.other.expire()
    assert codes(await reply(patient)) == [220]
    at_us = watched.world.clock.now_us()
    watched.reputation.learn([Known("client:192.0.2.8", of_event("accepted", at_us)) for _ in range(20)])
    assert (await watched.greeting("192.0.2.8")).startswith("220 ")


async def test_who_is_gone_before_the_greeting_is_no_early_talker() -> None:
    watched = await Watched(delay=1.0).fill()
    client = watched.world.connect(address="192.0.2.8")
    await client.close()
    await watched.world.tasks[-1]
    assert watched.entries("reception.turned_away") == []


async def test_talking_behind_hello_counts_as_an_error() -> None:
    watched = await Watched().fill()
    client = watched.world.connect()
    await talk(client, b"", HELLO + MAIL)
    assert codes(await talk(client, b"QUIT\r\n")) == [221]
    await watched.world.tasks[-1]
    assert watched.rates.total("errors", ip_address("192.0.2.7"), watched.world.clock.now_us()) == 1


async def test_a_stranger_under_our_name_reaches_only_postmaster() -> None:
    watched = await Watched().fill()
    for name in (HOSTNAME, HOSTNAME.upper(), "local.example"):
        client = watched.world.connect()
        await talk(client, b"", f"EHLO {name}\r\n".encode(), MAIL)
        (line,) = await talk(client, USER)
        assert line.startswith("550 5.7.1 ") and "name of this server" in line
        assert codes(await talk(client, b"RCPT TO:<postmaster@local.example>\r\n")) == [250]
    assert [entry.fields["rule"] for entry in watched.entries("reception.recipient_refused")] == [
        "helo-forged"
    ] * 3
    client = watched.world.connect(address="192.0.2.25")  # this machine
    assert codes(await talk(client, b"", f"EHLO {HOSTNAME}\r\n".encode(), MAIL, USER))[-1] == 250
    client = watched.world.connect()
    assert codes(await talk(client, b"", b"EHLO [192.0.2.25]\r\n", MAIL, USER))[-1] == 250


async def test_names_that_are_not_ours_are_looked_up_once_a_minute() -> None:
    watched = await Watched().fill()
    directory, asked = watched.world.store.directory, []
    real = directory.domain

    async def domain(name: str) -> Domain | None:
        asked.append(name)
        return await real(name)

    directory.domain = domain  # type: ignore[method-assign]
    for _ in range(3):
        assert codes(await talk(watched.world.connect(), b"", HELLO, MAIL, USER))[-1] == 250
    assert asked.count("client.example") == 1
    await directory.add_domain(Domain("client.example", 0))
    watched.world.clock.advance(61)
    assert (
        codes(await talk(watched.world.connect(address="192.0.2.9"), b"", HELLO, MAIL, USER))[-1] == 550
    )  # ours by now
    assert asked.count("client.example") == 2


async def test_what_only_observes_is_written_down_once_a_minute() -> None:
    rules = DoorRules(
        modes={"early-talker": "observe", **dict.fromkeys(RATE_RULES, "observe"), "helo-forged": "observe"},
        limits=replace(LIMITS, messages=1),
    )
    watched = await Watched(rules=rules).fill()
    for _ in range(4):
        client = watched.world.connect()
        client.write(b"NOOP\r\n")
        await reply(client)
        assert codes(await talk(client, f"EHLO {HOSTNAME}\r\n".encode(), MAIL, USER))[-1] == 250
    rules_told = [
        (entry.fields["rule"], entry.fields["observed"]) for entry in watched.entries("reception.turned_away")
    ]
    assert rules_told == [("early-talker", True), ("helo-forged", True), ("message-rate", True)]
    assert watched.counted("early-talker", "observed") == 4


async def test_nobody_watches_whom_the_operator_exempts_or_what_is_off() -> None:
    watched = await Watched(unchecked="192.0.2.0/24").fill()
    watched.did("connections", 1000)
    assert (await watched.greeting()).startswith("220 ")
    watched = await Watched(
        rules=DoorRules(
            modes={**dict.fromkeys(RATE_RULES, "off"), "early-talker": "off", "helo-forged": "off"},
            limits=LIMITS,
        )
    ).fill()
    watched.did("connections", 1000)
    client = watched.world.connect()
    client.write(b"NOOP\r\n")
    await reply(client)
    assert codes(await talk(client, f"EHLO {HOSTNAME}\r\n".encode(), MAIL, USER))[-1] == 250
