"""All checks of one message at once: the evidence that the door policy judges."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.authorship import Authorship, read_authorship
from sekisho.core.policy.dnsbl import Blocklist, DnsblFinding
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.s25r import check_s25r
from sekisho.core.policy.sender import SenderFinding
from sekisho.core.terms.dns import Resolver
from sekisho.ports.names import Names
from sekisho.probes.arrival import Arrival
from sekisho.probes.authorship import own_authors, probe_authorship
from sekisho.probes.budget import BudgetedResolver, NotAtHand
from sekisho.probes.content import ContentEvidence, ContentProbe
from sekisho.probes.dmarc import policies_at_hand, probe_dmarc
from sekisho.probes.dnsbl import probe_dnsbl
from sekisho.probes.greylist import GreylistProbe
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.kept import KeptFindings
from sekisho.probes.reputation import AuthenticationFindings, ReputationProbe
from sekisho.probes.sender import probe_sender
from sekisho.probes.signatures import SignatureProbe, Signed, list_id
from sekisho.probes.spf import probe_spf


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Those that an operator can do without; None, or False: it is not asked."""

    reputation: ReputationProbe | None = None
    content: ContentProbe | None = None
    greylist: GreylistProbe | None = None
    sender: bool = False
    names: ImpersonationProbe | None = None


NO_PROBES = Probes()
_Found = tuple[IprevFinding, SpfEvidence, Signed, DnsblFinding, DmarcFinding]


async def gather_evidence(
    arrival: Arrival,
    resolver: Resolver,
    directory: Names | None,
    probes: Probes = NO_PROBES,
    blocklists: Sequence[Blocklist] = (),
    kept: KeptFindings | None = None,
) -> Evidence:
    """iprev, SPF and the signatures side by side, then DMARC and our own experience over them, the content,
    and last whether the sender was asked to come again, which only matters if all the rest is suspicious.

    `resolver`: the message's own, with its budget; `kept`: what was found out lately. `directory` None:
    nobody asks which domains in From are ours.
    """
    authorship = read_authorship(arrival.header)
    addresses = authorship.addresses
    sources = _sources(arrival, authorship, blocklists, kept)
    found = await _at_hand(sources, resolver) or await _ask(sources, resolver)
    iprev, spf, (dkim, arc), dnsbl, dmarc = found
    own = await own_authors(arrival, authorship, directory) if directory is not None else ()
    shows = await probe_authorship(
        arrival, resolver, authorship, directory, spf=spf, dkim_domains=_passing(dkim)
    )
    sender = await _existence(arrival, resolver, kept) if probes.sender else None
    known = (
        await probes.reputation.look(arrival, resolver, addresses, AuthenticationFindings(spf, dkim, dmarc))
        if probes.reputation is not None
        else None
    )
    shown = (
        await probes.names.look(arrival.header, addresses[0], known)
        if probes.names is not None and len(addresses) == 1
        else None
    )
    inside = (
        await probes.content.look(arrival, iprev.name) if probes.content is not None else ContentEvidence()
    )
    evidence = Evidence(
        iprev=iprev,
        spf=spf,
        dkim=dkim,
        arc=arc,
        dmarc=dmarc,
        own_authors=own,
        list_id=list_id(arrival.header),
        reputation=known,
        dnsbl=dnsbl,
        s25r=check_s25r(iprev),
        content=inside.content,
        rspamd=inside.rspamd,
        clamav=inside.clamav,
        sender=sender,
        impersonated=shown,
        roles=arrival.role_account_ids,
        reverse_domain=arrival.reverse_domain,
        leads_away=arrival.leads_away,
        authorship=shows,
    )
    greylist = await probes.greylist.look(arrival, evidence) if probes.greylist is not None else None
    return replace(evidence, greylist=greylist) if greylist is not None else evidence


async def _existence(arrival: Arrival, resolver: Resolver, kept: KeptFindings | None) -> SenderFinding | None:
    ask = kept.existence if kept is not None else probe_sender
    return await ask(resolver, arrival.envelope.reverse_path)


class _Sources(NamedTuple):
    """What the questions to the DNS are about."""

    arrival: Arrival
    authorship: Authorship
    signatures: SignatureProbe
    blocklists: Sequence[Blocklist]
    kept: KeptFindings | None


def _sources(
    arrival: Arrival, authorship: Authorship, blocklists: Sequence[Blocklist], kept: KeptFindings | None
) -> _Sources:
    signatures = SignatureProbe(arrival, authorship.domains[0] if authorship.domains else "")
    return _Sources(
        arrival=arrival,
        authorship=authorship,
        signatures=signatures,
        blocklists=blocklists,
        kept=kept,
    )


async def _at_hand(sources: _Sources, resolver: Resolver) -> _Found | None:
    """One after the other, without a task: most mail is from those whose answers are in the cache. None if
    one is not."""
    if not isinstance(resolver, BudgetedResolver):
        return None
    arrival, authorship, signatures, blocklists, kept = sources
    cached = resolver.at_hand
    try:
        iprev, spf = await probe_iprev(arrival, cached, kept), await probe_spf(arrival, cached, kept)
        dnsbl = await probe_dnsbl(arrival, cached, blocklists)
        signed = await signatures.finish(cached)
        dmarc = await probe_dmarc(cached, authorship, spf, _passing(signed[0]), kept)
        return iprev, spf, signed, dnsbl, dmarc
    except NotAtHand:
        return None


async def _ask(sources: _Sources, resolver: Resolver) -> _Found:
    arrival, authorship, signatures, blocklists, kept = sources
    _, iprev, spf, signed, dnsbl = await asyncio.gather(
        policies_at_hand(resolver, authorship),
        probe_iprev(arrival, resolver, kept),
        probe_spf(arrival, resolver, kept),
        signatures.finish(resolver),
        probe_dnsbl(arrival, resolver, blocklists),
    )
    dmarc = await probe_dmarc(resolver, authorship, spf, _passing(signed[0]), kept)
    return iprev, spf, signed, dnsbl, dmarc


def _passing(dkim: Sequence[DkimEvidence]) -> list[str]:
    return [one.domain for one in dkim if one.result == "pass"]
