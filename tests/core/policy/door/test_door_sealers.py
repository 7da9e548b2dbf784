"""Trusted sealers: what they saw stands against a DMARC failure; a stranger's word, or a word about others,
does not."""

from dataclasses import replace

import pytest

from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding
from sekisho.core.policy.content import ClamavFinding
from sekisho.core.policy.door.judge import judge
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.evidence import Evidence

RULES = DoorRules(trusted_sealers=frozenset({"lists.example", "relay.example"}))
PASS = b" i=1; lists.example; dmarc=pass header.from=bank.example"
OTHER = b" i=1; lists.example; dmarc=pass header.from=evil.example; spf=pass smtp.mailfrom=x@evil.example"
FAIL = b" i=2; relay.example; dmarc=fail header.from=bank.example; arc=pass"


def _arc(*sets: tuple[str, bytes]) -> ArcEvidence:
    return ArcEvidence(
        result="pass",
        reason="",
        instances=len(sets),
        sealers=tuple(sealer for sealer, _ in sets),
        seen=tuple(seen for _, seen in sets),
    )


def _failing(arc: ArcEvidence | None) -> Evidence:
    finding = DmarcFinding("fail", "bank.example", "bank.example", policy="reject", requested="reject")
    return Evidence(
        spf=SpfEvidence(SpfFinding(identity="mailfrom", domain="lists.example", result="pass")),
        dkim=(),
        dmarc=finding,
        arc=arc,
    )


@pytest.mark.parametrize(
    ("arc", "rule"),
    [
        (_arc(("lists.example", PASS)), "arc-trusted"),
        (
            _arc(("Lists.Example", PASS.upper().replace(b"PASS", b"pass").replace(b"DMARC", b"dmarc"))),
            "arc-trusted",
        ),
        (_arc(("lists.example", PASS), ("relay.example", FAIL)), "arc-trusted"),
        (_arc(("lists.example", b"i=1; lists.example; dkim=pass header.d=bank.example")), "arc-trusted"),
        (
            _arc(("lists.example", b"i=1; lists.example; spf=pass smtp.mailfrom=x@mail.bank.example")),
            "arc-trusted",
        ),
        (_arc(("stranger.example", PASS)), "dmarc-reject"),
        (
            _arc(("lists.example", PASS), ("stranger.example", FAIL)),
            "dmarc-reject",
        ),  # the stranger may have changed it
        (
            _arc(("stranger.example", PASS), ("lists.example", FAIL)),
            "dmarc-reject",
        ),  # nor is its word ours to believe
        (_arc(("sub.lists.example", PASS)), "dmarc-reject"),
        (_arc(("lists.example", OTHER)), "dmarc-reject"),
        (_arc(("lists.example", b"i=1; lists.example; dmarc=fail header.from=bank.example")), "dmarc-reject"),
        (_arc(("lists.example", b"i=1; (")), "dmarc-reject"),
        (
            ArcEvidence(
                result="fail", reason="seal 1 did not verify", instances=1, sealers=("lists.example",)
            ),
            "dmarc-reject",
        ),
        (None, "dmarc-reject"),
    ],
)
def test_what_the_sealer_saw(arc: ArcEvidence | None, rule: str) -> None:
    verdict = judge(_failing(arc), RULES)
    assert verdict.rule == rule and verdict.action == ("accept" if rule == "arc-trusted" else "refuse")
    assert judge(_failing(arc), DoorRules()).rule == "dmarc-reject"


def test_what_is_told() -> None:
    verdict = judge(_failing(_arc(("lists.example", PASS))), RULES)
    assert (
        verdict.because.startswith("lists.example saw it pass; without that, dmarc-reject: ")
        and not verdict.observed
    )


def test_our_own_name_needs_the_word_of_the_sealer_too() -> None:
    evidence = replace(
        _failing(None), own_authors=("ours.example",), dmarc=DmarcFinding("none", "ours.example")
    )
    assert judge(evidence, RULES).rule == "own-domain"
    other = replace(evidence, arc=_arc(("lists.example", PASS)))
    assert judge(other, RULES).rule == "own-domain"
    seen = replace(
        evidence, arc=_arc(("lists.example", b"i=1; lists.example; dkim=pass header.d=ours.example"))
    )
    assert (judge(seen, RULES).action, judge(seen, RULES).rule) == ("accept", "arc-trusted")


def test_a_trusted_sealer_answers_for_nothing_else() -> None:
    evidence = replace(_failing(_arc(("lists.example", PASS))), clamav=ClamavFinding("Eicar"))
    assert judge(evidence, RULES).rule == "virus"


def test_a_seal_that_could_not_be_checked_turns_nobody_away() -> None:
    arc = ArcEvidence(
        result="fail", reason="key query: timeout", instances=1, sealers=("lists.example",), is_temporary=True
    )
    stranger = replace(arc, sealers=("stranger.example",))
    own = replace(_failing(arc), own_authors=("ours.example",), dmarc=DmarcFinding("none", "ours.example"))
    for evidence, rule in ((_failing(arc), "dmarc-temperror"), (own, "own-domain")):
        verdict = judge(evidence, RULES)
        assert (
            (verdict.action, verdict.rule) == ("defer", rule)
            and verdict.reply is not None
            and verdict.reply.code == 451
        )
        assert judge(replace(evidence, arc=stranger), RULES).action == "refuse"
