"""Does a name of the client lead back to it (RFC 8601 §3)?"""

from sekisho.core.mailauth.iprev.check import IprevFinding, check_iprev
from sekisho.probes.context import ProbeContext


async def probe_iprev(context: ProbeContext) -> IprevFinding:
    return await check_iprev(context.resolver, context.client.address)
