"""Does the domain in MAIL FROM exist? Asked by the question that SPF asks too, so that it costs none of its own."""

from sekisho.core.policy.sender import SenderFinding, read_existence
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.dns import Resolver


async def probe_sender(resolver: Resolver, reverse_path: ReversePath) -> SenderFinding | None:
    """None for the null path and for address literals."""
    address = reverse_path.address
    if address is None or not address.domain or address.is_literal:
        return None
    return read_existence(address.domain, await resolver.resolve(address.domain, "TXT"))
