"""What is right, what is wrong, and the sums."""

import msgspec
import pytest

from sekisho.lab.outcomes import (
    SECOND_US,
    Book,
    OutcomeCase,
    default_retries,
    describe,
    judge,
    measure,
    percentile,
    rates_of,
)
from sekisho.lab.reader import parse_scene
from sekisho.lab.scene import Expectation, Outcome, Total
from sekisho.lab.script import Act, write_script
from sekisho.lab.wire import SmtpReply
from sekisho.ports.lab import Fate

SCENE = parse_scene("""
format = 1
title = "x"

[[actor]]
name = "shop"
title = "A shop"
title_ja = "店"
address = "198.51.100.10"
domain = "shop.example"

[[actor]]
name = "bot"
side = "attack"
address = "192.0.2.9"
domain = "bot.example"

[[step]]
actor = "shop"
to = "hanako"

[[step]]
actor = "bot"
to = "hanako"
""")
ACT: Act = write_script(SCENE, 1).acts[0]


def a_case(
    outcome: Outcome, *, tries: int = 1, delay: float = 0.0, rule: str = "", reply: str = "250 2.0.0 ok"
) -> OutcomeCase:
    case = OutcomeCase(
        number=1,
        act=ACT,
        actor=SCENE.actor[0],
        recipient="hanako@club.example",
        message_id="<x@y>",
        first_us=1_000_000,
    )
    case.outcome, case.tries, case.rule = outcome, tries, rule
    case.accepted_us = case.first_us + int(delay * SECOND_US)
    case.reply = SmtpReply(int(reply[:3]), reply[4:])
    return case


@pytest.mark.parametrize(
    ("case", "expect", "complaint"),
    [
        (a_case("inbox"), {"to": ("inbox",)}, ""),
        (a_case("junk"), {"to": ("inbox", "junk")}, ""),
        (a_case("junk"), {"to": ("inbox",)}, "It should have ended as inbox, but ended as junk."),
        (a_case("refused"), {"to": ("stopped",)}, ""),
        (a_case("junk"), {"to": ("stopped",)}, "It should have ended as stopped, but ended as junk."),
        (a_case("lost"), {"to": ("anything",)}, ""),
        (a_case("inbox", tries=2, delay=301), {"to": ("inbox",)}, "It was delayed by 5m 1s in 2 tries."),
        (a_case("outside", delay=61), {"to": ("outside",)}, "It was delayed by 1m 1s in 1 tries."),
        (a_case("outside", delay=61), {"to": ("outside",), "within": "90s"}, ""),
        (a_case("inbox", tries=2, delay=301), {"to": ("inbox",), "within": "10m"}, ""),
        (
            a_case("inbox", tries=3, delay=901),
            {"to": ("inbox",), "within": "10m"},
            "It took 15m 1s instead of at most 10m.",
        ),
        (a_case("inbox", tries=2, delay=301), {"to": ("inbox",), "deferred_first": True}, ""),
        (
            a_case("inbox"),
            {"to": ("inbox",), "deferred_first": True},
            "It should have been deferred first, but was accepted at once.",
        ),
        (a_case("inbox", tries=2), {"to": ("inbox",), "deferred_first": False}, "It was deferred first."),
        (
            a_case("refused", rule="dmarc-reject"),
            {"to": ("refused",), "rule": ("dmarc-reject", "own-domain")},
            "",
        ),
        (
            a_case("refused"),
            {"to": ("refused",), "rule": ("own-domain",)},
            "The rule – spoke instead of own-domain.",
        ),
        (a_case("refused", reply="550 5.7.1 no"), {"to": ("refused",), "reply": "550 5.7"}, ""),
        (
            a_case("refused", reply="554 no"),
            {"to": ("refused",), "reply": "550"},
            "The reply was 554 no instead of 550.",
        ),
        (a_case("refused", reply="554 no"), {"to": ("refused",), "says": "SPF"}, "SPF is not in 554 no."),
    ],
)
def test_judging(case: OutcomeCase, expect: dict[str, object], complaint: str) -> None:
    assert str(judge(case, Expectation.model_validate(expect)) or "") == complaint


def test_an_expectation_in_words() -> None:
    assert (
        describe(Expectation.model_validate({"to": ("inbox", "junk"), "within": "10m", "rule": "greylist"}))
        == "inbox | junk within 10m by greylist"
    )


def fates(*cases: tuple[str, Outcome, float]) -> list[Fate]:
    book = Book(SCENE, "ja")
    made = []
    for step, outcome, delay in cases:
        act = next(act for act in write_script(SCENE, 1).acts if act.step.name == step)
        case = book.open(act, SCENE.find_actor(step), "hanako@club.example", "<x@y>", 1_000_000)
        case.outcome, case.tries, case.copies = outcome, 2 if delay else 1, 1
        case.accepted_us = case.first_us + int(delay * SECOND_US)
        made.append(book.fate(case))
    return made


def test_errors_in_both_directions() -> None:
    rates = rates_of(
        fates(
            ("shop", "inbox", 0),
            ("shop", "inbox", 300),
            ("shop", "junk", 0),
            ("shop", "refused", 0),
            ("shop", "lost", 0),
            ("bot", "inbox", 0),
            ("bot", "junk", 0),
            ("bot", "refused", 0),
        )
    )
    assert (rates.honest, rates.honest_stopped, rates.honest_junk, rates.honest_delayed) == (5, 2, 1, 1)
    assert (rates.longest_delay_seconds, rates.attacks, rates.attacks_let_in, rates.attacks_junk) == (
        300.0,
        3,
        1,
        1,
    )


def test_a_fate_speaks_the_language_that_was_asked_for() -> None:
    assert fates(("shop", "inbox", 0))[0].title == "店"


@pytest.mark.parametrize(
    ("count", "value"),
    [
        ("reached", 2),
        ("refused", 1),
        ("held", 0),
        ("twice", 0),
        ("delay", 300),
        ("lost", 0),
        ("share", 2 / 3),
        ("logins", 0),
    ],
)
def test_totals(count: str, value: float) -> None:
    found = fates(("shop", "inbox", 0), ("shop", "outside", 300), ("shop", "refused", 0))
    total = Total(name="t", steps=("shop",), count=count, at_most=1.0)  # type: ignore[arg-type]
    result = measure(total, found, [], "en")
    assert result.value == pytest.approx(value, abs=0.0001)
    assert result.ok == (value <= 1)


def test_what_was_held_once_stays_counted() -> None:
    held = [msgspec.structs.replace(fate, was_held=True) for fate in fates(("shop", "outside", 0))]
    assert measure(Total(name="t", steps=("shop",), count="held", at_least=2.0), held, [], "en").ok is False


def test_percentiles() -> None:
    assert (
        percentile([], 0.99),
        percentile([3.0, 1.0, 2.0], 0.5),
        percentile(list(map(float, range(100))), 0.99),
    ) == (0.0, 2.0, 99.0)
    result = measure(
        Total(name="t", steps=("shop",), count="login-seconds-p99", at_most=1.0), [], [0.1, 0.2], "en"
    )
    assert (result.value, result.ok) == (0.2, True)


def test_honest_servers_come_again_and_bots_do_not() -> None:
    assert default_retries(SCENE.step[0], SCENE.actor[0])[0] == 300.0
    assert default_retries(SCENE.step[1], SCENE.actor[1]) == ()
