"""Does a name of the client lead back to it (RFC 8601 §3)?"""

from sekisho.core.mailauth.iprev.check import IprevFinding, check_iprev
from sekisho.core.terms.dns import Resolver
from sekisho.probes.arrival import Arrival
from sekisho.probes.kept import KeptFindings


async def probe_iprev(arrival: Arrival, resolver: Resolver, kept: KeptFindings | None = None) -> IprevFinding:
    if kept is not None:
        return await kept.iprev(resolver, arrival.client.address)
    return await check_iprev(resolver, arrival.client.address)
