"""All checks of one message at once: the evidence that the door policy judges."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from sekisho.probes.authorship import own_authors, probe_authorship
from sekisho.probes.budget import BudgetedResolver, NotAtHand
from sekisho.probes.content import ContentEvidence, ContentProbe
from sekisho.probes.context import ProbeContext
from sekisho.probes.dmarc import policies_at_hand, probe_dmarc
from sekisho.probes.dnsbl import probe_dnsbl
from sekisho.probes.greylist import GreylistProbe
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.recipient import ROLES
from sekisho.probes.reputation import Papers, ReputationProbe
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
    context: ProbeContext,
    directory: Names | None,
    probes: Probes = NO_PROBES,
    blocklists: Sequence[Blocklist] = (),
) -> Evidence:
    """iprev, SPF and the signatures side by side, then DMARC and our own experience over them, the content,
    and last whether the sender was asked to come again, which only matters if all the rest is suspicious.

    `directory` None: nobody asks which domains in From are ours.
    """
    authorship = read_authorship(context.header)
    addresses = authorship.addresses
    signatures = SignatureProbe(context, authorship.domains[0] if authorship.domains else "")
    found = await _at_hand(context, authorship, signatures, blocklists) or await _ask(
        context, authorship, signatures, blocklists
    )
    iprev, spf, (dkim, arc), dnsbl, dmarc = found
    own = await own_authors(context, authorship, directory) if directory is not None else ()
    shows = await probe_authorship(context, authorship, directory, spf, _passing(dkim))
    sender = await _existence(context) if probes.sender else None
    known = (
        await probes.reputation.look(context, addresses, Papers(spf, dkim, dmarc))
        if probes.reputation is not None
        else None
    )
    shown = (
        await probes.names.look(context.header, addresses[0], known)
        if probes.names is not None and len(addresses) == 1
        else None
    )
    inside = (
        await probes.content.look(context, iprev.name) if probes.content is not None else ContentEvidence()
    )
    evidence = Evidence(
        iprev=iprev,
        spf=spf,
        dkim=dkim,
        arc=arc,
        dmarc=dmarc,
        own_authors=own,
        list_id=list_id(context.header),
        reputation=known,
        dnsbl=dnsbl,
        s25r=check_s25r(iprev),
        content=inside.content,
        rspamd=inside.rspamd,
        clamav=inside.clamav,
        sender=sender,
        impersonated=shown,
        roles=context.role_account_ids,
        reverse_domain=_reverse_domain(context),
        leads_away=not context.account_ids
        and not any(r.address.local_canonical in ROLES for r in context.envelope.recipients),
        authorship=shows,
    )
    greylist = await probes.greylist.look(context, evidence) if probes.greylist is not None else None
    return replace(evidence, greylist=greylist) if greylist is not None else evidence


async def _existence(context: ProbeContext) -> SenderFinding | None:
    ask = probe_sender if context.kept is None else context.kept.existence
    return await ask(context.resolver, context.envelope.reverse_path)


def _reverse_domain(context: ProbeContext) -> str:
    address = context.envelope.reverse_path.address
    return address.domain if address is not None else ""


async def _at_hand(
    context: ProbeContext, authorship: Authorship, signatures: SignatureProbe, blocklists: Sequence[Blocklist]
) -> _Found | None:
    """One after the other, without a task: most mail is from those whose answers are in the cache. None if
    one is not."""
    if not isinstance(context.resolver, BudgetedResolver):
        return None
    resolver = context.resolver.at_hand
    try:
        iprev, spf, dnsbl = (
            await probe_iprev(context, resolver),
            await probe_spf(context, resolver),
            await probe_dnsbl(context, resolver, blocklists),
        )
        signed = await signatures.finish(resolver)
        return iprev, spf, signed, dnsbl, await _ask_dmarc(context, resolver, authorship, spf, signed)
    except NotAtHand:
        return None


async def _ask(
    context: ProbeContext, authorship: Authorship, signatures: SignatureProbe, blocklists: Sequence[Blocklist]
) -> _Found:
    resolver = context.resolver
    _, iprev, spf, signed, dnsbl = await asyncio.gather(
        policies_at_hand(resolver, authorship),
        probe_iprev(context, resolver),
        probe_spf(context, resolver),
        signatures.finish(resolver),
        probe_dnsbl(context, resolver, blocklists),
    )
    return iprev, spf, signed, dnsbl, await _ask_dmarc(context, resolver, authorship, spf, signed)


async def _ask_dmarc(
    context: ProbeContext, resolver: Resolver, authorship: Authorship, spf: SpfEvidence, signed: Signed
) -> DmarcFinding:
    return await probe_dmarc(resolver, authorship, spf, _passing(signed[0]), context.kept)


def _passing(dkim: Sequence[DkimEvidence]) -> list[str]:
    return [one.domain for one in dkim if one.result == "pass"]
