"""All checks of one message at once: the evidence that the door policy judges."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.address_list import parse_address_list
from sekisho.core.policy.dnsbl import Blocklist, DnsblFinding
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.s25r import check_s25r
from sekisho.ports.directory import Directory
from sekisho.probes.budget import BudgetedResolver, NotAtHand
from sekisho.probes.content import ContentEvidence, ContentProbe
from sekisho.probes.context import ProbeContext
from sekisho.probes.dmarc import author_addresses, probe_dmarc
from sekisho.probes.dnsbl import probe_dnsbl
from sekisho.probes.greylist import GreylistProbe
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.recipient import ROLES
from sekisho.probes.reputation import Papers, ReputationProbe
from sekisho.probes.sender import probe_sender
from sekisho.probes.signatures import SignatureProbe, Signed, list_id
from sekisho.probes.spf import probe_spf


@dataclass(frozen=True, slots=True)
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
    directory: Directory | None,
    probes: Probes = NO_PROBES,
    blocklists: Sequence[Blocklist] = (),
) -> Evidence:
    """iprev, SPF and the signatures side by side, then DMARC and our own experience over them, the content, and last whether the sender
    was asked to come again, which only matters if all the rest is suspicious.

    `directory` None: nobody asks which domains in From are ours.
    """
    addresses = author_addresses(context.header)
    authors = tuple(address.domain for address in addresses)
    signatures = SignatureProbe(context, authors[0] if authors else "")
    found = await _at_hand(context, authors, signatures, blocklists) or await _ask(context, authors, signatures, blocklists)
    iprev, spf, (dkim, arc), dnsbl, dmarc = found
    own = await _own_authors(context, authors, directory) if directory is not None else ()
    sender = await probe_sender(context.resolver, context.envelope.reverse_path) if probes.sender else None
    known = await probes.reputation.look(context, addresses, Papers(spf, dkim, dmarc)) if probes.reputation is not None else None
    shown = await probes.names.look(context.header, addresses[0], known) if probes.names is not None and len(addresses) == 1 else None
    inside = await probes.content.look(context, iprev.name) if probes.content is not None else ContentEvidence()
    evidence = Evidence(
        iprev, spf, dkim, arc, dmarc, own, list_id(context.header), known, dnsbl, check_s25r(iprev), inside.content, inside.rspamd,
        inside.clamav, sender, impersonated=shown, roles=context.role_account_ids, reverse_domain=_reverse_domain(context),
        leads_away=not context.account_ids and not any(r.address.local_canonical in ROLES for r in context.envelope.recipients),
    )  # fmt: skip
    greylist = await probes.greylist.look(context, evidence) if probes.greylist is not None else None
    return replace(evidence, greylist=greylist) if greylist is not None else evidence


def _reverse_domain(context: ProbeContext) -> str:
    address = context.envelope.reverse_path.address
    return address.domain if address is not None else ""


async def _at_hand(
    context: ProbeContext, authors: tuple[str, ...], signatures: SignatureProbe, blocklists: Sequence[Blocklist]
) -> _Found | None:
    """One after the other, without a task: most mail is from those whose answers are in the cache. None if one is not."""
    if not isinstance(context.resolver, BudgetedResolver):
        return None
    context = replace(context, resolver=context.resolver.at_hand)
    try:
        iprev, spf, dnsbl = await probe_iprev(context), await probe_spf(context), await probe_dnsbl(context, blocklists)
        signed = await signatures.finish(context.resolver)
        return iprev, spf, signed, dnsbl, await _ask_dmarc(context, authors, spf, signed)
    except NotAtHand:
        return None


async def _ask(context: ProbeContext, authors: tuple[str, ...], signatures: SignatureProbe, blocklists: Sequence[Blocklist]) -> _Found:
    iprev, spf, signed, dnsbl = await asyncio.gather(
        probe_iprev(context), probe_spf(context), signatures.finish(context.resolver), probe_dnsbl(context, blocklists)
    )
    return iprev, spf, signed, dnsbl, await _ask_dmarc(context, authors, spf, signed)


async def _ask_dmarc(context: ProbeContext, authors: tuple[str, ...], spf: SpfEvidence, signed: Signed) -> DmarcFinding:
    return await probe_dmarc(context, authors, spf, [one.domain for one in signed[0] if one.result == "pass"])


async def _own_authors(context: ProbeContext, authors: tuple[str, ...], directory: Directory) -> tuple[str, ...]:
    """The domains of ours that any From field names, also where there are more fields than one may be read (THREATS 40)."""
    if not authors:
        lists = [parse_address_list(value) or () for value in context.header.values(b"from")]
        authors = tuple(address.domain for addresses in lists for address in addresses)
    return tuple([domain for domain in dict.fromkeys(authors) if await directory.domain(domain) is not None])
