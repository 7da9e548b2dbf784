"""What outgoing mail looks like, as advice: what each check says, or nothing."""

from collections.abc import Iterable

import pytest
from tests.adapters.scanners.fakes import FakeClamd, FakeRspamd, listening
from tests.probes.test_attachments import message as message_with
from tests.probes.test_attachments import program

from sekisho.adapters.scanners.clamd import ClamdScanner
from sekisho.adapters.scanners.rspamd import RspamdScanner
from sekisho.adapters.stores.memory.content import MemoryContentWriter
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.classifier.features import Tokens
from sekisho.core.policy.classifier.knowledge import Opinion, Teachings
from sekisho.core.policy.contentrules import ContentRules
from sekisho.core.policy.takeover.sending import Said
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.identity import Identity
from sekisho.ports.classifier import Verdicts
from sekisho.ports.scanners import parse_place
from sekisho.probes.content import ContentProbe
from sekisho.services.submission.content import PLENTY, SAMPLE, OutgoingContent
from sekisho.services.submission.seams import Submitted
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal

SENDER, OTHER = Address("a", "local.example"), Address("b", "other.example")
CASINO = b"From: a@local.example\r\n\r\nSee you in the casino\r\n"
SAYS_CASINO = (Said("content", "0.90; casino"),)


class CasinoClassifier:
    is_ready = True

    async def catch_up(self) -> None:
        pass

    def judge(self, tokens: Tokens, account_ids: Iterable[int] = ()) -> Verdicts:
        opinion = (
            Opinion(0.9, (Teachings("casino", 0.2), Teachings("lunch", -0.1)))
            if "casino" in tokens.words
            else Opinion(-0.9)
        )
        return Verdicts(opinion)


class Outgoing:
    """The check beside its clock and journal."""

    def __init__(self, probe: ContentProbe) -> None:
        self.clock, self.journal = ManualClock(), MemoryJournal()
        self.check = OutgoingContent(probe, ContentRules(), self.clock, self.journal)

    async def says(self, octets: bytes, *, elsewhere: bool = True, account_id: int = 1) -> tuple[Said, ...]:
        return await self.check.says(submitted(octets, elsewhere=elsewhere, account_id=account_id))


def submitted(octets: bytes, *, elsewhere: bool = True, account_id: int = 1) -> Submitted:
    writer = MemoryContentWriter()
    writer.write(octets)
    envelope = Envelope(reverse_path=ReversePath(SENDER), recipients=(Recipient(OTHER),))
    identity = Identity(account_id=account_id, address=SENDER)
    return Submitted(
        message_id="id",
        identity=identity,
        envelope=envelope,
        header=HeaderSection(octets),
        content=writer,
        authors=(SENDER,),
        elsewhere=(OTHER,) if elsewhere else (),
    )


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (CASINO, SAYS_CASINO),
        (b"From: a@local.example\r\n\r\nSee you at lunch\r\n", ()),
        (message_with(("x.pdf", program())), (Said("attachment", "program: x.pdf"),)),
    ],
)
async def test_what_it_says(octets: bytes, says: tuple[Said, ...]) -> None:
    outgoing = Outgoing(ContentProbe(classifier=CasinoClassifier()))
    assert await outgoing.says(octets) == says
    assert len(outgoing.journal.entries) == len(says)
    assert await outgoing.says(octets, elsewhere=False) == ()


async def test_viruses_and_large_messages() -> None:
    fake = FakeClamd()
    async with listening(fake.serve) as place:
        scanner = ClamdScanner(parse_place(place), ManualClock(), timeout_seconds=5)
        outgoing = Outgoing(ContentProbe(classifier=None, clamav=scanner, scanner_octets=1000))
        assert await outgoing.says(b"From: a\r\n\r\nEVIL") == (Said("virus", "Test.Evil.UNOFFICIAL"),)
        assert await outgoing.says(b"From: a\r\n\r\nEVIL" + b"x" * 2000) == ()
    found, unknown = outgoing.journal.entries
    assert found.kind == "submission.evidence" and found.fields["virus"] == "Test.Evil.UNOFFICIAL"
    assert unknown.fields == {
        "account": "a@local.example",
        "clamav": "the message is larger than scanner_octets",
    }


async def test_rspamd_is_told_who_sends() -> None:
    fake = FakeRspamd()
    fake.answer = {
        "score": 17.0,
        "required_score": 15,
        "action": "reject",
        "symbols": {"X": {"name": "X", "score": 17.0}},
    }
    async with listening(fake.serve) as place:
        outgoing = Outgoing(
            ContentProbe(
                classifier=None,
                rspamd=RspamdScanner(parse_place(place), ManualClock(), password="", timeout_seconds=5),
            )
        )
        assert await outgoing.says(CASINO) == (Said("rspamd", "reject, score 17 of 15: X (17)"),)
    fields = dict(fake.requests[0][0])
    assert (fields["user"], fields["from"], fields["rcpt"]) == (
        "a@local.example",
        "a@local.example",
        "b@other.example",
    )


async def test_scanners_that_do_not_answer_say_nothing() -> None:
    nowhere, clock = parse_place("127.0.0.1:1"), ManualClock()
    clamav, rspamd = (
        ClamdScanner(nowhere, clock, timeout_seconds=5),
        RspamdScanner(nowhere, clock, password="", timeout_seconds=5),
    )
    outgoing = Outgoing(ContentProbe(classifier=None, rspamd=rspamd, clamav=clamav))
    assert await outgoing.says(CASINO) == ()
    (entry,) = outgoing.journal.entries
    assert entry.fields["rspamd"] and entry.fields["clamav"]


async def test_who_writes_much_is_read_in_samples_and_who_writes_little_always() -> None:
    outgoing = Outgoing(ContentProbe(classifier=CasinoClassifier()))
    heard = [await outgoing.says(CASINO) for _ in range(PLENTY + 5 * SAMPLE)]
    assert all(heard[:PLENTY]) and sum(map(bool, heard[PLENTY:])) == 5
    assert await outgoing.says(CASINO, account_id=2) == SAYS_CASINO
    assert await outgoing.says(message_with(("x.pdf", program())))  # whatever the count
    outgoing.clock.advance(3600)
    assert await outgoing.says(CASINO) == SAYS_CASINO
