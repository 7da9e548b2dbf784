"""Does the domain in MAIL FROM exist? Asked by the question that SPF asks too, so that it costs none of its
own where it does."""

from sekisho.core.policy.sender import SenderFinding, read_existence
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.dns import RecordType, Resolver

_TYPES: tuple[RecordType, ...] = ("TXT", "MX", "A", "AAAA")


async def probe_sender(resolver: Resolver, reverse_path: ReversePath) -> SenderFinding | None:
    """None for the null path and for address literals.

    Some servers say NXDOMAIN for a type that they have nothing of: only a name that is missing for every type
    that mail needs is missing.
    """
    address = reverse_path.address
    if address is None or not address.domain or address.is_literal:
        return None
    finding = None
    for rtype in _TYPES:
        finding = read_existence(address.domain, await resolver.resolve(address.domain, rtype))
        if finding.state != "missing":
            break
    return finding
