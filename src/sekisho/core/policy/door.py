"""The verdict at the door, from evidence alone. What could not be known may defer, never reject (DESIGN §2 law 3)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from sekisho.core.policy.dnsbl import DnsblRules, is_enough
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greylist import GreylistEffect, GreylistRules
from sekisho.core.policy.mode import Mode
from sekisho.core.policy.rates import RateLimits
from sekisho.core.policy.reputation import ReputationRules
from sekisho.core.policy.rules.authors import dmarc_says, is_authenticated, shows_another, through_list, unreadable
from sekisho.core.policy.rules.content import ContentRules, dangerous, junk_by_words, rspamd_says, told_of, virus_in
from sekisho.core.policy.rules.forwarding import forwarding
from sekisho.core.policy.rules.greylist import effect, suspicion, waits
from sekisho.core.policy.rules.reputation import against, speaks_against, trusting, vouching
from sekisho.core.policy.rules.sealers import sealed_pass, unread_seal
from sekisho.core.terms.reply import Reply

Action = Literal["accept", "junk", "defer", "refuse", "disconnect"]


@dataclass(frozen=True, slots=True)
class DoorRules:
    """The operator's choices. A rule in "observe" is only written down, one that is "off" not even asked. `on_temperror`: when DNS cannot
    say whether DMARC passes."""

    dmarc: Mode = "enforce"
    own_domains: Mode = "enforce"
    on_temperror: Literal["accept", "defer"] = "accept"
    reputation: Mode = "enforce"
    experience: ReputationRules = field(default_factory=ReputationRules)
    sender: Mode = "enforce"
    refuses_senders: bool = False
    dnsbl: Mode = "enforce"
    blocklists: DnsblRules = field(default_factory=DnsblRules)
    greylist: Mode = "enforce"
    waiting: GreylistRules = field(default_factory=GreylistRules)
    viruses: Mode = "enforce"
    attachments: Mode = "enforce"
    rspamd: Mode = "enforce"
    words: Mode = "enforce"
    content: ContentRules = field(default_factory=ContentRules)
    early_talkers: Mode = "enforce"
    helo: Mode = "enforce"
    rates: Mode = "enforce"
    impersonation: Mode = "enforce"
    forwarding: Mode = "enforce"
    unreadable: Mode = "enforce"
    refuses_unreadable: bool = True
    shown: Mode = "enforce"
    trusted_sealers: frozenset[str] = frozenset()
    limits: RateLimits = field(default_factory=RateLimits)


@dataclass(frozen=True, slots=True)
class DoorVerdict:
    """`rule` spoke ("" if none did); `reply` is there for defer, refuse and disconnect (421, then we close).

    `observed`: it would have acted, had it been enforced. `spared`: accounts whose copy goes into INBOX although the action is "junk".
    `greylist`: what is to be remembered of the sender.
    """

    action: Action = "accept"
    rule: str = ""
    because: str = ""
    reply: Reply | None = None
    observed: bool = False
    spared: frozenset[int] = frozenset()
    greylist: GreylistEffect | None = None


ACCEPTED = DoorVerdict()
OWN_DOMAIN, DNSBL, REPUTATION, TRUSTED = "own-domain", "dnsbl-listed", "bad-reputation", "trusted-sender"
SENDER, GREYLIST = "unknown-sender-domain", "greylist"
FORWARDING = "forged-forward"
UNREADABLE, SHOWN = "unreadable-from", "shown-author"
ARC_TRUSTED, IMPERSONATED = "arc-trusted", "impersonated-name"
VIRUS, ATTACHMENT, RSPAMD, CONTENT = "virus", "dangerous-attachment", "rspamd", "content-junk"
# What whoever is trusted by the recipients passes.
TRUST_HELPS = frozenset((DNSBL, REPUTATION, GREYLIST))
# Nobody vouches for a stranger under our own name, nor for a program: friends are hijacked too.
_NEVER_SPARED = frozenset((OWN_DOMAIN, UNREADABLE, VIRUS, ATTACHMENT))


def judge(evidence: Evidence, rules: DoorRules, among: "tuple[Rule, ...] | None" = None) -> DoorVerdict:
    """The first rule that has something to say decides; of `RULES`, those about a message, unless others are named."""
    verdict = _first(evidence, rules, RULES if among is None else among)
    if rules.greylist != "enforce" or evidence.greylist is None or verdict.action == "refuse":
        return verdict
    return replace(verdict, greylist=effect(evidence.greylist, rules.waiting, has_to_wait=verdict.rule == GREYLIST))


def _first(evidence: Evidence, rules: DoorRules, among: "tuple[Rule, ...]") -> DoorVerdict:
    observed: DoorVerdict | None = None
    for rule in among:
        mode = rule.mode(rules)
        verdict = rule.judge(evidence, rules) if mode != "off" else None
        if verdict is None:
            continue
        if mode == "enforce":
            return _spared(verdict, evidence, rules)
        observed = observed or DoorVerdict("accept", verdict.rule, verdict.because, observed=True)
    return observed or ACCEPTED


def _spared(verdict: DoorVerdict, evidence: Evidence, rules: DoorRules) -> DoorVerdict:
    """Junk is not junk for who took this author's mail out of Junk."""
    if verdict.action != "junk" or verdict.rule in _NEVER_SPARED or evidence.reputation is None:
        return verdict
    if rules.attachments == "enforce" and dangerous(evidence.content, rules.content):
        return verdict
    trusted, pairs = trusting(evidence.reputation), evidence.reputation.pairs
    if trusted and len(trusted) == len(pairs):
        told = next(str(pairs[account_id]) for account_id in trusted)
        return DoorVerdict("accept", TRUSTED, f"{told}; without that, {verdict.rule}: {verdict.because}")
    return replace(verdict, spared=verdict.spared | trusted)


def _judge_dnsbl(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Lists that agree turn a client away; one alone needs our own bad history beside it. Known senders and the roles are spared."""
    finding, known = evidence.dnsbl, evidence.reputation
    if finding is None or not finding.listed:
        return None
    if _is_for_roles(evidence) or (known is not None and vouching(known, rules.experience)):
        return None
    against_it = speaks_against(known, rules.experience) if known is not None else ""
    if not is_enough(finding, rules.blocklists, bad_history=bool(against_it)):
        return None
    because = finding.explain() + (f"; and our own experience: {against_it}" if against_it else "")
    zones = ", ".join(one.zone for one in finding.listed)
    if known is not None and known.problem:  # a friend of ours might be among them
        reply = Reply.of(451, "4.7.1", f"The host or domain is on {zones}, and whether it is known here cannot be looked up now")
        return DoorVerdict("defer", DNSBL, because, reply)
    text = f"The host or domain is on {zones}; have it taken off there, or write to postmaster, who is always reached"
    return DoorVerdict("refuse", DNSBL, because, Reply.of(550, "5.7.1", text))


def judge_sender(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Known at RCPT already. Postmaster and abuse are sent from anywhere, the roles' mail never gets here."""
    finding = evidence.sender
    if finding is None or finding.state != "missing" or _is_for_roles(evidence):
        return None
    because = f"there is no domain {finding.domain}"
    if rules.refuses_senders:
        return DoorVerdict("refuse", SENDER, because, Reply.of(550, "5.1.8", f"The DNS says that {finding.domain} does not exist"))
    return DoorVerdict("defer", SENDER, because, Reply.of(450, "4.1.8", f"The DNS says now that {finding.domain} does not exist"))


def _judge_greylist(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    where = waits(evidence.greylist, rules.waiting)
    because = suspicion(evidence, rules.experience) if where else ""
    if not because:
        return None
    text = "The sender is new here and its host shows no papers (SPF, DKIM, reverse name); try again in some minutes"
    return DoorVerdict("defer", GREYLIST, f"{because}; {where}", Reply.of(451, "4.7.1", text))


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
        text = "Too much unwanted mail came from there lately; write to postmaster if you think that this is a mistake"
        return DoorVerdict("defer", REPUTATION, str(told), Reply.of(451, "4.7.1", text))
    return DoorVerdict("junk", REPUTATION, str(told), spared=spared)


def _judge_virus(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    virus = virus_in(evidence.clamav)
    if not virus:
        return None
    because = f"ClamAV found {virus}"
    if rules.content.refuses_viruses and not _is_for_roles(evidence):
        return DoorVerdict("refuse", VIRUS, because, Reply.of(550, "5.7.1", "A virus was found in the message"))
    return DoorVerdict("junk", VIRUS, because)


def _judge_attachments(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    found = dangerous(evidence.content, rules.content)
    if not found:
        return None
    because = told_of(found)
    if rules.content.refuses_attachments and not _is_for_roles(evidence):
        text = f"An attachment of this kind ({found[0].danger}) is not taken here; send a link to it instead"
        return DoorVerdict("refuse", ATTACHMENT, because, Reply.of(550, "5.7.1", text))
    return DoorVerdict("junk", ATTACHMENT, because)


def _judge_rspamd(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    action, because = rspamd_says(evidence.rspamd, rules.content)
    if action == "refuse" and not _is_for_roles(evidence):
        return DoorVerdict("refuse", RSPAMD, because, Reply.of(550, "5.7.1", "The message looks like unwanted mail; write to postmaster"))
    return DoorVerdict("junk", RSPAMD, because) if action else None


def _judge_words(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    finding, known = evidence.content, evidence.reputation
    if finding is None:
        return None
    is_known = known is not None and bool(vouching(known, rules.experience))
    junk = junk_by_words(finding, rules.content, is_known=is_known)
    return DoorVerdict("junk", CONTENT, junk[0], spared=junk[1]) if junk is not None else None


def _is_for_roles(evidence: Evidence) -> bool:
    """Postmaster and abuse are sent what should be looked at (RFC 2142 §4): into Junk at the worst."""
    return bool(evidence.roles)


def _judge_own_domains(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """A stranger may not write in the name of a domain of ours, whatever that domain publishes. While the DNS does not say who speaks for
    the message it comes again: to let it in would open our name to everybody with a broken zone."""
    for domain in evidence.own_authors:
        known = is_authenticated(evidence, domain)
        if known or evidence.spf is None or sealed_pass(evidence.arc, domain, rules.trusted_sealers):
            continue
        because = f"From names {domain}, which is ours, and neither SPF nor DKIM speaks for it"
        if through_list(evidence):
            return DoorVerdict("junk", OWN_DOMAIN, f"{because}; it came through the list {evidence.list_id}")
        if known is None or unread_seal(evidence.arc, rules.trusted_sealers):
            reply = Reply.of(451, "4.7.0", f"The DNS does not say now whether the message may name {domain} in From; try again later")
            return DoorVerdict("defer", OWN_DOMAIN, f"{because}; but one of the checks could not be finished", reply)
        text = f"Mail in the name of {domain} is taken only from its own users; log in to send it (SPF, DKIM)"
        return DoorVerdict("refuse", OWN_DOMAIN, because, Reply.of(550, "5.7.1", text))
    return None


def _judge_dmarc(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    finding, says = evidence.dmarc, dmarc_says(evidence)
    if finding is None or says in ("nothing", "unreadable"):
        return None
    domain = finding.author_domain
    if says == "unknown":
        if rules.on_temperror == "accept":
            return None
        reply = Reply.of(451, "4.7.0", f"The DNS does not say now whether DMARC passes for {domain}; try again later")
        return DoorVerdict("defer", "dmarc-temperror", finding.problem, reply)
    because = f"DMARC fails for {domain}, whose policy is {finding.policy}"
    if sealed_pass(evidence.arc, domain, rules.trusted_sealers):
        return None
    if says == "quarantine":
        return DoorVerdict("junk", "dmarc-quarantine", because)
    # RFC 9989 §7.4: p=reject alone is no reason to reject; a list that signs for itself is a reason not to.
    if through_list(evidence):
        return DoorVerdict("junk", "dmarc-list", f"{because}; it came through the list {evidence.list_id}")
    if sealer := unread_seal(evidence.arc, rules.trusted_sealers):
        reply = Reply.of(451, "4.7.0", f"The DNS does not say now whether the seal of {sealer} holds; try again later")
        return DoorVerdict("defer", "dmarc-temperror", f"{because}; the seal of {sealer} could not be checked", reply)
    if _could_pass(evidence, domain):
        return DoorVerdict("junk", "dmarc-unknown", f"{because}; one of the checks could not be finished")
    text = f"DMARC: the message is not authenticated as {domain}, whose policy is to reject such mail"
    return DoorVerdict("refuse", "dmarc-reject", because, Reply.of(550, "5.7.1", text))


def _could_pass(evidence: Evidence, author_domain: str) -> bool:
    """Is a check unfinished that may have passed for the author's organization? One for another's name tells nothing about the author."""
    unfinished = [one.domain for one in evidence.dkim or () if one.result == "temperror"]
    if evidence.spf is not None and evidence.spf.mailfrom.result == "temperror":
        unfinished.append(evidence.spf.mailfrom.domain)
    # An organization has two labels at least: more may be one, less cannot.
    return any(name.lower().split(".")[-2:] == author_domain.split(".")[-2:] for name in unfinished)


def _judge_forwarding(evidence: Evidence, _rules: DoorRules) -> DoorVerdict | None:
    found = forwarding(evidence)
    if found is None:
        return None
    action, because = found
    domain = evidence.reverse_domain
    if action == "defer":
        text = f"Mail to this address goes elsewhere, and the DNS does not say now whether it is from {domain}; try again later"
        return DoorVerdict("defer", FORWARDING, because, Reply.of(451, "4.7.0", text))
    text = f"Mail to this address goes elsewhere, and SPF says that this is not from {domain}; it is not sent on"
    return DoorVerdict("refuse", FORWARDING, because, Reply.of(550, "5.7.1", text))


def _judge_unreadable(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Whom each mail program shows another author for is nobody's mail. Notices and the roles' mail are lost to nobody: into Junk."""
    because, finding = unreadable(evidence), evidence.authorship
    if not because:
        return None
    if rules.refuses_unreadable and not _is_for_roles(evidence) and not (finding is not None and finding.is_notice):
        # RFC 5322 §3.6: one From; RFC 9989 §11.5
        text = f"The message must say in one From field who wrote it, as Name <local@domain>: {because}"
        return DoorVerdict("refuse", UNREADABLE, because, Reply.of(550, "5.7.1", text))
    harsher = _judge_dmarc(evidence, rules) if rules.dmarc == "enforce" else None
    return DoorVerdict("junk", UNREADABLE, because) if harsher is None or harsher.action == "junk" else None


def _judge_shown(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Marked in any case; not put into Junk where a mailing list signs for itself, nor a foreign name by whoever is known well here. For
    a name of ours only the recipient's own trust counts: everybody knows the hosts of free mail."""
    shown, known = shows_another(evidence), evidence.reputation
    if shown is None or through_list(evidence):
        return None
    if not shown.is_ours and known is not None and vouching(known, rules.experience):
        return None
    return DoorVerdict("junk", SHOWN, shown.because)


def _judge_impersonation(evidence: Evidence, _rules: DoorRules) -> DoorVerdict | None:
    """A name of ours on a foreign address is marked in any case; where nothing speaks for that address, it goes into Junk."""
    finding = evidence.impersonated
    if finding is None or is_authenticated(evidence, finding.author.rpartition("@")[2]) is not False:
        return None
    return DoorVerdict("junk", IMPERSONATED, f"{finding.explain()}, for whom neither SPF nor DKIM speaks")


def _judge_sealed(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    """Writes down that a sealer's word stood against a refusal; the other rules had theirs."""
    if not rules.trusted_sealers or evidence.arc is None:
        return None
    without = replace(rules, trusted_sealers=frozenset(), on_temperror="accept")
    spared = _judge_own_domains(evidence, without) or _judge_dmarc(evidence, without)
    if spared is None:
        return None
    domains = (*evidence.own_authors, evidence.dmarc.author_domain if evidence.dmarc is not None else "")
    sealer = next((found for domain in domains if (found := sealed_pass(evidence.arc, domain, rules.trusted_sealers))), "")
    return DoorVerdict("accept", ARC_TRUSTED, f"{sealer} saw it pass; without that, {spared.rule}: {spared.because}") if sealer else None


class Rule(NamedTuple):
    """`says` is for people; `setting` names where its mode is set; `judge` gives None when the rule has nothing to say.

    `stage` is when it is asked: at the greeting, at MAIL, at RCPT, or about a whole message.
    """

    name: str
    says: str
    setting: str
    mode: Callable[[DoorRules], Mode]
    judge: Callable[[Evidence, DoorRules], DoorVerdict | None]
    stage: Literal["greeting", "sender", "recipient", "message"] = "message"


# In this order. Whatever is first to speak, in mode enforce, decides; what only accuses by suspicion stands last.
RULES: tuple[Rule, ...] = (
    Rule(VIRUS, "What ClamAV finds a virus in is turned away.", "content.clamav_action", lambda rules: rules.viruses, _judge_virus),
    Rule(
        OWN_DOMAIN,
        "Strangers may not write in the name of a domain of ours.",
        "door.own_domains",
        lambda rules: rules.own_domains,
        _judge_own_domains,
    ),
    Rule(
        UNREADABLE,
        "Mail whose author nobody can tell is turned away.",
        "door.unreadable_from",
        lambda rules: rules.unreadable,
        _judge_unreadable,
    ),
    Rule(
        SENDER,
        "Mail from a domain that does not exist is put off, or turned away.",
        "door.sender_domain",
        lambda rules: rules.sender,
        judge_sender,
    ),
    Rule("dmarc", "What fails DMARC is treated as its domain asks.", "door.dmarc", lambda rules: rules.dmarc, _judge_dmarc),
    Rule(
        FORWARDING,
        "What SPF calls forged is not sent on to an address elsewhere.",
        "door.forwarding",
        lambda rules: rules.forwarding,
        _judge_forwarding,
    ),
    Rule(DNSBL, "Clients that several blocklists agree on are turned away.", "door.dnsbl", lambda rules: rules.dnsbl, _judge_dnsbl),
    Rule(
        GREYLIST,
        "Strangers that nothing speaks for are asked to come again.",
        "greylist.mode",
        lambda rules: rules.greylist,
        _judge_greylist,
    ),
    Rule(
        IMPERSONATED,
        "Names of your people on foreign addresses are marked, and go into Junk without papers.",
        "door.impersonation",
        lambda rules: rules.impersonation,
        _judge_impersonation,
    ),
    Rule(
        SHOWN,
        "Domains that From only shows are held to their DMARC, and ours to their papers: marked, into Junk.",
        "door.shown_authors",
        lambda rules: rules.shown,
        _judge_shown,
    ),
    Rule(
        REPUTATION,
        "Mail from where only bad came before goes into Junk.",
        "reputation.bad_history",
        lambda rules: rules.reputation,
        _judge_reputation,
    ),
    Rule(
        ATTACHMENT,
        "Attachments that do something when opened are kept away.",
        "content.attachments",
        lambda rules: rules.attachments,
        _judge_attachments,
    ),
    Rule(RSPAMD, "What rspamd calls spam goes into Junk.", "content.rspamd_action", lambda rules: rules.rspamd, _judge_rspamd),
    Rule(CONTENT, "What reads like junk that people sorted goes into Junk.", "content.classifier", lambda rules: rules.words, _judge_words),
    Rule(
        ARC_TRUSTED,
        "What failed DMARC only behind a sealer that you trust is taken.",
        "door.trusted_sealers",
        lambda rules: "enforce" if rules.trusted_sealers else "off",
        _judge_sealed,
    ),
)
