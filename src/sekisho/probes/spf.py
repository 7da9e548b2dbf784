"""SPF of both identities (RFC 7208)."""

from sekisho.core.mailauth.spf.check import check_message
from sekisho.core.mailauth.spf.terms import SpfClient, SpfEvidence
from sekisho.core.terms.dns import Resolver
from sekisho.probes.context import ProbeContext


async def probe_spf(context: ProbeContext, resolver: Resolver) -> SpfEvidence:
    client = SpfClient(context.client.address, context.hello, context.hostname, context.now_us // 1_000_000)
    reverse_path = context.envelope.reverse_path
    if context.kept is not None:
        return await context.kept.spf(resolver, client, reverse_path)
    return await check_message(resolver, client, str(reverse_path))
