"""The verdict at the door, from evidence alone. What could not be known may defer, never reject (DESIGN §2 law 3)."""

from dataclasses import dataclass
from typing import Literal

from sekisho.core.policy.evidence import Evidence
from sekisho.core.terms.reply import Reply

Mode = Literal["enforce", "observe"]
Action = Literal["accept", "junk", "defer", "refuse"]


@dataclass(frozen=True, slots=True)
class DoorRules:
    """The operator's choices. A rule in "observe" is only written down. `on_temperror`: when DNS cannot say whether DMARC passes."""

    dmarc: Mode = "enforce"
    own_domains: Mode = "enforce"
    on_temperror: Literal["accept", "defer"] = "accept"


@dataclass(frozen=True, slots=True)
class DoorVerdict:
    """`rule` spoke ("" if none did); `reply` is there for defer and refuse. `observed`: it would have acted, had it been enforced."""

    action: Action = "accept"
    rule: str = ""
    because: str = ""
    reply: Reply | None = None
    observed: bool = False


ACCEPTED = DoorVerdict()


def judge(evidence: Evidence, rules: DoorRules) -> DoorVerdict:
    """The first rule that has something to say decides."""
    observed: DoorVerdict | None = None
    for mode, verdict in ((rules.own_domains, _judge_own_domains(evidence)), (rules.dmarc, _judge_dmarc(evidence, rules))):
        if verdict is None:
            continue
        if mode == "enforce":
            return verdict
        observed = observed or DoorVerdict("accept", verdict.rule, verdict.because, observed=True)
    return observed or ACCEPTED


def _judge_own_domains(evidence: Evidence) -> DoorVerdict | None:
    """A stranger may not write in the name of a domain of ours, whatever that domain publishes."""
    for domain in evidence.own_authors:
        known = _is_authenticated(evidence, domain)
        if known is False:
            because = f"From names {domain}, which is ours, and neither SPF nor DKIM speaks for it"
            if through_list(evidence):
                return DoorVerdict("junk", "own-domain", f"{because}; it came through the list {evidence.list_id}")
            text = f"Mail in the name of {domain} is taken only from its own users; log in to send it (SPF, DKIM)"
            return DoorVerdict("refuse", "own-domain", because, Reply.of(550, "5.7.1", text))
    return None


def _is_authenticated(evidence: Evidence, domain: str) -> bool | None:
    """Does SPF or DKIM pass for the domain or a name below it? None: it could not be known."""
    spf, dkim = evidence.spf, evidence.dkim or ()
    passing = [one.domain for one in dkim if one.result == "pass"]
    if spf is not None and spf.mailfrom.result == "pass":
        passing.append(spf.mailfrom.domain)
    if any(name.lower() == domain or name.lower().endswith("." + domain) for name in passing):
        return True
    is_unknown = spf is None or spf.mailfrom.result == "temperror" or any(one.result == "temperror" for one in dkim)
    return None if is_unknown else False


def through_list(evidence: Evidence) -> bool:
    """Does the mailing list that List-Id names sign for itself?"""
    name = evidence.list_id
    passing = [one.domain.lower() for one in evidence.dkim or () if one.result == "pass" and "." in one.domain]
    return bool(name) and any(name == domain or name.endswith("." + domain) for domain in passing)


def _judge_dmarc(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    finding = evidence.dmarc
    if finding is None or finding.result not in ("fail", "temperror"):
        return None
    domain = finding.author_domain
    if finding.result == "temperror":
        if rules.on_temperror == "accept":
            return None
        reply = Reply.of(451, "4.7.0", f"The DNS does not say now whether DMARC passes for {domain}; try again later")
        return DoorVerdict("defer", "dmarc-temperror", finding.problem, reply)
    because = f"DMARC fails for {domain}, whose policy is {finding.policy}"
    if finding.policy == "none":
        return None  # RFC 9989 §5.4: p=none changes nothing
    if finding.policy == "quarantine":
        return DoorVerdict("junk", "dmarc-quarantine", because)
    # RFC 9989 §7.4: p=reject alone is no reason to reject; a list that signs for itself is a reason not to.
    if through_list(evidence):
        return DoorVerdict("junk", "dmarc-list", f"{because}; it came through the list {evidence.list_id}")
    if any(one.result == "temperror" for one in evidence.dkim or ()) or (evidence.spf and evidence.spf.mailfrom.result == "temperror"):
        return DoorVerdict("junk", "dmarc-unknown", f"{because}; one of the checks could not be finished")
    text = f"DMARC: the message is not authenticated as {domain}, whose policy is to reject such mail"
    return DoorVerdict("refuse", "dmarc-reject", because, Reply.of(550, "5.7.1", text))
