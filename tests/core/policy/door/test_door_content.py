"""The door by what a message says and carries: for whom it is junk, what is refused, and what never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.policy.door.test_door_history import GOOD, TRUSTED_PAIR, _known

from sekisho.core.policy.attachments import AttachmentFinding, AttachmentRules, Found
from sekisho.core.policy.classifier.knowledge import Opinion, Teachings
from sekisho.core.policy.content import ClamavFinding, ContentFinding, RspamdFinding, Symbol
from sekisho.core.policy.contentrules import ContentRules
from sekisho.core.policy.door.content import ATTACHMENT, CONTENT, RSPAMD, VIRUS
from sekisho.core.policy.door.judge import judge
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.evidence import Evidence

SPAM = Opinion(0.8, (Teachings("casino", 0.2), Teachings("r:noname", 0.1), Teachings("s:re", -0.1)))
HAM = Opinion(-0.5)
PROGRAM = AttachmentFinding((Found("program", "a.zip", "evil.exe"),), 1)


def content(
    overall: Opinion | None = None, accounts: dict[int, Opinion] | None = None, **more: object
) -> ContentFinding:
    return ContentFinding(overall=overall, accounts=accounts or {}, account_ids=(1, 2), **more)  # type: ignore[arg-type]


def test_what_reads_like_junk_goes_there_and_the_words_are_told() -> None:
    verdict = judge(Evidence(content=content(SPAM)), DoorRules())
    assert (verdict.action, verdict.rule, verdict.spared) == ("junk", CONTENT, frozenset())
    assert (
        verdict.because == "its words and build score 0.80 (junk from 0.25); most telling: casino, r:noname"
    )
    assert judge(Evidence(content=content(HAM)), DoorRules()).action == "accept"
    assert judge(Evidence(content=content(None)), DoorRules()).action == "accept"
    observed = judge(Evidence(content=content(SPAM)), DoorRules(modes={"content-junk": "observe"}))
    assert (observed.action, observed.observed) == ("accept", True)


def test_each_account_by_its_own_lessons() -> None:
    verdict = judge(Evidence(content=content(SPAM, {2: HAM})), DoorRules())
    assert (verdict.action, verdict.spared) == ("junk", frozenset({2}))
    verdict = judge(Evidence(content=content(HAM, {2: SPAM})), DoorRules())
    assert (verdict.action, verdict.spared) == ("junk", frozenset({1}))
    assert judge(Evidence(content=content(SPAM, {1: HAM, 2: HAM})), DoorRules()).action == "accept"


def test_postmaster_is_spared_and_never_refused() -> None:
    assert judge(Evidence(content=content(SPAM, roles=frozenset({1}))), DoorRules()).spared == frozenset({1})
    assert judge(Evidence(content=content(SPAM, roles=frozenset({1, 2}))), DoorRules()).action == "accept"
    for_roles = content(HAM, roles=frozenset({1}), attachments=PROGRAM)
    rules = DoorRules(content=ContentRules(refuses_attachments=True, refuses_for_rspamd=True))
    roles = frozenset({1})
    assert judge(Evidence(content=for_roles, roles=roles), rules).action == "junk"
    assert (
        judge(Evidence(content=for_roles, clamav=ClamavFinding("Eicar"), roles=roles), rules).action == "junk"
    )
    assert (
        judge(
            Evidence(rspamd=RspamdFinding(score=20, required=15, action="reject"), roles=roles), rules
        ).action
        == "junk"
    )


def test_a_known_sender_must_look_much_worse_and_a_trusted_one_is_spared() -> None:
    assert (
        judge(Evidence(content=content(SPAM), reputation=_known(client=GOOD)), DoorRules()).action == "accept"
    )
    worse = Opinion(1.2, SPAM.telling)
    assert (
        judge(Evidence(content=content(worse), reputation=_known(client=GOOD)), DoorRules()).action == "junk"
    )
    trusted = _known(pairs={1: TRUSTED_PAIR})
    assert judge(Evidence(content=content(worse), reputation=trusted), DoorRules()).action == "accept"


def test_nobody_vouches_for_a_program() -> None:
    evidence = Evidence(content=content(HAM, attachments=PROGRAM), reputation=_known(pairs={1: TRUSTED_PAIR}))
    verdict = judge(evidence, DoorRules())
    assert (verdict.action, verdict.rule, verdict.because) == (
        "junk",
        ATTACHMENT,
        "program: evil.exe in a.zip",
    )
    both = Evidence(
        content=content(Opinion(2.0), attachments=PROGRAM), reputation=_known(pairs={1: TRUSTED_PAIR})
    )
    assert judge(both, DoorRules()).action == "junk"
    assert judge(both, DoorRules(modes={"dangerous-attachment": "observe"})).action == "accept"


def test_attachments_are_refused_where_so_set() -> None:
    rules = DoorRules(content=ContentRules(refuses_attachments=True))
    verdict = judge(Evidence(content=content(attachments=PROGRAM)), rules)
    assert (
        verdict.action == "refuse"
        and verdict.reply is not None
        and str(verdict.reply).startswith("550 5.7.1")
    )
    allowed = DoorRules(
        content=ContentRules(
            refuses_attachments=True, attachments=AttachmentRules(allowed=frozenset({"exe"}))
        )
    )
    assert judge(Evidence(content=content(attachments=PROGRAM)), allowed).action == "accept"


def test_viruses() -> None:
    assert judge(Evidence(clamav=ClamavFinding("Eicar")), DoorRules()).action == "refuse"
    assert (
        judge(
            Evidence(clamav=ClamavFinding("Eicar")), DoorRules(content=ContentRules(refuses_viruses=False))
        ).action
        == "junk"
    )
    assert judge(Evidence(clamav=ClamavFinding("Eicar")), DoorRules(modes={"virus": "observe"})).rule == VIRUS
    assert judge(Evidence(clamav=ClamavFinding("", "no answer")), DoorRules()).action == "accept"


@pytest.mark.parametrize(
    ("action", "refuses", "expected"),
    [
        ("no action", True, "accept"),
        ("greylist", True, "accept"),
        ("soft reject", True, "accept"),
        ("add header", True, "junk"),
        ("rewrite subject", False, "junk"),
        ("reject", False, "junk"),
        ("reject", True, "refuse"),
        ("made up", True, "accept"),
    ],
)
def test_rspamd(action: str, refuses: bool, expected: str) -> None:
    finding = RspamdFinding(
        score=16, required=15, action=action, symbols=(Symbol("BAYES_SPAM", 5.1), Symbol("GOOD", -1))
    )
    verdict = judge(Evidence(rspamd=finding), DoorRules(content=ContentRules(refuses_for_rspamd=refuses)))
    assert verdict.action == expected
    if expected != "accept":
        assert (verdict.rule, verdict.because) == (RSPAMD, f"{action}, score 16 of 15: BAYES_SPAM (5.1)")


def test_the_test_string() -> None:
    assert "GTUBE" in judge(Evidence(content=content(is_test=True)), DoorRules()).because


@given(
    st.sampled_from(["enforce", "observe"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["no action", "reject", "add header", "soft reject", "greylist"]),
)
def test_what_could_not_be_known_refuses_nothing(
    mode: str, refuses: bool, is_test: bool, action: str
) -> None:
    evidence = Evidence(
        content=content(is_test=is_test, problem="store"),
        rspamd=RspamdFinding(score=99, required=1, action=action, symbols=(), problem="no answer"),
        clamav=ClamavFinding("Eicar", "no answer"),
    )
    rules = DoorRules(
        modes={"content-junk": mode},  # type: ignore[dict-item]
        content=ContentRules(refuses_attachments=refuses, refuses_for_rspamd=refuses),
    )  # type: ignore[arg-type]
    assert judge(evidence, rules).action in ("accept", "junk")
