"""Who wrote the message: may it carry the names that From shows, and can anybody tell?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sekisho.core.mailauth.dmarc.evaluate import DmarcResult
from sekisho.core.mailauth.dmarc.record import Policy
from sekisho.core.policy.door.rule import DoorRules, DoorVerdict, Rule, RuleSetting, by_name, is_for_roles
from sekisho.core.policy.door.sealers import sealed_pass, unread_seal
from sekisho.core.policy.door.stranger import vouching
from sekisho.core.policy.evidence import Evidence
from sekisho.core.terms.reply import Reply

OWN_DOMAIN, UNREADABLE, DMARC, SHOWN = "own-domain", "unreadable-from", "dmarc", "shown-author"
IMPERSONATED, ARC_TRUSTED = "impersonated-name", "arc-trusted"
Consequence = Literal["nothing", "unknown", "quarantine", "reject", "unreadable"]

# Every result word and what the domain asks for. RFC 9989 §5.4: p=none changes nothing; RFC 9989 §11.5: what
# DMARC cannot be applied to, since nobody can tell whose it is, is no reason to let it in.
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
    return (
        evidence.dmarc.problem if evidence.dmarc is not None and dmarc_says(evidence) == "unreadable" else ""
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A name beside the author's that From or Sender shows and that nothing speaks for."""

    because: str
    is_ours: bool = False


def shows_another(evidence: Evidence) -> Shown | None:
    """A name of ours, whatever it publishes, or any other that asks for something where DMARC fails for
    it."""
    finding = evidence.authorship
    if finding is None:
        return None
    for domain in finding.own_shown:
        if not is_authenticated(evidence, domain):
            return Shown(
                f"From shows {domain}, which is served here, but the author is {finding.author}", True
            )
    for domain in finding.own_senders:
        if not is_authenticated(evidence, domain):
            return Shown(
                f"Sender names {domain}, which is served here, but the message is from {finding.author}", True
            )
    for shown in finding.shown:
        if DMARC_ROWS[shown.result][shown.policy] in ("quarantine", "reject"):
            return Shown(
                f"From shows {shown.author_domain}, whose policy is {shown.policy}, but is from "
                f"{finding.author}"
            )
    return (
        Shown(f"From shows more domains than are looked at, and is from {finding.author}")
        if finding.too_many_shown
        else None
    )


def is_authenticated(evidence: Evidence, domain: str) -> bool | None:
    """Does SPF or DKIM pass for the domain or a name below it? None: it could not be known."""
    spf, dkim = evidence.spf, evidence.dkim or ()
    passing = [one.domain for one in dkim if one.result == "pass"]
    if spf is not None and spf.mailfrom.result == "pass":
        passing.append(spf.mailfrom.domain)
    if any(name.lower() == domain or name.lower().endswith("." + domain) for name in passing):
        return True
    is_unknown = (
        spf is None or spf.mailfrom.result == "temperror" or any(one.result == "temperror" for one in dkim)
    )
    return None if is_unknown else False


def through_list(evidence: Evidence) -> bool:
    """Does the mailing list that List-Id names sign for itself?"""
    name = evidence.list_id
    passing = [
        one.domain.lower() for one in evidence.dkim or () if one.result == "pass" and "." in one.domain
    ]
    return bool(name) and any(name == domain or name.endswith("." + domain) for domain in passing)


def _judge_own_domains(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """A stranger may not write in the name of a domain of ours, whatever that domain publishes. While the DNS
    does not say who speaks for the message it comes again: to let it in would open our name to everybody with
    a broken zone."""
    for domain in evidence.own_authors:
        known = is_authenticated(evidence, domain)
        if known or evidence.spf is None or sealed_pass(evidence.arc, domain, rules.trusted_sealers):
            continue
        because = f"From names {domain}, which is served here, and neither SPF nor DKIM authenticates it"
        if through_list(evidence):
            return DoorVerdict(
                action="junk",
                rule=OWN_DOMAIN,
                because=f"{because}; it came through the list {evidence.list_id}",
            )
        if known is None or unread_seal(evidence.arc, rules.trusted_sealers):
            reply = Reply.of(
                451,
                "4.7.0",
                f"The DNS does not say now whether the message may name {domain} in From; try again later",
            )
            return DoorVerdict(
                action="defer",
                rule=OWN_DOMAIN,
                because=f"{because}; but one of the checks could not be finished",
                reply=reply,
            )
        text = f"Mail in the name of {domain} is accepted only from its own users; log in to send it"
        return DoorVerdict(
            action="refuse", rule=OWN_DOMAIN, because=because, reply=Reply.of(550, "5.7.1", text)
        )
    return None


def _judge_unreadable(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Whom each mail program shows another author for is nobody's mail. Notices and the roles' mail are lost
    to nobody: into Junk."""
    because, finding = unreadable(evidence), evidence.authorship
    if not because:
        return None
    if (
        rules.refuses_unreadable
        and not is_for_roles(evidence)
        and not (finding is not None and finding.is_notice)
    ):
        # RFC 5322 §3.6: one From; RFC 9989 §11.5
        text = f"The message needs one From field that names its author, as Name <local@domain>: {because}"
        return DoorVerdict(
            action="refuse", rule=UNREADABLE, because=because, reply=Reply.of(550, "5.7.1", text)
        )
    harsher = _judge_dmarc(evidence, rules) if rules.mode(DMARC) == "enforce" else None
    return (
        DoorVerdict(action="junk", rule=UNREADABLE, because=because)
        if harsher is None or harsher.action == "junk"
        else None
    )


def _judge_dmarc(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    finding, says = evidence.dmarc, dmarc_says(evidence)
    if finding is None or says in ("nothing", "unreadable"):
        return None
    domain = finding.author_domain
    if says == "unknown":
        if rules.on_temperror == "accept":
            return None
        reply = Reply.of(
            451, "4.7.0", f"The DNS does not say now whether DMARC passes for {domain}; try again later"
        )
        return DoorVerdict(action="defer", rule="dmarc-temperror", because=finding.problem, reply=reply)
    because = f"DMARC fails for {domain}, whose policy is {finding.policy}"
    if sealed_pass(evidence.arc, domain, rules.trusted_sealers):
        return None
    if says == "quarantine":
        return DoorVerdict(action="junk", rule="dmarc-quarantine", because=because)
    # RFC 9989 §7.4: p=reject alone is no reason to reject; a list that signs for itself is a reason not to.
    if through_list(evidence):
        return DoorVerdict(
            action="junk",
            rule="dmarc-list",
            because=f"{because}; it came through the list {evidence.list_id}",
        )
    if sealer := unread_seal(evidence.arc, rules.trusted_sealers):
        reply = Reply.of(
            451, "4.7.0", f"The DNS does not say now whether the seal of {sealer} holds; try again later"
        )
        return DoorVerdict(
            action="defer",
            rule="dmarc-temperror",
            because=f"{because}; the seal of {sealer} could not be checked",
            reply=reply,
        )
    if _could_pass(evidence, domain):
        return DoorVerdict(
            action="junk", rule="dmarc-unknown", because=f"{because}; one of the checks could not be finished"
        )
    text = f"DMARC: the message is not authenticated as {domain}, whose policy is to reject such mail"
    return DoorVerdict(
        action="refuse", rule="dmarc-reject", because=because, reply=Reply.of(550, "5.7.1", text)
    )


def _could_pass(evidence: Evidence, author_domain: str) -> bool:
    """Is a check unfinished that may have passed for the author's organization? One for another's name tells
    nothing about the author."""
    unfinished = [one.domain for one in evidence.dkim or () if one.result == "temperror"]
    if evidence.spf is not None and evidence.spf.mailfrom.result == "temperror":
        unfinished.append(evidence.spf.mailfrom.domain)
    # An organization has two labels at least: more may be one, less cannot.
    return any(name.lower().split(".")[-2:] == author_domain.split(".")[-2:] for name in unfinished)


def _judge_shown(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Marked in any case; not put into Junk where a mailing list signs for itself, nor a foreign name by
    whoever is known well here. For a name of ours only the recipient's own trust counts: everybody knows the
    hosts of free mail."""
    shown, known = shows_another(evidence), evidence.reputation
    if shown is None or through_list(evidence):
        return None
    if not shown.is_ours and known is not None and vouching(known, rules.experience):
        return None
    return DoorVerdict(action="junk", rule=SHOWN, because=shown.because)


def _judge_impersonation(evidence: Evidence, _rules: DoorRules) -> DoorVerdict | None:
    """A name of ours on a foreign address is marked in any case; where nothing speaks for that address, it
    goes into Junk."""
    finding = evidence.impersonated
    if finding is None or is_authenticated(evidence, finding.author.rpartition("@")[2]) is not False:
        return None
    return DoorVerdict(
        action="junk",
        rule=IMPERSONATED,
        because=f"{finding.explain()}, whom neither SPF nor DKIM authenticates",
    )


def _judge_sealed(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Writes down that a sealer's word stood against a refusal; the other rules had theirs."""
    if not rules.trusted_sealers or evidence.arc is None:
        return None
    without = replace(rules, trusted_sealers=frozenset(), on_temperror="accept")
    spared = _judge_own_domains(evidence, without) or _judge_dmarc(evidence, without)
    if spared is None:
        return None
    domains = (*evidence.own_authors, evidence.dmarc.author_domain if evidence.dmarc is not None else "")
    sealer = next(
        (found for domain in domains if (found := sealed_pass(evidence.arc, domain, rules.trusted_sealers))),
        "",
    )
    return (
        DoorVerdict(
            action="accept",
            rule=ARC_TRUSTED,
            because=f"{sealer} saw it pass; without that, {spared.rule}: {spared.because}",
        )
        if sealer
        else None
    )


RULES = by_name(
    Rule(
        name=OWN_DOMAIN,
        says=(
            "Mail from outside with an author in a domain served here is refused, unless SPF or DKIM "
            "authenticates it."
        ),
        setting=RuleSetting(
            path="door.own_domains",
            says=(
                "Refuse mail from outside with an author in a domain served here, unless SPF or DKIM "
                "authenticates it; observe: only record it; off: do not check."
            ),
        ),
        judge=_judge_own_domains,
    ),
    Rule(
        name=UNREADABLE,
        says="Mail whose From does not name a readable author is refused.",
        setting=RuleSetting(
            path="door.unreadable_from",
            default="refuse",
            says=(
                "What to do with mail whose From is missing, given twice, unreadable or names too "
                "many domains; observe: only record it; off: do not check."
            ),
        ),
        judge=_judge_unreadable,
    ),
    Rule(
        name=DMARC,
        says="Mail that fails DMARC is refused or put into Junk, as its domain asks.",
        setting=RuleSetting(
            path="door.dmarc",
            says=(
                "Refuse mail that fails DMARC or put it into Junk, as its domain asks; observe: only "
                "record it; off: do nothing."
            ),
        ),
        judge=_judge_dmarc,
    ),
    Rule(
        name=IMPERSONATED,
        says=(
            "Mail that shows a name of your people on a foreign address is marked, and put into Junk unless "
            "SPF or DKIM authenticates it."
        ),
        setting=RuleSetting(
            path="door.impersonation",
            says=(
                "Mark mail that shows a name of your people on a foreign address; observe: only "
                "record it; off: do not check."
            ),
        ),
        judge=_judge_impersonation,
    ),
    Rule(
        name=SHOWN,
        says=(
            "Mail whose From shows an address of another domain beside the author's is marked and put into "
            "Junk, unless that domain is authenticated: a domain here by SPF or DKIM, any other by its "
            "DMARC policy."
        ),
        setting=RuleSetting(
            path="door.shown_authors",
            says=(
                "Mark mail whose From shows an unauthenticated address of another domain beside the "
                "author's, and put it into Junk; observe: only record it; off: do nothing."
            ),
        ),
        judge=_judge_shown,
    ),
    Rule(
        name=ARC_TRUSTED,
        says="Mail that fails DMARC is accepted if an ARC sealer in door.trusted_sealers saw it pass before.",
        setting=RuleSetting(
            path="door.trusted_sealers",
            default=(),
            says=(
                "Domains whose ARC seals are trusted, such as mailing lists and forwarders that "
                "change mail; each as in d= of the seal."
            ),
        ),
        judge=_judge_sealed,
    ),
)
