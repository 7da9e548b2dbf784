"""Who brings the message: what speaks for and against a sender that may be a stranger.

Whoever is written in MAIL FROM gets what we have to say about a message: if a stranger forged it, somebody
who never wrote here (backscatter, RFC 5321 §6.2). So strangers are told only where SPF or DKIM speaks for
that name.
"""

from typing import Literal

from sekisho.core.policy.dnsbl import is_enough
from sekisho.core.policy.door.rule import DoorRules, DoorVerdict, Rule, RuleSetting, by_name, is_for_roles
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greylist import GreylistEffect, GreylistFinding, GreylistRules, spell, state_of
from sekisho.core.policy.reputation import (
    ReputationFinding,
    ReputationRules,
    Standing,
    is_bad,
    is_good,
    is_in_line,
)
from sekisho.core.terms.envelope import Voucher
from sekisho.core.terms.reply import Reply

SENDER, FORWARDING, DNSBL = "unknown-sender-domain", "forged-forward", "dnsbl-listed"
GREYLIST, REPUTATION = "greylist", "bad-reputation"
VoucherStanding = Voucher | Literal["unknown"]


def voucher(evidence: Evidence) -> VoucherStanding:
    """What speaks for the domain of the reverse path: "spf", "dkim", or "" for nothing. "unknown": the DNS
    did not say.

    DKIM does if d= is that domain or stands above it. Not below, as DMARC's relaxed alignment would have it
    (RFC 9989 §5.1): who was given a name under a domain may sign there, and speaks for the domain no more
    than for its other guests.
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

    Where the message goes next, SPF would find us instead of the sender; what it calls forged here is refused
    while the client still waits for an answer: sent on and turned away there, it could be told to nobody.
    """
    if not evidence.leads_away or evidence.spf is None or not evidence.reverse_domain:
        return None
    standing = voucher(evidence)
    domain = evidence.reverse_domain
    if standing == "unknown":
        return "defer", f"whether SPF or DKIM authenticates {domain} could not be found out"
    if standing == "" and evidence.spf.mailfrom.result == "fail":
        return (
            "refuse",
            f"SPF says that the client may not send for {domain}, and no DKIM signature authenticates it",
        )
    return None


def vouching(finding: ReputationFinding, rules: ReputationRules) -> str:
    """Why the sender is known and need not wait, nor be doubted for one suspicion; "" if it is a stranger.

    Only what could not be forged speaks here: the client's own address, an authenticated organization, a
    pair.
    """
    for pair in finding.pairs.values():
        if pair.history.is_trusted or is_good(pair, rules):
            return str(pair)
    for standing in (finding.domain, finding.client):
        if standing is not None and is_good(standing, rules):
            return str(standing)
    return _written(finding.written_domain, rules)


def spares_waiting(finding: ReputationFinding, rules: ReputationRules) -> str:
    """Why the message need not wait, "" if nothing speaks for it. Waiting is all that is spared: so a good
    network, and an address that somebody here wrote to, are enough although nothing proves that it is its
    owner who writes."""
    if finding.roles:
        return "it is for postmaster or abuse"
    if finding.expecting:
        return "a recipient expects mail"
    if reason := vouching(finding, rules) or _written(finding.written, rules):
        return reason
    return str(finding.network) if is_good(finding.network, rules) else ""


def _written(standing: Standing | None, rules: ReputationRules) -> str:
    if standing is None or not standing.history.is_trusted:
        return ""
    return str(standing) if standing.now_us - standing.history.trusted_at_us <= rules.written_us else ""


def against(finding: ReputationFinding, rules: ReputationRules, account_id: int) -> Standing | None:
    """The bad history that speaks against this account's copy. A role's mail is never judged by reputation.

    An authenticated organization is judged by itself, wherever its mail comes from; others by the host that
    they come from. Neighbours in its network are not their fault: see `speaks_against`.
    """
    pair = finding.pairs.get(account_id)
    if account_id in finding.roles or (pair is not None and pair.history.is_trusted):
        return None
    if pair is not None and is_bad(pair, rules):
        return pair
    if finding.domain is not None and (is_bad(finding.domain, rules) or is_good(finding.domain, rules)):
        return finding.domain if is_bad(finding.domain, rules) else None
    return finding.client if is_bad(finding.client, rules) else None


def speaks_against(finding: ReputationFinding, rules: ReputationRules) -> str:
    """A bad history as a second opinion, beside one DNSBL for example; "" if there is none. Here the whole
    network speaks too."""
    if finding.roles or vouching(finding, rules):
        return ""
    for standing in (finding.domain, finding.client, finding.network):
        if standing is not None and is_bad(standing, rules):
            return str(standing)
    return ""


def trusting(finding: ReputationFinding) -> frozenset[int]:
    """Accounts whose user wrote to the author, or took mail of theirs out of Junk, and never objected
    since."""
    return frozenset(account_id for account_id, pair in finding.pairs.items() if pair.history.is_trusted)


def suspicion(evidence: Evidence, experience: ReputationRules) -> str:
    """What all speaks against the sender; "" if one thing speaks for it, or could not be known, or was not
    asked."""
    s25r, known = evidence.s25r, evidence.reputation
    if s25r is None or not s25r.is_suspicious or known is None or known.problem:
        return ""
    if is_author_proven(evidence) is not False or is_met(known) or spares_waiting(known, experience):
        return ""
    return f"{s25r.explain()}; neither SPF nor DKIM authenticates the author; nobody here knows the sender"


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
    is_unknown = (
        spf.mailfrom.result == "temperror"
        or dmarc.result == "temperror"
        or any(one.result == "temperror" for one in dkim)
    )
    return None if is_unknown else False


def proven_domains(evidence: Evidence) -> list[str]:
    """Domains that DKIM and SPF pass for, in line with the author or not; those of DKIM first, in order."""
    domains = sorted({one.domain.lower() for one in evidence.dkim or () if one.result == "pass"})
    if evidence.spf is not None and evidence.spf.mailfrom.result == "pass":
        domains.append(evidence.spf.mailfrom.domain.lower())
    return domains


def is_met(finding: ReputationFinding) -> bool:
    """Did mail of this client, domain or pair come in before, and was it taken, more often than not? The
    network alone is no history."""
    standings: list[Standing | None] = [finding.client, finding.domain, *finding.pairs.values()]
    return any(
        one.score >= 0.5 and (one.history.messages > one.history.refused or one.history.is_trusted)
        for one in standings
        if one is not None
    )


def waits(finding: GreylistFinding | None, rules: GreylistRules) -> str:
    """Where the sender stands if it has to wait, else "": also what could not be known, and what looks like a
    code, waits for nobody."""
    if finding is None or finding.problem or finding.code or not finding.key:
        return ""
    state = state_of(finding.tried, finding.now_us, rules)
    if state == "new":
        return "this is its first try"
    if state == "early" and finding.tried is not None:
        return f"it tried again after only {spell(finding.now_us - finding.tried.first_at_us)}"
    return ""


def effect(
    finding: GreylistFinding | None, rules: GreylistRules, *, has_to_wait: bool
) -> GreylistEffect | None:
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


def judge_sender(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Known at RCPT already. Postmaster and abuse are sent from anywhere, the roles' mail never gets here."""
    finding = evidence.sender
    if finding is None or finding.state != "missing" or is_for_roles(evidence):
        return None
    because = f"there is no domain {finding.domain}"
    if rules.refuses_senders:
        return DoorVerdict(
            action="refuse",
            rule=SENDER,
            because=because,
            reply=Reply.of(550, "5.1.8", f"The DNS says that {finding.domain} does not exist"),
        )
    return DoorVerdict(
        action="defer",
        rule=SENDER,
        because=because,
        reply=Reply.of(450, "4.1.8", f"The DNS says now that {finding.domain} does not exist"),
    )


def _judge_forwarding(evidence: Evidence, _rules: DoorRules) -> DoorVerdict | None:
    found = forwarding(evidence)
    if found is None:
        return None
    action, because = found
    domain = evidence.reverse_domain
    if action == "defer":
        text = (
            f"Mail to this address is forwarded, and the DNS does not say now whether it is from "
            f"{domain}; try again later"
        )
        return DoorVerdict(
            action="defer", rule=FORWARDING, because=because, reply=Reply.of(451, "4.7.0", text)
        )
    text = (
        f"Mail to this address is forwarded, and SPF says that this is not from {domain}; it is not accepted"
    )
    return DoorVerdict(action="refuse", rule=FORWARDING, because=because, reply=Reply.of(550, "5.7.1", text))


def _judge_dnsbl(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Lists that agree turn a client away; one alone needs our own bad history beside it. Known senders and
    the roles are spared."""
    finding, known = evidence.dnsbl, evidence.reputation
    if finding is None or not finding.listed:
        return None
    if is_for_roles(evidence) or (known is not None and vouching(known, rules.experience)):
        return None
    against_it = speaks_against(known, rules.experience) if known is not None else ""
    if not is_enough(finding, rules.blocklists, bad_history=bool(against_it)):
        return None
    because = finding.explain() + (f"; and our own experience: {against_it}" if against_it else "")
    zones = ", ".join(one.zone for one in finding.listed)
    if known is not None and known.problem:  # a friend of ours might be among them
        reply = Reply.of(
            451,
            "4.7.1",
            f"The host or domain is on {zones}, and whether it is known here cannot be looked up now",
        )
        return DoorVerdict(action="defer", rule=DNSBL, because=because, reply=reply)
    text = f"The host or domain is on {zones}; have it removed there, or write to postmaster"
    return DoorVerdict(action="refuse", rule=DNSBL, because=because, reply=Reply.of(550, "5.7.1", text))


def _judge_greylist(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    where = waits(evidence.greylist, rules.waiting)
    because = suspicion(evidence, rules.experience) if where else ""
    if not because:
        return None
    text = (
        "The sender is unknown here and not authenticated (SPF, DKIM, reverse name); try again in a "
        "few minutes"
    )
    return DoorVerdict(
        action="defer", rule=GREYLIST, because=f"{because}; {where}", reply=Reply.of(451, "4.7.1", text)
    )


def _judge_reputation(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    finding, experience = evidence.reputation, rules.experience
    if finding is None or finding.problem:
        return None
    speaking = {account_id: against(finding, experience, account_id) for account_id in finding.pairs}
    told = next((standing for standing in speaking.values() if standing is not None), None)
    if told is None:
        return None
    spared = frozenset(account_id for account_id, standing in speaking.items() if standing is None)
    if experience.bad_action == "defer" and not spared:
        text = "Too much unwanted mail came from there recently; if that is a mistake, write to postmaster"
        return DoorVerdict(
            action="defer", rule=REPUTATION, because=str(told), reply=Reply.of(451, "4.7.1", text)
        )
    return DoorVerdict(action="junk", rule=REPUTATION, because=str(told), spared=spared)


RULES = by_name(
    Rule(
        name=SENDER,
        says="Mail from a sender domain that does not exist is deferred or refused.",
        setting=RuleSetting(
            path="door.sender_domain",
            default="defer",
            says=(
                "What to do with mail from a sender domain that does not exist; observe: only record "
                "it; off: do not check."
            ),
        ),
        judge=judge_sender,
    ),
    Rule(
        name=FORWARDING,
        says="Mail that fails SPF is not forwarded to addresses elsewhere.",
        setting=RuleSetting(
            path="door.forwarding",
            says=(
                "Refuse mail that fails SPF and is only to be forwarded elsewhere; observe: only "
                "record it; off: forward it."
            ),
        ),
        judge=_judge_forwarding,
    ),
    Rule(
        name=DNSBL,
        says="Mail from hosts or domains that several blocklists list is refused.",
        setting=RuleSetting(
            path="door.dnsbl",
            says=(
                "Refuse mail from hosts or domains that several blocklists list; observe: only "
                "record it; off: do not ask them."
            ),
        ),
        judge=_judge_dnsbl,
    ),
    Rule(
        name=GREYLIST,
        says="Unknown senders that nothing authenticates are asked to try again later (greylisting).",
        setting=RuleSetting(
            path="greylist.mode",
            says=(
                "Ask unknown senders that nothing authenticates to try again later; observe: only "
                "record it; off: do nothing."
            ),
        ),
        judge=_judge_greylist,
    ),
    Rule(
        name=REPUTATION,
        says="Mail from senders with a bad reputation is put into Junk or deferred.",
        setting=RuleSetting(
            path="reputation.bad_history",
            default="junk",
            says=(
                "What to do with mail from senders with a bad reputation: put it into Junk (junk), "
                "defer it (defer), only record it (observe), or nothing (off)."
            ),
        ),
        judge=_judge_reputation,
    ),
)
