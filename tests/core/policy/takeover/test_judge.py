"""What the judge makes of what a store has on record: whom a message reaches, what is held, what grows."""

import pytest

from sekisho.core.policy.takeover.judge import (
    CaseClosed,
    HoldOrdered,
    JobSettled,
    OnRecord,
    Ruling,
    judge_by,
)
from sekisho.core.policy.takeover.rules import GuardRules, Mode
from sekisho.core.policy.takeover.sending import Outgoing, Sending
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import DAY_US, State
from sekisho.core.terms.reply import Reply

NOW = 20_000 * DAY_US
NO_SUCH = Reply.of(550, "5.1.1", "No such user")


def outgoing(*elsewhere: tuple[int, int], at_us: int = NOW) -> Outgoing:
    sending = Sending(
        message_id="m1",
        account_id=1,
        credential_id="password",
        at_us=at_us,
        remote_recipients=len(elsewhere),
        thread=9,
    )
    return Outgoing(sending, elsewhere, answered="q@x.example")


def asked(occasion: Outgoing | JobSettled | HoldOrdered, record: OnRecord, **rules: object) -> Ruling:
    ruling = judge_by(GuardRules(**rules))(occasion, record)  # type: ignore[arg-type]
    assert ruling is not None
    return ruling


def test_whom_the_house_or_the_account_knows_is_no_stranger() -> None:
    known = {1: NOW - DAY_US + 1, 2: NOW - 31 * DAY_US}
    record = OnRecord(state=State(), known=known, house={3})
    ruling = asked(outgoing((1, 10), (2, 10), (3, 20), (4, 30), (5, 30)), record)
    assert ruling.strangers == 2 and ruling.state is record.state
    assert ruling.met == (2, 3, 4, 5)  # of the first it is known that it was written to today
    hour = record.state.hours[-1]
    assert hour.dormant == 1 and list(record.state.domains) == [30]


def test_an_answer_counts_less_only_if_it_answers_the_one_who_gets_it() -> None:
    weights = []
    for keys, has_answered in ((((1, 1),), True), (((1, 1),), False), (((1, 1), (2, 2)), True)):
        record = OnRecord(state=State(), has_answered=has_answered)
        asked(outgoing(*keys), record)
        weights.append(record.state.hours[-1].strangers)
    assert weights == [1, 3, 6]


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_only_who_enforces_holds(mode: Mode) -> None:
    """Both write down the same."""
    ruling = asked(outgoing((1, 1), (2, 2)), OnRecord(state=State()), mode=mode, first_time_per_day=1)
    assert ruling.verdict.holds and ruling.state is not None and ruling.met == (1, 2)
    assert (ruling.holds, ruling.case) == ((True, "hold") if mode == "enforce" else (False, ""))
    beside = asked(outgoing((1, 1)), OnRecord(state=State(), case="hold"), mode=mode)
    assert beside.verdict.action == "pass" and beside.holds == (mode == "enforce") and not beside.case
    slow = asked(outgoing(*((n, n) for n in range(6))), OnRecord(state=State()), mode=mode)
    assert slow.verdict.action == "slow" and slow.wait_us == (60_000_000 if mode == "enforce" else 0)


def test_what_is_held_is_not_put_off_too() -> None:
    ruling = asked(outgoing(*((n, n) for n in range(6))), OnRecord(state=State(), case="hold"))
    assert ruling.verdict.action == "slow" and ruling.holds and ruling.wait_us == 0


@pytest.mark.parametrize(
    ("action", "case", "becomes"),
    [
        ("hold", "", "hold"),
        ("freeze", "", "freeze"),
        ("freeze", "hold", "freeze"),
        ("hold", "freeze", ""),
        ("hold", "hold", ""),
        ("freeze", "freeze", ""),
    ],
)
@pytest.mark.parametrize("mode", ["enforce", "observe", "off"])
def test_a_case_grows_graver_never_milder(action: str, case: str, becomes: str, mode: Mode) -> None:
    """An order holds whatever the mode is."""
    order = HoldOrdered(
        account_id=1,
        credential_id="password",
        at_us=NOW,
        action=action,  # type: ignore[arg-type]
        reason=Reason("by-hand", 100, "Somebody wants it."),
    )
    ruling = asked(order, OnRecord(state=State(), case=case), mode=mode)  # type: ignore[arg-type]
    assert (ruling.case, ruling.state) == (becomes, None)
    assert (ruling.since_us, ruling.verdict.score) == (NOW - DAY_US, 100)


def test_bounces_open_a_case_where_none_is_and_only_if_enforced() -> None:
    def settled(case: str, mode: Mode) -> Ruling:
        state = State()
        asked(outgoing((1, 1)), OnRecord(state=state))
        told = tuple(("failed", NO_SUCH) for _ in range(10))
        job = JobSettled(account_id=1, credential_id="password", at_us=NOW, outcomes=told)
        ruling = asked(job, OnRecord(state=state, case=case), mode=mode, hold_at=40)  # type: ignore[arg-type]
        assert ruling.state is state and state.hours[-1].bounced == 10
        return ruling

    opened = settled("", "enforce")
    assert opened.case == "hold" and opened.holds and opened.verdict.reasons[0].signal == "bounces"
    assert (settled("hold", "enforce").case, settled("hold", "enforce").holds) == ("", True)
    assert (settled("", "observe").case, settled("hold", "observe").holds) == ("", False)


def test_off_says_nothing_to_mail_and_still_closes_cases() -> None:
    judge = judge_by(GuardRules(mode="off"))
    job = JobSettled(account_id=1, credential_id="password", at_us=NOW, outcomes=())
    assert judge(outgoing((1, 1)), OnRecord(state=State())) is None
    assert judge(job, OnRecord(state=State())) is None
    for ending, forget in (("purged", NOW - DAY_US), ("released", None), ("forgiven", None)):
        closed = CaseClosed(
            account_id=1,
            credential_id="password",
            at_us=NOW,
            since_us=NOW - DAY_US,
            ending=ending,  # type: ignore[arg-type]
        )
        ruling = judge(closed, OnRecord(state=State(first_time=5)))
        assert ruling is not None and ruling.state is not None and ruling.state.first_time == 0
        assert ruling.forget_since_us == forget and ruling.state.pardoned_us == (NOW if forget is None else 0)
