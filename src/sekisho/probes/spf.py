"""SPF of both identities (RFC 7208)."""

from sekisho.core.mailauth.spf.check import check_message
from sekisho.core.mailauth.spf.terms import SpfClient, SpfEvidence
from sekisho.core.terms.dns import Resolver
from sekisho.probes.arrival import Arrival
from sekisho.probes.kept import KeptFindings


async def probe_spf(arrival: Arrival, resolver: Resolver, kept: KeptFindings | None = None) -> SpfEvidence:
    client = SpfClient(arrival.client.address, arrival.hello, arrival.hostname, arrival.at_us // 1_000_000)
    reverse_path = arrival.envelope.reverse_path
    if kept is not None:
        return await kept.spf(resolver, client, reverse_path)
    return await check_message(resolver, client, str(reverse_path))
