"""Who wrote it, as the door judges it: every result word has a row, and every row its verdict."""

from typing import get_args

import pytest

from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, DmarcResult
from sekisho.core.mailauth.dmarc.record import Policy
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding
from sekisho.core.policy.authorship import AuthorshipFinding
from sekisho.core.policy.door.author import DMARC_ROWS
from sekisho.core.policy.door.judge import judge
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.evidence import Evidence

RULES = DoorRules()
SPF = SpfEvidence(SpfFinding(identity="mailfrom", domain="evil.example", result="pass"))
VERDICTS = {
    ("fail", "quarantine"): ("junk", "dmarc-quarantine"),
    ("fail", "reject"): ("refuse", "dmarc-reject"),
    ("permerror", "none"): ("refuse", "unreadable-from"),
    ("permerror", "quarantine"): ("refuse", "unreadable-from"),
    ("permerror", "reject"): ("refuse", "unreadable-from"),
}


def _finding(result: DmarcResult, policy: Policy = "reject", domain: str = "bank.example") -> DmarcFinding:
    return DmarcFinding(result, domain, domain, policy=policy, requested=policy, problem="why")


@pytest.mark.parametrize("policy", get_args(Policy))
@pytest.mark.parametrize("result", get_args(DmarcResult))
def test_every_result_word_has_a_row_and_its_verdict(result: DmarcResult, policy: Policy) -> None:
    assert DMARC_ROWS.keys() == set(get_args(DmarcResult)) and all(
        row.keys() == set(get_args(Policy)) for row in DMARC_ROWS.values()
    )
    verdict = judge(Evidence(spf=SPF, dkim=(), dmarc=_finding(result, policy)), RULES)
    assert (verdict.action, verdict.rule) == VERDICTS.get((result, policy), ("accept", ""))
    deferring = judge(
        Evidence(spf=SPF, dkim=(), dmarc=_finding(result, policy)), DoorRules(on_temperror="defer")
    )
    assert (deferring.action == "defer") is (result == "temperror")


def test_a_refusal_of_what_cannot_be_read_says_why() -> None:
    verdict = judge(
        Evidence(spf=SPF, dkim=(), authorship=AuthorshipFinding(problem="there are 2 From fields")), RULES
    )
    assert (
        verdict.reply is not None
        and str(verdict.reply).startswith("550 5.7.1 ")
        and "2 From fields" in str(verdict.reply)
    )


@pytest.mark.parametrize(
    ("policy", "action"), [("none", "junk"), ("quarantine", "junk"), ("reject", "refuse")]
)
def test_junk_for_what_cannot_be_read_is_no_way_round_dmarc(policy: Policy, action: str) -> None:
    evidence = Evidence(
        spf=SPF, dkim=(), dmarc=_finding("fail", policy), authorship=AuthorshipFinding(problem="x")
    )
    assert judge(evidence, DoorRules(refuses_unreadable=False)).action == action


@pytest.mark.parametrize(
    ("finding", "list_id", "action"),
    [
        (AuthorshipFinding(own_shown=("ours.example",)), "", "junk"),
        (AuthorshipFinding(own_shown=("ours.example",)), "club.list.example", "accept"),
        (AuthorshipFinding(own_senders=("ours.example",)), "", "junk"),
        (AuthorshipFinding(own_senders=("ours.example",)), "club.list.example", "accept"),
        (AuthorshipFinding(own_senders=("list.example",)), "", "accept"),
        (AuthorshipFinding(own_shown=("list.example",)), "", "accept"),  # DKIM speaks for it
        (AuthorshipFinding(shown=(_finding("fail"),)), "", "junk"),
        (AuthorshipFinding(shown=(_finding("fail", "none"), _finding("fail", "quarantine"))), "", "junk"),
        (AuthorshipFinding(shown=(_finding("fail"),)), "club.list.example", "accept"),
        (
            AuthorshipFinding(
                shown=(_finding("fail", "none"), _finding("pass"), _finding("none"), _finding("temperror"))
            ),
            "",
            "accept",
        ),
        (AuthorshipFinding(too_many_shown=True), "", "junk"),
    ],
)
def test_what_is_only_shown_must_have_passed(finding: AuthorshipFinding, list_id: str, action: str) -> None:
    evidence = Evidence(
        spf=SPF, dkim=(DkimEvidence("pass", "", "list.example"),), authorship=finding, list_id=list_id
    )
    assert judge(evidence, RULES).action == action
    assert judge(evidence, DoorRules(modes={"shown-author": "off"})).action == "accept"
