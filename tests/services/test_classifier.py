"""The live classifier: learns from Junk moves at once, is told of by other workers, fits when it is due."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.core.policy.classifier.mails import ham, spam

from sekisho.adapters.stores.memory.lessons import MemoryLessonBook
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.structure import scan
from sekisho.core.policy.classifier.bodytokens import TextBody
from sekisho.core.policy.classifier.features import Tokens, features_of
from sekisho.core.policy.classifier.knowledge import JUNK_SCORE
from sekisho.core.policy.classifier.reading import client_hop, read_tokens
from sekisho.ports.classifier import Taught
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.learning import JudgedMessage
from sekisho.services.classifier import FEW_NEWS, LOOK_SECONDS, ClassifierRules, LiveClassifier
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, MemoryMetrics


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.metrics = MemoryMetrics()
        self.book = MemoryLessonBook(self.clock)
        self.mine, self.other = self.worker(), self.worker()

    def worker(self) -> LiveClassifier:
        return LiveClassifier(self.book, self.clock, self.journal, self.metrics)

    async def teach(self, count: int = 100, first: int = 0) -> None:
        await self.book.teach(
            [
                Taught(
                    key=f"{make.__name__}{n}",
                    account_id=0,
                    is_spam=make is spam,
                    features=features_of(make(n)).to_octets(),
                )
                for n in range(first, first + count)
                for make in (ham, spam)
            ]
        )

    def score(self, tokens: Tokens, classifier: LiveClassifier | None = None) -> float | None:
        verdicts = (classifier or self.mine).judge(tokens)
        return None if verdicts.overall is None else verdicts.overall.score


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.mine.close()
    await world.other.close()
    assert world.journal.faults == []


class Octets:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.size_octets = len(octets)

    async def read(self, offset: int, length: int) -> bytes:
        return self._octets[offset : offset + length]


LETTER = (
    b"From: News <news@letter.example>\r\nSubject: Weekly offers\r\nX-Mailer: Letterbird 9\r\nMessage-ID: "
    b"<1@letter.example>\r\n\r\n"
    b"Dear reader, this week: gardening gloves, watering cans, wheelbarrows, seedlings, compost, trellis, "
    b"fertiliser, and more.\r\n"
)
RECEIVED = (
    b"Received: from mx.letter.example (mx.letter.example [192.0.2.9]) by mx.example.org with ESMTP; c\r\n"
)
PREFIX = b"Return-Path: <x@letter.example>\r\nAuthentication-Results: mx.example.org; none\r\n" + RECEIVED


def judged(is_junk: bool, account_id: int = 7) -> JudgedMessage:
    return JudgedMessage(
        account_id=account_id,
        content_id="content-1",
        is_junk=is_junk,
        was_other=False,
        octets=Octets(PREFIX + LETTER),
        prefix_octets=len(PREFIX),
    )


async def test_it_says_nothing_before_it_learned_enough(world: World) -> None:
    await world.teach(99)
    await world.mine.fit()
    assert world.score(spam(500)) is None
    await world.teach(1, first=99)
    await world.mine.refresh()
    assert (world.score(spam(500)) or 0) > JUNK_SCORE
    assert (world.score(ham(500)) or 0) < -0.5


async def test_other_workers_hear_of_it(world: World) -> None:
    await world.teach()
    await world.mine.fit()
    assert world.score(spam(500), world.other) is None  # the look at the book has only begun
    assert world.other._looking is not None
    await world.other._looking
    assert (world.score(spam(500), world.other) or 0) > JUNK_SCORE
    world.clock.advance(LOOK_SECONDS)
    await world.book.forget()
    assert world.score(spam(500), world.other) is not None
    await world.other._looking
    assert world.score(spam(500), world.other) is None


async def test_who_catches_up_knows_at_once(world: World) -> None:
    await world.teach()
    await world.mine.fit()
    await world.other.catch_up()
    assert (world.score(spam(500), world.other) or 0) > JUNK_SCORE
    await world.book.forget()
    await world.other.catch_up()
    assert world.score(spam(500), world.other) is not None  # it has looked a moment ago
    world.clock.advance(LOOK_SECONDS)
    await world.other.catch_up()
    assert world.score(spam(500), world.other) is None


async def test_a_move_to_junk_counts_at_once_and_back_again(world: World) -> None:
    await world.teach()
    await world.mine.fit()
    await world.mine.judged(judged(True))
    await world.mine.refresh()
    (known,) = list(await world.book.after(200, 10))
    assert (known.account_id, known.key, known.is_spam, known.is_private) == (7, "content-1", True, False)
    # Of what we put on top only who the client was is learned: as at the door.
    structure, header = scan(LETTER), HeaderSection(LETTER)
    body = TextBody(structure.parts[0], LETTER[header.body :])
    client = client_hop("mx.letter.example", "mx.letter.example", "192.0.2.9")
    tokens = read_tokens(header, structure, len(LETTER), [body], client)
    assert features_of(tokens).to_octets() == known.features
    assert "r:name:letter.example" in tokens.build
    verdicts = world.mine.judge(tokens, (7, 8))
    assert set(verdicts.accounts) == {7} and verdicts.accounts[7].score > JUNK_SCORE
    await world.mine.judged(judged(False))
    await world.mine.refresh()
    assert world.mine.judge(tokens, (7,)).accounts[7].score < -0.2
    assert world.metrics.values["sekisho_classifier_lessons_total", (("side", "spam"),)] == 1
    assert world.journal.kinds().count("classifier.taught") == 2


async def test_private_lessons(world: World) -> None:
    world.mine.rules = ClassifierRules(shared=False)
    await world.mine.judged(judged(True))
    assert [lesson.is_private for lesson in await world.book.after(0, 10)] == [True]


async def test_a_fit_starts_when_enough_is_new_or_old_enough(world: World) -> None:
    await world.mine.fit_if_due()
    assert world.book.state().fitted == 0
    await world.teach(FEW_NEWS // 2)
    await world.mine.fit_if_due()
    assert world.book.state().fitted == FEW_NEWS
    await world.teach(1, first=500)
    await world.mine.fit_if_due()
    assert world.book.state().fitted == FEW_NEWS
    world.clock.advance(3601)
    await world.mine.fit_if_due()
    assert world.book.state().fitted == FEW_NEWS + 2
    assert world.journal.kinds() == ["classifier.fitted"] * 2


async def test_what_is_too_much_is_forgotten(world: World) -> None:
    world.mine.rules = ClassifierRules(most_lessons=5)
    await world.teach(9)
    fitted = await world.mine.fit()
    assert (fitted.ham, fitted.spam) == (5, 5)


async def test_a_store_that_fails_leaves_what_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.teach()
    await world.mine.fit()

    def fail(*arguments: object) -> None:
        raise StoreUnavailable("no disk")

    monkeypatch.setattr(world.book, "state", fail)
    world.clock.advance(60)
    assert (world.score(spam(500)) or 0) > JUNK_SCORE
    with pytest.raises(StoreUnavailable):
        await world.mine.fit_if_due()


async def test_broken_knowledge_is_an_own_bug_told_once(world: World) -> None:
    await world.book.keep(b"nonsense", 0)
    assert world.score(ham(1)) is None
    assert world.mine._looking is not None
    await asyncio.gather(world.mine._looking)
    assert [where for where, _ in world.journal.faults] == ["classifier"]
    world.journal.faults.clear()
