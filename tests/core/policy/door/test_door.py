"""The door's verdict over evidence that stands for itself."""

from dataclasses import replace

import pytest

from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.dmarc.record import Policy
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding, SpfResult
from sekisho.core.policy.door.judge import judge
from sekisho.core.policy.door.rule import ACCEPTED, DoorRules
from sekisho.core.policy.evidence import Evidence

RULES = DoorRules()


def _spf(result: SpfResult, domain: str = "evil.example") -> SpfEvidence:
    return SpfEvidence(SpfFinding(identity="mailfrom", domain=domain, result=result))


def _failing(policy: Policy) -> Evidence:
    finding = DmarcFinding("fail", "bank.example", "bank.example", policy=policy, requested=policy)
    return Evidence(spf=_spf("pass"), dkim=(), dmarc=finding)


@pytest.mark.parametrize(
    ("policy", "action"), [("none", "accept"), ("quarantine", "junk"), ("reject", "refuse")]
)
def test_dmarc_does_what_the_domain_asks(policy: Policy, action: str) -> None:
    assert judge(_failing(policy), RULES).action == action


def test_a_refusal_names_dmarc() -> None:
    reply = judge(_failing("reject"), RULES).reply
    assert reply is not None and str(reply).startswith("550 5.7.1 DMARC")


def test_observe_only_writes_down() -> None:
    verdict = judge(_failing("reject"), DoorRules(modes={"dmarc": "observe"}))
    assert (verdict.action, verdict.rule, verdict.observed, verdict.reply) == (
        "accept",
        "dmarc-reject",
        True,
        None,
    )


@pytest.mark.parametrize(("on_temperror", "action"), [("accept", "accept"), ("defer", "defer")])
def test_what_is_not_known_never_rejects(on_temperror: str, action: str) -> None:
    evidence = Evidence(
        spf=_spf("temperror"), dkim=(), dmarc=DmarcFinding("temperror", "bank.example", policy="reject")
    )
    verdict = judge(evidence, DoorRules(on_temperror="defer" if on_temperror == "defer" else "accept"))
    assert verdict.action == action and (verdict.reply is None or verdict.reply.code == 451)


def test_an_unfinished_check_makes_a_rejection_mild() -> None:
    evidence = replace(
        _failing("reject"), dkim=(DkimEvidence("temperror", "key query: timeout", "bank.example"),)
    )
    assert judge(evidence, RULES).action == "junk"


def test_a_list_that_signs_for_itself_is_not_refused() -> None:
    evidence = replace(
        _failing("reject"), dkim=(DkimEvidence("pass", "", "lists.example"),), list_id="club.lists.example"
    )
    assert judge(evidence, RULES).action == "junk"
    assert judge(replace(evidence, list_id="club.lists.example.evil"), RULES).action == "refuse"


def test_strangers_do_not_write_in_our_name() -> None:
    evidence = Evidence(
        spf=_spf("pass"), dkim=(), dmarc=DmarcFinding("none", "ours.example"), own_authors=("ours.example",)
    )
    verdict = judge(evidence, RULES)
    assert verdict.action == "refuse" and verdict.rule == "own-domain"
    assert judge(evidence, DoorRules(modes={"own-domain": "observe"})).action == "accept"
    assert judge(replace(evidence, spf=_spf("pass", "bounce.ours.example")), RULES) == ACCEPTED
    assert judge(replace(evidence, spf=_spf("pass", "notours.example")), RULES).action == "refuse"
    assert judge(replace(evidence, dkim=(DkimEvidence("pass", "", "ours.example"),)), RULES) == ACCEPTED
    assert (
        judge(replace(evidence, dkim=(DkimEvidence("fail", "", "ours.example"),)), RULES).action == "refuse"
    )


def test_a_broken_zone_opens_our_name_to_nobody() -> None:
    """Anybody can have a zone that does not answer: that must not be a way in, nor a reason to turn somebody
    away for good."""
    evidence = Evidence(
        spf=_spf("pass"), dkim=(), dmarc=DmarcFinding("none", "ours.example"), own_authors=("ours.example",)
    )
    unfinished = DkimEvidence("temperror", "key query: timeout", "evil.example")
    for unknown in (replace(evidence, spf=_spf("temperror")), replace(evidence, dkim=(unfinished,))):
        verdict = judge(unknown, RULES)
        assert (
            (verdict.action, verdict.rule) == ("defer", "own-domain")
            and verdict.reply is not None
            and verdict.reply.code == 451
        )
    through_list = replace(
        evidence, dkim=(DkimEvidence("pass", "", "evil.example"), unfinished), list_id="l.evil.example"
    )
    assert judge(through_list, RULES).action == "junk"


def test_an_unfinished_check_of_another_name_makes_nothing_mild() -> None:
    assert judge(replace(_failing("reject"), spf=_spf("temperror")), RULES).rule == "dmarc-reject"
    evidence = replace(
        _failing("reject"), dkim=(DkimEvidence("temperror", "key query: timeout", "bank.evil.example"),)
    )
    assert judge(evidence, RULES).rule == "dmarc-reject"
    evidence = replace(_failing("reject"), spf=_spf("temperror", "Bounce.Bank.Example"))
    assert judge(evidence, RULES).rule == "dmarc-unknown"


def test_nothing_known_is_let_in() -> None:
    assert judge(Evidence(), RULES) == ACCEPTED
