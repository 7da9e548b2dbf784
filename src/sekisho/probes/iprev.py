"""Does a name of the client lead back to it (RFC 8601 §3)?"""

from sekisho.core.mailauth.iprev.check import IprevFinding, check_iprev
from sekisho.core.terms.dns import Resolver
from sekisho.probes.context import ProbeContext


async def probe_iprev(context: ProbeContext, resolver: Resolver) -> IprevFinding:
    if context.kept is not None:
        return await context.kept.iprev(resolver, context.client.address)
    return await check_iprev(resolver, context.client.address)
