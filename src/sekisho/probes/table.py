"""All checks of one message at once: the evidence that the door policy judges."""

import asyncio

from sekisho.core.message.address_list import parse_address_list
from sekisho.core.policy.evidence import Evidence
from sekisho.ports.directory import Directory
from sekisho.probes.context import ProbeContext
from sekisho.probes.dmarc import author_domains, probe_dmarc
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.signatures import list_id, probe_signatures
from sekisho.probes.spf import probe_spf


async def gather_evidence(context: ProbeContext, directory: Directory) -> Evidence:
    """iprev, SPF and the signatures side by side, then DMARC over them."""
    authors = author_domains(context.header)
    iprev, spf, (dkim, arc) = await asyncio.gather(
        probe_iprev(context), probe_spf(context), probe_signatures(context, authors[0] if authors else "")
    )
    dmarc = await probe_dmarc(context, authors, spf, [one.domain for one in dkim if one.result == "pass"])
    own = await _own_authors(context, authors, directory)
    return Evidence(iprev, spf, dkim, arc, dmarc, own, list_id(context.header))


async def _own_authors(context: ProbeContext, authors: tuple[str, ...], directory: Directory) -> tuple[str, ...]:
    """The domains of ours that any From field names, also where there are more fields than one may be read (THREATS 40)."""
    if not authors:
        lists = [parse_address_list(value) or () for value in context.header.values(b"from")]
        authors = tuple(address.domain for addresses in lists for address in addresses)
    return tuple([domain for domain in dict.fromkeys(authors) if await directory.domain(domain) is not None])
