"""All checks of one message at once: the evidence that the door policy judges."""

import asyncio
from collections.abc import Sequence

from sekisho.core.message.address_list import parse_address_list
from sekisho.core.policy.dnsbl import Blocklist
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.s25r import check_s25r
from sekisho.ports.directory import Directory
from sekisho.probes.context import ProbeContext
from sekisho.probes.dmarc import author_addresses, probe_dmarc
from sekisho.probes.dnsbl import probe_dnsbl
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.reputation import ReputationProbe
from sekisho.probes.signatures import list_id, probe_signatures
from sekisho.probes.spf import probe_spf


async def gather_evidence(
    context: ProbeContext, directory: Directory, reputation: ReputationProbe | None = None, blocklists: Sequence[Blocklist] = ()
) -> Evidence:
    """iprev, SPF and the signatures side by side, then DMARC and our own experience over them."""
    addresses = author_addresses(context.header)
    authors = tuple(address.domain for address in addresses)
    iprev, spf, (dkim, arc), dnsbl = await asyncio.gather(
        probe_iprev(context),
        probe_spf(context),
        probe_signatures(context, authors[0] if authors else ""),
        probe_dnsbl(context, blocklists),
    )
    dmarc = await probe_dmarc(context, authors, spf, [one.domain for one in dkim if one.result == "pass"])
    own = await _own_authors(context, authors, directory)
    known = await reputation.look(context, addresses, spf, dkim) if reputation is not None else None
    return Evidence(iprev, spf, dkim, arc, dmarc, own, list_id(context.header), known, dnsbl, check_s25r(iprev))


async def _own_authors(context: ProbeContext, authors: tuple[str, ...], directory: Directory) -> tuple[str, ...]:
    """The domains of ours that any From field names, also where there are more fields than one may be read (THREATS 40)."""
    if not authors:
        lists = [parse_address_list(value) or () for value in context.header.values(b"from")]
        authors = tuple(address.domain for addresses in lists for address in addresses)
    return tuple([domain for domain in dict.fromkeys(authors) if await directory.domain(domain) is not None])
