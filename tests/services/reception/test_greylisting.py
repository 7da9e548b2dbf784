"""Reception and greylisting: who waits, who passes at once, who waits for the reply instead, and that nobody
waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.services.smtp_world import HOSTNAME, OWNER, World, codes, reply, talk

from sekisho.config.schema import QueueSettings, ReceptionSettings
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.greylist import SECOND_US, GreylistRules, GreylistTry
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.reputation import Expected
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.content import ContentProbe
from sekisho.probes.greylist import GreylistProbe
from sekisho.probes.reputation import Organizations, ReputationProbe
from sekisho.probes.table import Probes
from sekisho.services.experience import Experience
from sekisho.services.reception.greylisting import Greylisting, GreylistPorts
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.services.reception.reception import Reception
from sekisho.services.reception.tools import ReceptionConfig, ReceptionTools
from sekisho.testing.stream import MemoryStream
from sekisho.testing.zones import ZoneResolver

ZONE = """
stranger.example    TXT "no policy"
other.example       TXT "no policy"
signed.example      TXT "v=spf1 ip4:192.0.2.0/24 -all"
$SERVFAIL dead.example
local.example       TXT "v=spf1 -all"
"""
LETTER = b"From: x@stranger.example\r\nSubject: hello\r\n\r\nHow are you?"
CODE = (
    b"From: x@stranger.example\r\nSubject: Sign in\r\nContent-Type: text/html\r\n\r\n<p>Your "
    b"verification code:<br><b>482913</b></p>"
)
WAITED = "451 4.7.1 "


@dataclass
class GreyWorld(World):
    waiting: GreylistRules = field(default_factory=GreylistRules)
    rules: dict[str, Any] = field(default_factory=dict)
    modes: dict[str, Any] = field(default_factory=dict)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    slots: int = 100

    async def fill(self) -> "GreyWorld":
        await super().fill()
        store, resolver, organizations = self.store, ZoneResolver(ZONE), Organizations(self.clock)
        rules = DoorRules(waiting=self.waiting, modes=self.modes, **self.rules)
        experience = Experience(
            store.reputation, store.judgements, organizations, lambda: BudgetedResolver(resolver), self.clock
        )
        probes = Probes(
            reputation=ReputationProbe(store.reputation, organizations, rules.experience),
            content=ContentProbe(),
            greylist=GreylistProbe(store.greylist, rules.experience),
            sender=True,
        )
        ports = GreylistPorts(store.greylist, self.clock, self.journal, self.metrics)
        tools = DoorTools(
            directory=store.directory,
            budgeted=lambda: BudgetedResolver(resolver),
            journal=self.journal,
            probes=probes,
            experience=experience,
            greylisting=Greylisting(rules.waiting, self.slots, ports),
        )
        self.inspector = DoorInspector(HOSTNAME, rules, (), tools)
        return self

    def reception(self) -> Reception:
        tools = ReceptionTools(
            spool=self.store.spool,
            recipients=self.recipients,
            inspector=self.inspector,
            clock=self.clock,
            dice=self.dice,
            journal=self.journal,
            metrics=self.metrics,
            shutdown=self.shutdown,
            owner=lambda: OWNER,
            started=self.jobs.extend,
            sleep=self.sleep,
        )
        return Reception(
            tools,
            ReceptionConfig(
                hostname=HOSTNAME,
                limits=self.limits,
                reception=ReceptionSettings(),
                queue=QueueSettings(),
                ledger=self.ledger,
            ),
        )

    async def hand_in(
        self,
        content: bytes = LETTER,
        sender: str = "x@stranger.example",
        to: str = "user@local.example",
        client: str = "192.0.2.7",
    ) -> str:
        stream = await self.send(content, sender, to, client)
        (answer,) = await reply(stream)
        await stream.close()
        return answer

    async def send(self, content: bytes, sender: str, to: str, client: str) -> MemoryStream:
        """All but the last reply."""
        stream = self.connect(address=client)
        await talk(stream, b"", b"EHLO bot\r\n", f"MAIL FROM:<{sender}>\r\n".encode())
        assert codes(await talk(stream, f"RCPT TO:<{to}>\r\n".encode(), b"DATA\r\n")) == [250, 354]
        stream.write(content + b"\r\n.\r\n")
        return stream

    def last(self, kind: str = "reception.evidence") -> dict[str, Any]:
        return dict([entry for entry in self.journal.entries if entry.kind == kind][-1].fields)

    def counted(self, **labels: str) -> float:
        return self.metrics.values.get(("sekisho_greylist_total", tuple(labels.items())), 0.0)


async def test_a_stranger_waits_and_comes_back_from_another_host() -> None:
    world = await GreyWorld().fill()
    assert (await world.hand_in()).startswith(WAITED)
    assert world.last()["greylist_key"] == "network:192.0.2.0/24 stranger.example"
    world.clock.advance(30)
    assert (await world.hand_in(client="192.0.2.99")).startswith(WAITED)
    assert "after only 30 s" in world.last()["because"]
    world.clock.advance(31)
    assert (await world.hand_in(client="192.0.2.99")).startswith("250")
    assert len(await world.mailbox("user")) == 1
    assert (
        world.counted(result="delayed"),
        world.counted(result="too_early"),
        world.counted(result="came_back"),
    ) == (1, 1, 1)
    assert world.metrics.values["sekisho_greylist_returns_total", (("within", "2m"),)] == 1
    assert (await world.hand_in(to="other@local.example", client="192.0.2.200")).startswith(
        "250"
    )  # it is known now
    assert (await world.hand_in(client="198.51.100.7")).startswith(WAITED)  # from elsewhere it is not


@pytest.mark.parametrize(
    "how",
    [
        {"content": CODE},
        {"sender": "x@signed.example", "content": LETTER.replace(b"stranger", b"signed")},
        {"to": "postmaster@local.example"},
    ],
    ids=["a login code", "SPF", "postmaster"],
)
async def test_others_pass_at_once(how: dict[str, Any]) -> None:
    world = await GreyWorld().fill()
    assert (await world.hand_in(**how)).startswith("250")
    assert await world.store.greylist.listing(10) == []


async def test_who_expects_mail_gets_it_at_once() -> None:
    world = await GreyWorld().fill()
    until_us = world.clock.now_us() + 600 * SECOND_US
    await world.store.reputation.expect(Expected(world.accounts["user"].id, until_us, "@stranger.example"))
    assert (await world.hand_in(to="other@local.example")).startswith(WAITED)
    assert (await world.hand_in()).startswith("250")
    world.clock.advance(601)
    assert (await world.hand_in(sender="y@other.example", client="198.51.100.7")).startswith(WAITED)


async def test_one_recipient_that_expects_mail_is_enough_for_all() -> None:
    world = await GreyWorld().fill()
    await world.store.reputation.expect(
        Expected(world.accounts["other"].id, world.clock.now_us() + 600 * SECOND_US)
    )
    assert (await world.hand_in(to="both@local.example")).startswith("250")
    assert len(await world.mailbox("user")) == 1


async def test_observing_lets_in_and_remembers_nobody() -> None:
    world = await GreyWorld(modes={"greylist": "observe"}).fill()
    assert (await world.hand_in()).startswith("250")
    assert (world.last()["rule"], world.last()["observed"], world.last()["verdict"]) == (
        "greylist",
        True,
        "accept",
    )
    assert await world.store.greylist.listing(10) == []


async def test_whoever_cannot_be_written_down_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await GreyWorld().fill()

    async def fails(*arguments: Any) -> GreylistTry:
        raise StoreUnavailable("full")

    monkeypatch.setattr(world.store.greylist, "change", fails)
    assert (await world.hand_in()).startswith("250")
    monkeypatch.setattr(world.store.greylist, "tried", fails)
    assert (await world.hand_in(client="198.51.100.7")).startswith("250")


async def test_a_known_sender_is_written_down_once_an_hour() -> None:
    world = await GreyWorld().fill()
    await world.hand_in()
    world.clock.advance(61)
    await world.hand_in()
    ((first),) = await world.store.greylist.listing(10)
    world.clock.advance(600)
    await world.store.reputation.forget("client:192.0.2.7")
    for pair in await world.store.reputation.listing("pair:", 10):
        await world.store.reputation.forget(pair.key)
    assert (await world.hand_in()).startswith("250")
    assert await world.store.greylist.listing(10) == [first]


class Sleeper:
    """A sleep that the test ends."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.begun, self.over = asyncio.Event(), asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.begun.set()
        await self.over.wait()


TARPIT = GreylistRules(tarpit_us=65 * SECOND_US)


async def waiting_client(world: GreyWorld, sleeper: Sleeper) -> MemoryStream:
    stream = await world.send(LETTER, "x@stranger.example", "user@local.example", "192.0.2.7")
    await asyncio.wait_for(sleeper.begun.wait(), 20)
    return stream


async def test_a_client_that_waits_for_its_reply_need_not_come_back() -> None:
    sleeper = Sleeper()
    world = await GreyWorld(waiting=TARPIT, sleep=sleeper).fill()
    stream = await waiting_client(world, sleeper)
    stream.write(b"NOOP\r\n")  # may come before the reply (RFC 2920 §3.1)
    sleeper.over.set()
    answers: list[str] = []
    while len(answers) < 2:
        answers += await reply(stream)
    assert codes(answers) == [250, 250] and sleeper.asked == [65.0]
    assert len(await world.mailbox("user")) == 1
    ((known),) = await world.store.greylist.listing(10)
    assert known.tried.passed_at_us and world.counted(result="stayed") == 1
    assert world.last()["verdict"] == "accept"
    await stream.close()


async def test_a_client_that_hangs_up_may_come_back_later() -> None:
    sleeper = Sleeper()
    world = await GreyWorld(waiting=TARPIT, sleep=sleeper).fill()
    stream = await waiting_client(world, sleeper)
    await stream.close()
    await asyncio.wait_for(asyncio.gather(*world.tasks, return_exceptions=True), 20)
    assert await world.mailbox("user") == [] and world.counted(result="left") == 1
    world.clock.advance(120)
    assert (await world.hand_in()).startswith("250")


async def test_a_shutdown_waits_for_nobody() -> None:
    sleeper = Sleeper()
    world = await GreyWorld(waiting=TARPIT, sleep=sleeper).fill()
    stream = await waiting_client(world, sleeper)
    world.shutdown.set()
    answers = await reply(stream)
    assert answers[0].startswith(WAITED) and await world.mailbox("user") == []
    await asyncio.wait_for(asyncio.gather(*world.tasks), 20)


async def test_only_so_many_wait_at_once() -> None:
    sleeper = Sleeper()
    world = await GreyWorld(waiting=TARPIT, sleep=sleeper, slots=1).fill()
    stream = await waiting_client(world, sleeper)
    assert (await world.hand_in(sender="x@other.example", client="198.51.100.7")).startswith(WAITED)
    sleeper.over.set()
    assert codes(await reply(stream)) == [250]
    assert (await world.hand_in(LETTER, client="203.0.113.7")).startswith("250")  # there is room again
    await stream.close()


async def rcpt(world: GreyWorld, sender: str, *recipients: str) -> list[str]:
    stream = world.connect()
    await talk(stream, b"", b"EHLO bot\r\n", f"MAIL FROM:<{sender}>\r\n".encode())
    answers = await talk(stream, *(f"RCPT TO:<{address}>\r\n".encode() for address in recipients))
    await stream.close()
    return answers


async def test_a_domain_that_does_not_exist_is_put_off_at_once() -> None:
    world = await GreyWorld().fill()
    answers = await rcpt(
        world, "x@nowhere.example", "user@local.example", "other@local.example", "postmaster@local.example"
    )
    assert codes(answers) == [450, 450, 250] and answers[0].startswith("450 4.1.8 ") and "(id " in answers[0]
    assert world.last("reception.recipient_refused")["rule"] == "unknown-sender-domain"
    refusing = await GreyWorld(rules={"refuses_senders": True}).fill()
    assert (await rcpt(refusing, "x@nowhere.example", "user@local.example"))[0].startswith("550 5.1.8 ")


@pytest.mark.parametrize(
    "sender", ["x@dead.example", "", "x@[192.0.2.7]", "x@stranger.example", "y@caught.example"]
)
async def test_what_exists_or_could_not_be_known_is_not_put_off_for_it(sender: str) -> None:
    """A domain of ours exists, whatever the DNS says of it."""
    world = await GreyWorld().fill()
    assert codes(await rcpt(world, sender, "user@local.example")) == [250]


async def test_observed_or_switched_off_nobody_asks_early() -> None:
    for mode in ("observe", "off"):
        world = await GreyWorld(modes={"unknown-sender-domain": mode, "greylist": "off"}).fill()
        assert codes(await rcpt(world, "x@nowhere.example", "user@local.example")) == [250]
    world = await GreyWorld(modes={"unknown-sender-domain": "observe", "greylist": "off"}).fill()
    assert (await world.hand_in(sender="x@nowhere.example")).startswith("250")
    assert (world.last()["rule"], world.last()["observed"], world.last()["sender_domain"]) == (
        "unknown-sender-domain",
        True,
        "missing",
    )
