"""Whether what a message shows as its author has passed, and what follows from each result of DMARC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sekisho.core.mailauth.dmarc.evaluate import DmarcResult
from sekisho.core.mailauth.dmarc.record import Policy
from sekisho.core.policy.evidence import Evidence

Consequence = Literal["nothing", "unknown", "quarantine", "reject", "unreadable"]

# Every result word and what the domain asks for. RFC 9989 §5.4: p=none changes nothing; RFC 9989 §11.5: what DMARC cannot be applied to,
# since nobody can tell whose it is, is no reason to let it in.
DMARC_ROWS: Mapping[DmarcResult, Mapping[Policy, Consequence]] = {
    "pass": {"none": "nothing", "quarantine": "nothing", "reject": "nothing"},
    "fail": {"none": "nothing", "quarantine": "quarantine", "reject": "reject"},
    "none": {"none": "nothing", "quarantine": "nothing", "reject": "nothing"},
    "temperror": {"none": "unknown", "quarantine": "unknown", "reject": "unknown"},
    "permerror": {"none": "unreadable", "quarantine": "unreadable", "reject": "unreadable"},
}


def dmarc_says(evidence: Evidence) -> Consequence:
    finding = evidence.dmarc
    return DMARC_ROWS[finding.result][finding.policy] if finding is not None else "nothing"


def unreadable(evidence: Evidence) -> str:
    """Why nobody can tell who wrote the message; "" if somebody can."""
    if evidence.authorship is not None and evidence.authorship.problem:
        return evidence.authorship.problem
    return evidence.dmarc.problem if evidence.dmarc is not None and dmarc_says(evidence) == "unreadable" else ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A name beside the author's that From shows and that nothing speaks for."""

    because: str
    is_ours: bool = False


def shows_another(evidence: Evidence) -> Shown | None:
    """A name of ours, whatever it publishes, or any other that asks for something where DMARC fails for it."""
    finding = evidence.authorship
    if finding is None:
        return None
    for domain in finding.own_shown:
        if not is_authenticated(evidence, domain):
            return Shown(f"From shows {domain}, which is ours, but is from {finding.author}", True)
    for shown in finding.shown:
        if DMARC_ROWS[shown.result][shown.policy] in ("quarantine", "reject"):
            return Shown(f"From shows {shown.author_domain}, whose policy is {shown.policy}, but is from {finding.author}")
    return Shown(f"From shows more domains than are looked at, and is from {finding.author}") if finding.too_many_shown else None


def is_authenticated(evidence: Evidence, domain: str) -> bool | None:
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
