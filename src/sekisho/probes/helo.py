"""Whose name does a client take in EHLO?"""

from sekisho.core.policy.greeting import HeloFinding, forgery_of_address, hello_address
from sekisho.core.terms.dns import Resolver
from sekisho.ports.directory import Directory
from sekisho.ports.stream import IpAddress


async def probe_helo(resolver: Resolver, directory: Directory, name: str, client: IpAddress, own: tuple[str, IpAddress]) -> HeloFinding:
    """`name` in lower case; `own`: our host name, and the address that the client connected to. A host of ours that stands in the DNS
    under the name may use it."""
    hostname, local = own
    if hello_address(name) is not None:
        forgery = forgery_of_address(name, client, local)
        return HeloFinding(name, forgery, bool(forgery))
    if name == hostname.lower():
        return HeloFinding(name, "own-name", await _is_another(resolver, name, client, local))
    if await directory.domain(name) is not None:
        return HeloFinding(name, "own-domain", await _is_another(resolver, name, client, local))
    return HeloFinding(name)


async def _is_another(resolver: Resolver, name: str, client: IpAddress, local: IpAddress) -> bool | None:
    """Has the client nothing to do with the name? None: the DNS does not say."""
    address = getattr(client, "ipv4_mapped", None) or client
    if address in (local, getattr(local, "ipv4_mapped", None)):
        return False
    answer = await resolver.resolve(name, "A" if address.version == 4 else "AAAA")
    if answer.is_unknown:
        return None
    return address not in answer.records
