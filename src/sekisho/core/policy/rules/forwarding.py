"""Who vouches for the reverse path, and what an alias sends elsewhere.

Whoever is written in MAIL FROM gets what we have to say about a message: if a stranger forged it, somebody who never wrote here
(backscatter, RFC 5321 §6.2). So strangers are told only where SPF or DKIM speaks for that name.
"""

from typing import Literal

from sekisho.core.policy.evidence import Evidence
from sekisho.core.terms.envelope import Voucher

Standing = Voucher | Literal["unknown"]


def voucher(evidence: Evidence) -> Standing:
    """What speaks for the domain of the reverse path: "spf", "dkim", or "" for nothing. "unknown": the DNS did not say.

    DKIM does if d= is that domain or stands above it. Not below, as DMARC's relaxed alignment would have it (RFC 9989 §5.1): who was given
    a name under a domain may sign there, and speaks for the domain no more than for its other guests.
    """
    domain, spf = evidence.reverse_domain, evidence.spf
    if not domain or spf is None:
        return ""
    result = spf.mailfrom.result
    if result == "pass" and spf.mailfrom.identity == "mailfrom" and spf.mailfrom.domain.lower() == domain:
        return "spf"
    speaking = [one for one in evidence.dkim or () if _is_above(one.domain.lower(), domain)]
    if any(one.result == "pass" for one in speaking):
        return "dkim"
    return "unknown" if result == "temperror" or any(one.result == "temperror" for one in speaking) else ""


def _is_above(name: str, domain: str) -> bool:
    """A top-level domain speaks for nobody below it."""
    return domain == name or ("." in name and domain.endswith("." + name))


def forwarding(evidence: Evidence) -> tuple[Literal["refuse", "defer"], str] | None:
    """What becomes of a message that only goes elsewhere, by an alias, and why; None: it goes.

    Where the message goes next, SPF would find us instead of the sender; what it calls forged here is refused while the client still
    waits for an answer: sent on and turned away there, it could be told to nobody.
    """
    if not evidence.leads_away or evidence.spf is None or not evidence.reverse_domain:
        return None
    standing = voucher(evidence)
    domain = evidence.reverse_domain
    if standing == "unknown":
        return "defer", f"whether SPF or DKIM speaks for {domain} could not be found out"
    if standing == "" and evidence.spf.mailfrom.result == "fail":
        return "refuse", f"SPF says that the client may not send for {domain}, and no signature speaks for it"
    return None
