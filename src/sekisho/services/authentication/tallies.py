"""What failed logins are counted under: networks, names, and both. All that counts against one network begins
alike."""

import hashlib
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from sekisho.core.sasl.exchange import MAX_NAME_OCTETS
from sekisho.ports.bans import ANYBODY
from sekisho.ports.stream import IpAddress

NAMELESS = "*"  # what is counted under that came without a login name; nobody is called so


def network_of(client: IpAddress) -> str:
    """The /24 or /64 that an address stands for; an IPv4-mapped one counts as IPv4."""
    client = _unmapped(client)
    return str(ip_network((client, 64 if client.version == 6 else 24), strict=False))


def wide_network_of(client: IpAddress) -> str:
    """The /16 or /48 around it: one provider's, or all of one site's."""
    client = _unmapped(client)
    return str(ip_network((client, 48 if client.version == 6 else 16), strict=False))


def host_of(client: IpAddress) -> IPv4Network | IPv6Network:
    return ip_network(_unmapped(client))


def _unmapped(client: IpAddress) -> IpAddress:
    return client.ipv4_mapped if isinstance(client, IPv6Address) and client.ipv4_mapped else client


def plain(name: str) -> str:
    """What a client typed as a name, as it may be kept: bounded, text that every store takes, and never
    ANYBODY."""
    return (name or NAMELESS)[:MAX_NAME_OCTETS].encode("utf-8", "replace").decode().replace("\0", "?")


def below(network: str) -> str:
    """All keys that count against this network begin so."""
    return f"login:{network}:"


def network_key(network: str) -> str:
    return f"{below(network)}all"


def unknown_key(network: str) -> str:
    """Names that nobody has, each once."""
    return f"{below(network)}unknown"


def pair_key(network: str, name: str) -> str:
    return f"{below(network)}name:{_short(name or NAMELESS)}"


def repeated_key(network: str, account: str) -> str:
    """How often it was banned."""
    return f"{below(network)}banned:{_short(account)}"


def account_key(name: str) -> str:
    """From networks that are strange to it."""
    return f"strange:{_short(name)}"


def familiar_key(network: str, name: str) -> str:
    return f"familiar:{network}:{_short(name)}"


def counted_for(network: str, account: str) -> tuple[str, ...]:
    """What leads to a ban, and is forgotten with it."""
    return (
        (network_key(network), unknown_key(network)) if account == ANYBODY else (pair_key(network, account),)
    )


def _short(name: str) -> str:
    """A bounded, harmless stand-in for what a client typed."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=12).hexdigest()
