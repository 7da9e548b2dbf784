"""A message at the door by its content: into Junk with the reason on it, for whom it is junk; scanners that
answer and that do not."""

from typing import Any

from tests.adapters.scanners.fakes import FakeClamd, FakeRspamd, listening
from tests.probes.test_attachments import message as message_with
from tests.probes.test_attachments import program
from tests.services.reception.test_inspector import ZONE, _deliver
from tests.services.smtp_world import HOSTNAME, World, codes

from sekisho.adapters.scanners.clamd import ClamdScanner
from sekisho.adapters.scanners.rspamd import RspamdScanner
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.classifier.features import features_of
from sekisho.core.policy.classifier.reading import client_hop, read_message
from sekisho.core.policy.door.rule import DoorRules
from sekisho.ports.classifier import Taught
from sekisho.ports.scanners import parse_place
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.content import ContentProbe
from sekisho.probes.table import Probes
from sekisho.services.classifier import LiveClassifier
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.testing.clock import ManualClock
from sekisho.testing.zones import ZoneResolver

LETTER = (
    b"From: a@good.example\r\nSubject: minutes\r\n\r\nThe agenda of the meeting is attached; see you "
    b"at lunch. %b\r\n"
)
OFFER = (
    b"From: a@good.example\r\nSubject: win now\r\n\r\nClaim your casino bonus, dear winner! The "
    b"jackpot is guaranteed: call. %b\r\n"
)


def inspect(world: World, **probe: Any) -> None:
    resolver = ZoneResolver(ZONE)
    content = ContentProbe(**probe)
    tools = DoorTools(
        directory=world.store.directory,
        budgeted=lambda: BudgetedResolver(resolver),
        journal=world.journal,
        probes=Probes(content=content),
    )
    world.inspector = DoorInspector(HOSTNAME, DoorRules(), [], tools)


def world_with(**probe: Any) -> World:
    world = World()
    inspect(world, **probe)
    return world


async def taught(world: World) -> LiveClassifier:
    """Knows offers as junk."""
    classifier = LiveClassifier(world.store.lessons, world.clock, world.journal)
    lessons = [
        Taught(
            key=f"{number}{is_spam}",
            account_id=0,
            is_spam=is_spam,
            features=features_of(read_message(text % f"w{number}".encode())).to_octets(),
        )
        for number in range(100)
        for is_spam, text in ((True, OFFER), (False, LETTER))
    ]
    await world.store.lessons.teach(lessons)
    await classifier.fit()
    return classifier


async def test_junk_has_its_reason_on_it() -> None:
    world = World()
    classifier = await taught(world)
    inspect(world, classifier=classifier)
    await world.fill()
    forged = b"X-Junk-Reason: none at all\r\n"
    assert codes(await _deliver(world, forged + OFFER % b"today")) == [250]
    (junk,) = await world.mailbox("user", "Junk")
    header = HeaderSection(junk)
    (reason,) = header.values(b"x-junk-reason")
    assert reason.startswith(b"content-junk; its words and build score ") and b"jackpot" in reason
    assert [field.name for field in header.fields][:4] == [
        b"return-path",
        b"x-junk-reason",
        b"authentication-results",
        b"received",
    ]
    assert codes(await _deliver(world, LETTER % b"today")) == [250]
    (letter,) = await world.mailbox("user")
    assert HeaderSection(letter).count(b"x-junk-reason") == 0
    assert b"from client.example (client.example [192.0.2.7])" in letter  # as later lessons read it
    await classifier.close()


async def test_an_untaught_classifier_says_nothing() -> None:
    world = World()
    inspect(world, classifier=LiveClassifier(world.store.lessons, world.clock, world.journal))
    await world.fill()
    assert codes(await _deliver(world, OFFER % b"today")) == [250]
    assert len(await world.mailbox("user")) == 1


async def test_a_program_goes_into_junk() -> None:
    world = await world_with().fill()
    assert codes(await _deliver(world, message_with(("holiday.jpg", program())))) == [250]
    (junk,) = await world.mailbox("user", "Junk")
    assert HeaderSection(junk).first(b"x-junk-reason") == b"dangerous-attachment; program: holiday.jpg"
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "reception.evidence"]
    assert entry.fields["content"] == "attachments: 1, program: holiday.jpg"


async def test_scanners_are_asked() -> None:
    clamd, rspamd, clock = FakeClamd(), FakeRspamd(), ManualClock()
    rspamd.answer = {
        "score": 7.0,
        "required_score": 15,
        "action": "add header",
        "symbols": {"X": {"name": "X", "score": 7.0}},
    }
    async with listening(clamd.serve) as clamd_place, listening(rspamd.serve) as rspamd_place:
        world = await world_with(
            clamav=ClamdScanner(parse_place(clamd_place), clock, timeout_seconds=5),
            rspamd=RspamdScanner(parse_place(rspamd_place), clock, password="", timeout_seconds=5),
        ).fill()
        answer = await _deliver(world, LETTER % b"EVIL")
        assert codes(answer) == [550] and "virus" in answer[0]
        assert codes(await _deliver(world, LETTER % b"good")) == [250]
        (junk,) = await world.mailbox("user", "Junk")
        assert (HeaderSection(junk).first(b"x-junk-reason") or b"").startswith(
            b"rspamd; add header, score 7 of 15: X (7)"
        )
        assert clamd.scanned[1] == rspamd.requests[1][1] == LETTER % b"good" + b"\r\n"
        assert dict(rspamd.requests[1][0])["hostname"] == "client.example"


async def test_scanners_that_do_not_answer_stop_nothing() -> None:
    nowhere, clock = parse_place("127.0.0.1:1"), ManualClock()
    world = await world_with(
        clamav=ClamdScanner(nowhere, clock, timeout_seconds=5),
        rspamd=RspamdScanner(nowhere, clock, password="", timeout_seconds=5),
    ).fill()
    assert codes(await _deliver(world, LETTER % b"EVIL")) == [250]
    assert len(await world.mailbox("user")) == 1
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "reception.evidence"]
    assert entry.fields["clamav"] and entry.fields["rspamd"]


async def test_a_message_too_large_for_scanners() -> None:
    clamd = FakeClamd()
    async with listening(clamd.serve) as place:
        scanner = ClamdScanner(parse_place(place), ManualClock(), timeout_seconds=5)
        world = await world_with(clamav=scanner, scanner_octets=50).fill()
        assert codes(await _deliver(world, LETTER % b"EVIL")) == [250]
    assert clamd.scanned == []


def test_the_client_is_told_alike_at_the_door_and_from_the_mailbox() -> None:
    assert client_hop("[192.0.2.7]", "Client.Example", "192.0.2.7") == client_hop(
        "192.0.2.7", "client.example", "192.0.2.7"
    )
