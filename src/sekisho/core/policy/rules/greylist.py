"""When all suspicions agree, and nothing speaks for a sender, it may be asked to come again (RFC 6647 §4). A wait is all that follows."""

from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greylist import GreylistEffect, GreylistFinding, GreylistRules, spell, state_of
from sekisho.core.policy.reputation import ReputationFinding, ReputationRules, Standing, is_in_line
from sekisho.core.policy.rules.reputation import spares_waiting


def suspicion(evidence: Evidence, experience: ReputationRules) -> str:
    """What all speaks against the sender; "" if one thing speaks for it, or could not be known, or was not asked."""
    s25r, known = evidence.s25r, evidence.reputation
    if s25r is None or not s25r.is_suspicious or known is None or known.problem:
        return ""
    if is_author_proven(evidence) is not False or is_met(known) or spares_waiting(known, experience):
        return ""
    return f"{s25r.explain()}; neither SPF nor DKIM speaks for the author; nobody here knows the sender"


def is_author_proven(evidence: Evidence) -> bool | None:
    """Does SPF or DKIM pass for a name in line with the author's? None: it could not be known.

    More generous than DMARC: for the null path HELO counts too, and no record is needed.
    """
    spf, dkim, dmarc = evidence.spf, evidence.dkim, evidence.dmarc
    if dmarc is not None and dmarc.result == "pass":
        return True
    if evidence.reputation is not None and evidence.reputation.organization:
        return True
    if spf is None or dkim is None or dmarc is None:
        return None
    author = dmarc.author_domain
    if author and any(is_in_line(domain, author) for domain in proven_domains(evidence)):
        return True
    is_unknown = spf.mailfrom.result == "temperror" or dmarc.result == "temperror" or any(one.result == "temperror" for one in dkim)
    return None if is_unknown else False


def proven_domains(evidence: Evidence) -> list[str]:
    """Domains that DKIM and SPF pass for, in line with the author or not; those of DKIM first, in order."""
    domains = sorted({one.domain.lower() for one in evidence.dkim or () if one.result == "pass"})
    if evidence.spf is not None and evidence.spf.mailfrom.result == "pass":
        domains.append(evidence.spf.mailfrom.domain.lower())
    return domains


def is_met(finding: ReputationFinding) -> bool:
    """Did mail of this client, domain or pair come in before, and was it taken, more often than not? The network alone is no history."""
    standings: list[Standing | None] = [finding.client, finding.domain, *finding.pairs.values()]
    return any(
        one.score >= 0.5 and (one.history.messages > one.history.refused or one.history.is_trusted) for one in standings if one is not None
    )


def waits(finding: GreylistFinding | None, rules: GreylistRules) -> str:
    """Where the sender stands if it has to wait, else "": also what could not be known, and what looks like a code, waits for nobody."""
    if finding is None or finding.problem or finding.code or not finding.key:
        return ""
    state = state_of(finding.tried, finding.now_us, rules)
    if state == "new":
        return "this is its first try"
    if state == "early" and finding.tried is not None:
        return f"it came back after only {spell(finding.now_us - finding.tried.first_at_us)}"
    return ""


def effect(finding: GreylistFinding | None, rules: GreylistRules, *, has_to_wait: bool) -> GreylistEffect | None:
    """What is to be remembered after a verdict that does not turn the sender away."""
    if finding is None or finding.problem or not finding.key:
        return None
    state = state_of(finding.tried, finding.now_us, rules)
    waited_us = finding.now_us - finding.tried.first_at_us if finding.tried is not None else 0
    if has_to_wait:
        return GreylistEffect(finding.key, "wait" if state == "new" else "early", waited_us)
    if state in ("new", "early"):
        return None
    return GreylistEffect(finding.key, "back" if state == "back" else "seen", waited_us)
