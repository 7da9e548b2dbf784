"""iprev: does a name of the client lead back to it (RFC 8601 §3)?"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from sekisho.core.mailauth.synchronous import run_synchronously
from sekisho.core.terms.dns import Resolver

IprevResult = Literal["pass", "fail", "temperror", "permerror"]
MAX_NAMES = 10


@dataclass(frozen=True, slots=True)
class IprevFinding:
    """`name` is the first name that leads back ("" unless pass); `claimed` are the names of the PTR records,
    at most ten."""

    result: IprevResult
    address: IPv4Address | IPv6Address
    name: str = ""
    claimed: tuple[str, ...] = ()


async def check_iprev(resolver: Resolver, address: IPv4Address | IPv6Address) -> IprevFinding:
    """RFC 8601 §2.7.3: permerror is "no PTR record", fail "a name, but none that leads back"."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = mapped or address
    answer = await resolver.resolve(address.reverse_pointer, "PTR")
    if answer.is_unknown:
        return IprevFinding("temperror", address)
    claimed = tuple(map(str, answer.records[:MAX_NAMES]))
    unknown = False
    for name in claimed:
        forward = await resolver.resolve(name, "A" if address.version == 4 else "AAAA")
        if address in forward.records:
            return IprevFinding("pass", address, name, claimed)
        unknown = unknown or forward.is_unknown
    if not claimed:
        return IprevFinding("permerror", address)
    return IprevFinding("temperror" if unknown else "fail", address, "", claimed)


def check_iprev_now(resolver: Resolver, address: IPv4Address | IPv6Address) -> IprevFinding:
    """`check_iprev` for a resolver that answers without waiting (`synchronous.LookupResolver`)."""
    return run_synchronously(check_iprev(resolver, address))
