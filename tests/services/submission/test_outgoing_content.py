"""What outgoing mail looks like, as advice: a few words, or none."""

from collections.abc import Iterable

import pytest
from tests.adapters.scanners.fakes import FakeClamd, listening
from tests.probes.test_attachments import message as message_with
from tests.probes.test_attachments import program

from sekisho.adapters.scanners.clamd import ClamdScanner
from sekisho.adapters.stores.memory.content import MemoryContentWriter
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.classifier.features import Tokens
from sekisho.core.policy.classifier.knowledge import Opinion
from sekisho.core.policy.rules.content import ContentRules
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.identity import Identity
from sekisho.ports.classifier import Verdicts
from sekisho.ports.scanners import parse_place
from sekisho.probes.content import ContentProbe
from sekisho.services.submission.content import OutgoingContent
from sekisho.services.submission.seams import Submitted
from sekisho.testing.clock import ManualClock

SENDER, OTHER = Address("a", "local.example"), Address("b", "other.example")


class CasinoClassifier:
    is_ready = True

    def judge(self, tokens: Tokens, account_ids: Iterable[int] = ()) -> Verdicts:
        return Verdicts(Opinion(0.9 if "casino" in tokens.words else -0.9))


def submitted(octets: bytes, *, elsewhere: bool = True) -> Submitted:
    writer = MemoryContentWriter()
    writer.write(octets)
    envelope = Envelope(ReversePath(SENDER), (Recipient(OTHER),))
    return Submitted("id", Identity(1, SENDER), envelope, HeaderSection(octets), writer, (SENDER,), elsewhere=(OTHER,) if elsewhere else ())


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"From: a@local.example\r\n\r\nSee you in the casino\r\n", "it reads like spam (score 0.90)"),
        (b"From: a@local.example\r\n\r\nSee you at lunch\r\n", ""),
        (message_with(("x.pdf", program())), "program: x.pdf"),
    ],
)
async def test_what_it_says(octets: bytes, says: str) -> None:
    check = OutgoingContent(ContentProbe(CasinoClassifier()), ContentRules())
    assert await check.says(submitted(octets)) == says
    assert await check.says(submitted(octets, elsewhere=False)) == ""


async def test_viruses_and_large_messages() -> None:
    fake = FakeClamd()
    async with listening(fake.serve) as place:
        scanner = ClamdScanner(parse_place(place), ManualClock(), timeout_seconds=5)
        probe = ContentProbe(None, clamav=scanner, scanner_octets=1000)
        assert await OutgoingContent(probe, ContentRules()).says(submitted(b"From: a\r\n\r\nEVIL")) == "ClamAV found Test.Evil.UNOFFICIAL"
        assert await OutgoingContent(probe, ContentRules()).says(submitted(b"From: a\r\n\r\nEVIL" + b"x" * 2000)) == ""
