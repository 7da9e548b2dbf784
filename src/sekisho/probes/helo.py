"""Whose name does a client take in EHLO?"""

from sekisho.core.mailauth.spf.check import check_host
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.policy.greeting import HeloFinding, forgery_of_address, hello_address
from sekisho.core.terms.dns import Resolver
from sekisho.ports.names import Names
from sekisho.ports.stream import IpAddress


async def probe_helo(
    resolver: Resolver, directory: Names, name: str, client: IpAddress, own: tuple[str, IpAddress]
) -> HeloFinding:
    """`name` in lower case; `own`: our host name, and the address that the client connected to. A host of
    ours may use a name that stands in the DNS with its address, or whose SPF record lets it: a web server
    behind somebody else's addresses, for example."""
    hostname, local = own
    if hello_address(name) is not None:
        forgery = forgery_of_address(name, client, local)
        return HeloFinding(name, forgery, bool(forgery))
    if name == hostname.lower():
        return HeloFinding(name, "own-name", await _is_another(resolver, name, client, own))
    if await directory.domain(name) is not None:
        return HeloFinding(name, "own-domain", await _is_another(resolver, name, client, own))
    return HeloFinding(name)


async def _is_another(
    resolver: Resolver, name: str, client: IpAddress, own: tuple[str, IpAddress]
) -> bool | None:
    """Has the client nothing to do with the name, neither by its addresses nor by SPF (RFC 7208 §2.3)? None:
    the DNS does not say."""
    hostname, local = own
    address = getattr(client, "ipv4_mapped", None) or client
    if address in (local, getattr(local, "ipv4_mapped", None)):
        return False
    answer = await resolver.resolve(name, "A" if address.version == 4 else "AAAA")
    if address in answer.records:
        return False
    spf = await check_host(
        resolver, SpfClient(address, name, hostname, 0), f"postmaster@{name}", identity="helo"
    )
    if spf.result == "pass":
        return False
    return None if answer.is_unknown or spf.result == "temperror" else True
