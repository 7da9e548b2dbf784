"""The real ham and spam among the test vectors, and what becomes of one half for a server that was taught the
other."""

import random
import tarfile
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from tests.vectors import vectors

from sekisho.adapters.stores.memory.lessons import MemoryLessonBook
from sekisho.core.policy.classifier.features import Features, Tokens, features_of
from sekisho.core.policy.classifier.reading import read_message
from sekisho.core.policy.content import ContentFinding
from sekisho.core.policy.contentrules import ContentRules, junk_by_words
from sekisho.faces.cli.mailfiles import normal
from sekisho.ports.classifier import OPERATOR, Taught
from sekisho.services.classifier import LiveClassifier
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal

ARCHIVE = ("spam", "spamassassin-half-A.tar.xz")


class Mail(NamedTuple):
    """`octets` as they lie in the archive."""

    name: str
    is_spam: bool
    octets: bytes

    @property
    def tokens(self) -> Tokens:
        return read_message(normal(self.octets))


class Asked(NamedTuple):
    """How many were asked, and how many of them were to go into Junk."""

    ham: int
    ham_junk: int
    spam: int
    spam_junk: int


@cache
def mails() -> tuple[Mail, ...]:
    with tarfile.open(vectors(*ARCHIVE)) as archive:
        found = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return tuple(
            Mail(name, "spam" in name, stream.read()) for name, stream in found if stream is not None
        )


@cache
def features(mail: Mail) -> Features:
    return features_of(mail.tokens)


def halves(seed: int, among: Sequence[Mail]) -> tuple[list[Mail], list[Mail]]:
    """Every message is in one of them, by a throw of dice."""
    dice = random.Random(seed)
    sides = [dice.random() < 0.5 for _ in among]
    return [mail for mail, side in zip(among, sides, strict=True) if side], [
        mail for mail, s in zip(among, sides, strict=True) if not s
    ]


async def taught(lessons: Sequence[Mail]) -> LiveClassifier:
    """By what `sekisho classifier train` does: ham first, then spam, then a fit."""
    clock = ManualClock()
    book = MemoryLessonBook(clock)
    ordered = sorted(lessons, key=lambda mail: (mail.is_spam, mail.name))
    await book.teach(
        [
            Taught(
                key=mail.name, account_id=OPERATOR, is_spam=mail.is_spam, features=features(mail).to_octets()
            )
            for mail in ordered
        ]
    )
    classifier = LiveClassifier(book, clock, MemoryJournal())
    await classifier.fit()
    return classifier


def ask(classifier: LiveClassifier, asked: Sequence[Mail]) -> Asked:
    """What the door would do by its rules as they come."""
    counts = {(is_spam, is_junk): 0 for is_spam in (False, True) for is_junk in (False, True)}
    for mail in asked:
        verdicts = classifier.judge(mail.tokens)
        finding = ContentFinding(overall=verdicts.overall, accounts=verdicts.accounts, account_ids=(1,))
        counts[mail.is_spam, junk_by_words(finding, ContentRules(), is_known=False) is not None] += 1
    return Asked(
        sum(counts[False, x] for x in (False, True)),
        counts[False, True],
        sum(counts[True, x] for x in (False, True)),
        counts[True, True],
    )
