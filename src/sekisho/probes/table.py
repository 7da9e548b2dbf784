"""All checks of one message at once: the evidence that the door policy judges."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

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
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.reputation import Papers, ReputationProbe
from sekisho.probes.signatures import SignatureProbe, Signed, list_id
from sekisho.probes.spf import probe_spf

_Found = tuple[IprevFinding, SpfEvidence, Signed, DnsblFinding, DmarcFinding]


async def gather_evidence(
    context: ProbeContext,
    directory: Directory | None,
    reputation: ReputationProbe | None = None,
    blocklists: Sequence[Blocklist] = (),
    content: ContentProbe | None = None,
) -> Evidence:
    """iprev, SPF and the signatures side by side, then DMARC and our own experience over them, and the content.

    `directory` None: nobody asks which domains in From are ours.
    """
    addresses = author_addresses(context.header)
    authors = tuple(address.domain for address in addresses)
    signatures = SignatureProbe(context, authors[0] if authors else "")
    found = await _at_hand(context, authors, signatures, blocklists) or await _ask(context, authors, signatures, blocklists)
    iprev, spf, (dkim, arc), dnsbl, dmarc = found
    own = await _own_authors(context, authors, directory) if directory is not None else ()
    known = await reputation.look(context, addresses, Papers(spf, dkim, dmarc)) if reputation is not None else None
    inside = await content.look(context, iprev.name) if content is not None else ContentEvidence()
    return Evidence(
        iprev, spf, dkim, arc, dmarc, own, list_id(context.header), known, dnsbl, check_s25r(iprev), inside.content, inside.rspamd,
        inside.clamav,
    )  # fmt: skip


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
