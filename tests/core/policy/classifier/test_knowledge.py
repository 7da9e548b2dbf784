"""The classifier learns what it is shown, at once and when fitted, for everybody and for one account."""

import pytest
from tests.core.policy.classifier.mails import ham, spam

from sekisho.core.policy.classifier.features import Tokens, features_of
from sekisho.core.policy.classifier.fitting import Fitting, fit
from sekisho.core.policy.classifier.knowledge import (
    CLIP,
    MIN_LESSONS,
    Knowledge,
    Lesson,
    Opinion,
    caution_of,
    pace_of,
)


def lessons(count: int) -> list[Lesson]:
    return [Lesson(features_of(make(n)), make is spam) for n in range(count) for make in (ham, spam)]


def test_a_fit_tells_unseen_mail_apart() -> None:
    known = fit(lessons(60))
    assert all(known.margin(features_of(spam(n))) > 0.5 for n in range(1000, 1030))
    assert all(known.margin(features_of(ham(n))) < -0.5 for n in range(1000, 1030))


def test_what_it_never_saw_is_neither() -> None:
    known = fit(lessons(60))
    assert abs(known.margin(features_of(Tokens(("never",), ("seen", "before"))))) < 0.3


def test_no_single_token_decides() -> None:
    """However telling it was."""
    known = fit(lessons(60))
    assert abs(known.margin(features_of(Tokens((), ("casino",)))) - known.bias) <= CLIP + 1e-6
    assert known.margin(features_of(Tokens((), ("casino",)))) > known.bias


def test_enough_is_stated() -> None:
    assert not fit(lessons(MIN_LESSONS - 1)).is_enough
    assert fit(lessons(MIN_LESSONS)).is_enough
    assert not Knowledge.empty().is_enough


def test_the_telling_words_are_those_of_the_message() -> None:
    told = fit(lessons(60)).explain(spam(2000)).telling
    assert {each.token for each in told if each.weight > 0} & {"casino", "winner", "jackpot", "s:win"}
    assert all(abs(each.weight) <= CLIP for each in told)
    assert fit(lessons(60)).explain(spam(2000)).score == pytest.approx(
        fit(lessons(60)).score(features_of(spam(2000)))
    )


def test_the_same_lessons_give_the_same_knowledge() -> None:
    assert fit(lessons(40)).to_octets() == fit(lessons(40)).to_octets()


def test_nothing_and_one_side_only() -> None:
    assert fit([]).margin(features_of(spam(1))) == 0
    one = fit([Lesson(features_of(spam(n)), True) for n in range(5)])
    assert one.margin(features_of(spam(7))) > 0


def test_a_fit_is_done_in_slices() -> None:
    done = list(Fitting(lessons(50)).steps())
    assert len(done) > 30
    assert done == sorted(done) and done[-1] == 1.0


def test_one_lesson_is_believed_at_once() -> None:
    known = fit(lessons(60))
    strange = features_of(Tokens(("o:a>b",), tuple(f"strange{n}" for n in range(40))))
    before = known.margin(strange)
    known.learn(Lesson(strange, True))
    assert before < 0.3 < known.margin(strange)
    assert known.margin(features_of(ham(3000))) < -0.4


def test_learning_what_is_known_changes_nothing() -> None:
    known = fit(lessons(60))
    weights = known.weights[:]
    known.learn(Lesson(features_of(spam(0)), True))
    assert (
        known.weights == weights or max(abs(a - b) for a, b in zip(known.weights, weights, strict=True)) < 0.2
    )
    assert known.spams == 61


def test_ones_own_taste_is_ones_own() -> None:
    """Account 7 calls a newsletter junk; for everybody else it stays what it was, when it is private."""
    letter = features_of(Tokens(tuple(f"letter{n}" for n in range(9)), tuple(f"news{n}" for n in range(30))))
    for known in (fit(lessons(60)), fit([*lessons(60), Lesson(letter, True, 7, True)])):
        others = known.margin(letter)
        if 7 not in known.accounts:
            known.learn(Lesson(letter, True, 7, True))
        assert known.margin(letter, 7) > 0.5
        assert known.margin(letter, 8) == known.margin(letter) == others
        assert known.margin(features_of(ham(5)), 7) < -0.4


def test_two_accounts_disagree() -> None:
    letter = features_of(Tokens(tuple(f"letter{n}" for n in range(9)), tuple(f"news{n}" for n in range(30))))
    known = fit([*lessons(60), Lesson(letter, True, 7), Lesson(letter, False, 8)])
    assert known.margin(letter, 7) > 0.4
    assert known.margin(letter, 8) < -0.4


def test_knowledge_is_kept_whole() -> None:
    known = fit([*lessons(30), Lesson(features_of(spam(1)), True, 7)])
    again = Knowledge.from_octets(known.to_octets())
    assert again == known
    assert again.accounts == {7}
    assert again.margin(features_of(spam(5)), 7) == known.margin(features_of(spam(5)), 7)


@pytest.mark.parametrize("octets", [b"", b"nonsense", Knowledge.empty().to_octets()[:-20]])
def test_what_is_no_knowledge(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"no knowledge"):
        Knowledge.from_octets(octets)


def test_telling_tokens_go_faster() -> None:
    assert pace_of(50, 0, 100, 100, 2) > pace_of(50, 10, 100, 100, 2) > pace_of(50, 49, 100, 100, 2)
    assert pace_of(5, 5, 100, 100, 2) == pytest.approx(0)


def test_little_knowledge_is_careful() -> None:
    assert caution_of(0) > caution_of(100) > caution_of(400) > caution_of(1000) == caution_of(100_000) == 0
    known = fit(lessons(100))
    assert known.score(features_of(spam(1))) == pytest.approx(
        known.margin(features_of(spam(1))) - caution_of(100)
    )


def test_only_what_may_be_spam_is_explained_at_the_door() -> None:
    known = fit(lessons(100))
    opinions = known.opinions(spam(2000), (0, 7))
    assert opinions[0] == known.explain(spam(2000)) == opinions[7]
    assert known.opinions(ham(2000), (0,))[0] == Opinion(pytest.approx(known.explain(ham(2000)).score))
    assert known.explain(ham(2000)).telling
