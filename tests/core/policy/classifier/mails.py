"""Made-up mail of two kinds, the same for the same number."""

import random

from sekisho.core.policy.classifier.features import Tokens

_COMMON = [
    "the",
    "and",
    "you",
    "for",
    "with",
    "this",
    "have",
    "from",
    "will",
    "are",
    "can",
    "about",
    "your",
    "we",
    "our",
    "not",
    "it",
    "is",
    "on",
    "at",
]
_HAM = [
    "meeting",
    "agenda",
    "patch",
    "compile",
    "kernel",
    "thanks",
    "attached",
    "tomorrow",
    "lunch",
    "review",
    "draft",
    "会議",
    "資料",
    "議事",
    "確認",
]
_SPAM = [
    "casino",
    "winner",
    "jackpot",
    "claim",
    "prize",
    "bonus",
    "viagra",
    "refinance",
    "mortgage",
    "guaranteed",
    "当選",
    "無料",
    "出会",
    "賞金",
]


def _mail(number: int, kind: list[str], build: list[str]) -> Tokens:
    dice = random.Random(number * 2 + (kind is _SPAM))
    words = (
        dice.sample(_COMMON, 10) + dice.sample(kind, 6) + [f"x{dice.randrange(10_000)}" for _ in range(10)]
    )
    return Tokens((*dice.sample(build, 3), f"mid:{dice.randrange(1000)}", "kinds:plain"), tuple(words))


def ham(number: int) -> Tokens:
    return _mail(number, _HAM, ["o:from>to", "s:re", "r:same", "quoted", "al:from:name"])


def spam(number: int) -> Tokens:
    return _mail(number, _SPAM, ["o:to>from", "s:win", "r:noname", "!!", "al:from:hello"])
