"""What do the blocklists say about the client, and about the domain of the reverse path?"""

import asyncio
from collections.abc import Sequence

from sekisho.core.policy.dnsbl import Blocklist, DnsblFinding, Listing, read_answer
from sekisho.core.terms.dns import Resolver
from sekisho.probes.arrival import Arrival
from sekisho.probes.budget import AtHandResolver


async def probe_dnsbl(arrival: Arrival, resolver: Resolver, blocklists: Sequence[Blocklist]) -> DnsblFinding:
    """All lists at once. `blocklists` are those that are fit now (`services.reception.blocklists`)."""
    sender = arrival.envelope.reverse_path.address
    questions = []
    for blocklist in blocklists:
        name = blocklist.question(arrival.client.address) or blocklist.domain_question(
            sender.domain if sender else ""
        )
        if name is not None:
            questions.append((blocklist, name))
    if not questions:
        return DnsblFinding()
    if isinstance(resolver, AtHandResolver):  # which never waits
        return DnsblFinding(
            tuple([await _ask(resolver, *question) for question in questions]), len(questions)
        )
    return DnsblFinding(
        tuple(await asyncio.gather(*(_ask(resolver, *question) for question in questions))), len(questions)
    )


async def _ask(resolver: Resolver, blocklist: Blocklist, name: str) -> Listing:
    return read_answer(blocklist, await resolver.resolve(name, "A"))
