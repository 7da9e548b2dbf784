"""What a message's content says for and against it: the classifier, its attachments, scanners beside us. None
of it is asked about mail of our own people."""

from dataclasses import dataclass, field
from typing import Literal

from sekisho.core.policy.attachments import AttachmentRules, Found, judge_attachments
from sekisho.core.policy.classifier.knowledge import JUNK_SCORE, Opinion
from sekisho.core.policy.content import ClamavFinding, ContentFinding, RspamdFinding

_TOLD = 5  # words or symbols in a reason
_JUNK_ACTIONS = frozenset(("add header", "rewrite subject", "reject", "quarantine"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRules:
    """`known_margin`: by how much more a sender that we know well must look like spam. `refuses_…`: turn such
    mail away in the session instead of putting it into Junk."""

    junk_score: float = JUNK_SCORE
    known_margin: float = 0.6
    attachments: AttachmentRules = field(default_factory=AttachmentRules)
    refuses_attachments: bool = False
    refuses_viruses: bool = True
    refuses_for_rspamd: bool = False


def junk_by_words(
    finding: ContentFinding, rules: ContentRules, *, is_known: bool
) -> tuple[str, frozenset[int]] | None:
    """Why it is junk, and for whom it is not; None if it is for nobody. What is for postmaster or abuse is
    never judged by its words."""
    if finding.is_test:
        return "it holds the test string of spam filters (GTUBE)", finding.roles
    limit = rules.junk_score + (rules.known_margin if is_known else 0.0)
    opinions = {account_id: finding.opinion_of(account_id) for account_id in finding.account_ids}
    junk = {
        account_id: opinion
        for account_id, opinion in opinions.items()
        if opinion is not None and opinion.score >= limit
    }
    spared = frozenset(opinions.keys() - junk.keys()) | finding.roles
    if not junk.keys() - finding.roles:
        return None
    return _told(max(junk.values(), key=lambda opinion: opinion.score), limit), spared


def _told(opinion: Opinion, limit: float) -> str:
    telling = ", ".join(told.token for told in opinion.telling[:_TOLD] if told.weight > 0)
    return f"its words and build score {opinion.score:.2f} (junk from {limit:.2f}); most telling: {telling}"


def dangerous(finding: ContentFinding | None, rules: ContentRules) -> tuple[Found, ...]:
    """The attachments that the operator wants kept from people."""
    return judge_attachments(finding.attachments, rules.attachments) if finding is not None else ()


def told_of(found: tuple[Found, ...]) -> str:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(map(str, found[:3])) + more


def virus_in(finding: ClamavFinding | None) -> str:
    return finding.virus if finding is not None and not finding.problem else ""


def rspamd_says(
    finding: RspamdFinding | None, rules: ContentRules
) -> tuple[Literal["refuse", "junk", ""], str]:
    """What follows from its action, and why. Its greylisting and its "soft reject" are not ours."""
    if finding is None or finding.problem or finding.action not in _JUNK_ACTIONS:
        return "", ""
    symbols = ", ".join(f"{each.name} ({each.score:g})" for each in finding.symbols[:_TOLD] if each.score > 0)
    because = f"{finding.action}, score {finding.score:g} of {finding.required:g}: {symbols}"
    return ("refuse" if finding.action == "reject" and rules.refuses_for_rspamd else "junk"), because
