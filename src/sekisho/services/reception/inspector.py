"""The inspector at the door: evidence gathered, judged, journaled, and written on the message."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from sekisho.core.message.authentication_results import find_forged, format_authentication_results
from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.message.junk_reason import JUNK_REASON, WARNING, format_junk_reason, format_warning
from sekisho.core.policy.dnsbl import Blocklist
from sekisho.core.policy.door.author import IMPERSONATED, OWN_DOMAIN, SHOWN, shows_another
from sekisho.core.policy.door.judge import TRUSTED, judge
from sekisho.core.policy.door.rule import Action, DoorRules, DoorVerdict
from sekisho.core.policy.door.stranger import (
    DNSBL,
    GREYLIST,
    REPUTATION,
    SENDER,
    judge_sender,
    trusting,
    voucher,
)
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.reputation import Event
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.dns import Resolver
from sekisho.ports.journal import Journal
from sekisho.ports.names import Names
from sekisho.ports.stream import Endpoint
from sekisho.probes.arrival import Arrival
from sekisho.probes.kept import KeptFindings
from sekisho.probes.sender import probe_sender
from sekisho.probes.table import NO_PROBES, Probes, gather_evidence
from sekisho.services.experience import Experience
from sekisho.services.reception.entries import evidence_entry
from sekisho.services.reception.greylisting import Greylisting
from sekisho.services.reception.inspection import Inspection
from sekisho.services.reception.outwaiting import Outwait
from sekisho.services.reports.intake import NO_INTAKE, Intake
from sekisho.services.reports.tallies import DmarcTallies, proven_author
from sekisho.services.smtp.refusal import Refusal

# What they found is about the host, and about the domain in MAIL FROM, which nothing proves.
_NOT_ABOUT_AUTHOR = frozenset((DNSBL, SENDER))
_EVENTS: Mapping[Action, Event] = {"accept": "accepted", "junk": "suspect", "refuse": "refused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorTools:
    """`budgeted` gives each message a resolver of its own. `experience` learns the verdicts that it did not
    make itself."""

    directory: Names
    budgeted: Callable[[], Resolver]
    journal: Journal
    probes: Probes = NO_PROBES
    experience: Experience | None = None
    blocklists: Callable[[], Sequence[Blocklist]] = tuple
    greylisting: Greylisting | None = None
    kept: KeptFindings | None = None
    tallies: DmarcTallies | None = None
    intake: Intake = NO_INTAKE


class DoorInspector:
    """Implements `inspection.Inspector`. One per worker. `hostname` is our authserv-id; clients in
    `unchecked` are taken as they are."""

    def __init__(
        self,
        hostname: str,
        rules: DoorRules,
        unchecked: Sequence[IPv4Network | IPv6Network],
        tools: DoorTools,
    ) -> None:
        self._hostname = hostname
        self._rules = rules
        self._unchecked = unchecked
        self._tools = tools
        self._nothing_checked = format_authentication_results(hostname, ())

    def cuts(self, header: HeaderSection) -> list[Field]:
        return find_forged(header, self._hostname) + header.all(JUNK_REASON) + header.all(WARNING)

    def _is_unchecked(self, client: Endpoint) -> bool:
        return any(client.address in network for network in self._unchecked)

    async def sender(self, client: Endpoint, reverse_path: ReversePath) -> Refusal | None:
        if self._rules.mode(SENDER) != "enforce" or self._is_unchecked(client):
            return None
        ask = probe_sender if self._tools.kept is None else self._tools.kept.existence
        finding = await ask(self._tools.budgeted(), reverse_path)
        if finding is None or finding.state != "missing":
            return None
        if await self._tools.directory.domain(finding.domain) is not None:
            return None  # a domain of ours, whatever the DNS says of it
        verdict = judge_sender(Evidence(sender=finding), self._rules)
        if verdict is None or verdict.reply is None:
            return None
        return Refusal(reply=verdict.reply, rule=verdict.rule, because=verdict.because)

    async def inspect(self, arrival: Arrival, outwait: Outwait | None = None) -> Inspection:
        if self._is_unchecked(arrival.client):
            return Inspection(fields=self._nothing_checked)
        tools = self._tools
        directory = tools.directory if self._rules.mode(OWN_DOMAIN) != "off" else None
        evidence = await gather_evidence(
            arrival, tools.budgeted(), directory, tools.probes, tools.blocklists(), kept=tools.kept
        )
        verdict = await self._remember(evidence, judge(evidence, self._rules), outwait)
        self._learn(evidence, verdict)
        warning = self._warning(evidence)
        results = evidence.method_results(str(arrival.envelope.reverse_path), arrival.hello)
        tools.journal.record(evidence_entry(arrival, evidence, verdict))
        if tools.tallies is not None and not tools.intake.is_for_reports(arrival.envelope):
            tools.tallies.seen(arrival, evidence, verdict)  # no report about reports: they would never end
        return Inspection(
            refusal=_refusal(verdict),
            fields=warning + format_authentication_results(self._hostname, results),
            is_junk=verdict.action == "junk",
            spared=verdict.spared,
            junk_fields=format_junk_reason(verdict.rule, verdict.because)
            if verdict.action == "junk"
            else b"",
            client_name=evidence.iprev.name if evidence.iprev is not None else "",
            proven_author=proven_author(evidence),
            vouched="" if (standing := voucher(evidence)) == "unknown" else standing,
        )

    def _warning(self, evidence: Evidence) -> bytes:
        """The field for every copy that shows somebody else's name, unless whoever gets it trusts the
        author."""
        if evidence.impersonated is not None and self._rules.mode(IMPERSONATED) == "enforce":
            return format_warning(IMPERSONATED, evidence.impersonated.explain())
        shown, known = shows_another(evidence), evidence.reputation
        is_trusted = known is not None and bool(known.pairs) and trusting(known) >= frozenset(known.pairs)
        if shown is None or is_trusted or self._rules.mode(SHOWN) != "enforce":
            return b""
        return format_warning(SHOWN, shown.because)

    async def _remember(
        self, evidence: Evidence, verdict: DoorVerdict, outwait: Outwait | None
    ) -> DoorVerdict:
        """What the verdict wants remembered of the sender. One that could not be written down, or that waits
        for its reply instead, does not have to come again: then the other rules decide."""
        greylisting, finding = self._tools.greylisting, evidence.greylist
        if greylisting is None or finding is None or self._rules.mode(GREYLIST) != "enforce":
            return verdict
        if finding.code:
            greylisting.spared()
        if verdict.greylist is None:
            return verdict
        is_noted = await greylisting.apply(verdict.greylist, finding.tried)
        if verdict.rule != GREYLIST:
            return verdict
        if is_noted and (outwait is None or not await greylisting.hold(finding.key, outwait)):
            return verdict
        return judge(evidence, replace(self._rules, modes={**self._rules.modes, GREYLIST: "off"}))

    def _learn(self, evidence: Evidence, verdict: DoorVerdict) -> None:
        """What our own experience decided is no new experience: it would prove itself right for ever."""
        event, experience = _EVENTS.get(verdict.action), self._tools.experience
        if event == "accepted" and self._warning(evidence):
            return  # who shows a name of ours is taken, and earns nothing by it
        known = evidence.reputation
        if event is None or known is None or experience is None or verdict.rule in (REPUTATION, TRUSTED):
            return
        if verdict.rule in _NOT_ABOUT_AUTHOR and not verdict.observed:
            known = replace(
                known, domain=None
            )  # else whoever sends signed mail again, from a listed host, spoils its author's name
        experience.met(known, event)


def _refusal(verdict: DoorVerdict) -> Refusal | None:
    """The entry of the evidence, which has the same id, names the rule."""
    if verdict.reply is None:
        return None
    return Refusal(reply=verdict.reply, because=f"{verdict.rule}: {verdict.because}" if verdict.rule else "")
