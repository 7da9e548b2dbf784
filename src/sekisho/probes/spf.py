"""SPF of both identities (RFC 7208)."""

from sekisho.core.mailauth.spf.check import check_message
from sekisho.core.mailauth.spf.terms import SpfClient, SpfEvidence
from sekisho.probes.context import ProbeContext


async def probe_spf(context: ProbeContext) -> SpfEvidence:
    client = SpfClient(context.client.address, context.hello, context.hostname, context.now_us // 1_000_000)
    return await check_message(context.resolver, client, str(context.envelope.reverse_path))
