"""The verdict at the door, from evidence alone. What could not be known may defer, never reject (DESIGN §2
law 3)."""

from collections.abc import Mapping
from dataclasses import replace

from sekisho.core.policy.contentrules import dangerous
from sekisho.core.policy.door import author, content, stranger
from sekisho.core.policy.door.author import ARC_TRUSTED, DMARC, IMPERSONATED, OWN_DOMAIN, SHOWN, UNREADABLE
from sekisho.core.policy.door.connection import CONNECTION_RULES
from sekisho.core.policy.door.content import ATTACHMENT, CONTENT, RSPAMD, VIRUS
from sekisho.core.policy.door.rule import ACCEPTED, DoorRules, DoorVerdict, Rule, by_name
from sekisho.core.policy.door.stranger import (
    DNSBL,
    FORWARDING,
    GREYLIST,
    REPUTATION,
    SENDER,
    effect,
    trusting,
)
from sekisho.core.policy.evidence import Evidence

TRUSTED = "trusted-sender"
# What whoever is trusted by the recipients passes.
TRUST_HELPS = frozenset((DNSBL, REPUTATION, GREYLIST))
# Nobody vouches for a stranger under our own name, nor for a program: friends are hijacked too.
_NEVER_SPARED = frozenset((OWN_DOMAIN, UNREADABLE, VIRUS, ATTACHMENT))
# In this order. Whatever is first to speak, in mode enforce, decides; what only accuses by suspicion stands
# last. A new rule: its row in its family, its name here.
ORDER = (
    VIRUS,
    OWN_DOMAIN,
    UNREADABLE,
    SENDER,
    DMARC,
    FORWARDING,
    DNSBL,
    GREYLIST,
    IMPERSONATED,
    SHOWN,
    REPUTATION,
    ATTACHMENT,
    RSPAMD,
    CONTENT,
    ARC_TRUSTED,
)
_FAMILIES = {**author.RULES, **stranger.RULES, **content.RULES}
RULES: tuple[Rule, ...] = tuple(_FAMILIES[name] for name in ORDER)
EVERY_RULE: Mapping[str, Rule] = by_name(*CONNECTION_RULES) | _FAMILIES


def judge(evidence: Evidence, rules: DoorRules, among: tuple[Rule, ...] | None = None) -> DoorVerdict:
    """The first rule that has something to say decides; of `RULES`, those about a message, unless others are
    named."""
    verdict = _first(evidence, rules, RULES if among is None else among)
    if rules.mode(GREYLIST) != "enforce" or evidence.greylist is None or verdict.action == "refuse":
        return verdict
    return replace(
        verdict, greylist=effect(evidence.greylist, rules.waiting, has_to_wait=verdict.rule == GREYLIST)
    )


def _first(evidence: Evidence, rules: DoorRules, among: tuple[Rule, ...]) -> DoorVerdict:
    observed: DoorVerdict | None = None
    for rule in among:
        mode = rules.mode(rule.name)
        verdict = rule.judge(evidence, rules) if mode != "off" else None
        if verdict is None:
            continue
        if mode == "enforce":
            return _spared(verdict, evidence, rules)
        observed = observed or DoorVerdict(
            action="accept", rule=verdict.rule, because=verdict.because, observed=True
        )
    return observed or ACCEPTED


def _spared(verdict: DoorVerdict, evidence: Evidence, rules: DoorRules) -> DoorVerdict:
    """Junk is not junk for who took this author's mail out of Junk."""
    if verdict.action != "junk" or verdict.rule in _NEVER_SPARED or evidence.reputation is None:
        return verdict
    if rules.mode(ATTACHMENT) == "enforce" and dangerous(evidence.content, rules.content):
        return verdict
    trusted, pairs = trusting(evidence.reputation), evidence.reputation.pairs
    if trusted and len(trusted) == len(pairs):
        told = next(str(pairs[account_id]) for account_id in trusted)
        return DoorVerdict(
            action="accept", rule=TRUSTED, because=f"{told}; without that, {verdict.rule}: {verdict.because}"
        )
    return replace(verdict, spared=verdict.spared | trusted)
