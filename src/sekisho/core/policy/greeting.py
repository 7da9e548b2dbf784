"""What a client gives away before its message: whether it waits for its turn, and whose name it takes."""

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal

# Whose name a client takes although it is not its own. "address": an IP address that is another.
Forgery = Literal["", "own-name", "own-domain", "own-address", "address"]


@dataclass(frozen=True, slots=True)
class EarlyFinding:
    """Did the client speak before our greeting (RFC 5321 §4.3.1), or behind EHLO before our answer (RFC 2920
    §3.1)?"""

    before_greeting: bool = False
    behind_hello: bool = False


@dataclass(frozen=True, slots=True)
class HeloFinding:
    """`is_forged` None: the DNS did not say whether the name is its own too."""

    name: str
    forgery: Forgery = ""
    is_forged: bool | None = False


def hello_address(name: str) -> IPv4Address | IPv6Address | None:
    """The address that an EHLO name gives, in brackets (RFC 5321 §4.1.3) or bare as some have it; None if it
    is a name."""
    text = name.removeprefix("[").removesuffix("]")
    try:
        if text.lower().startswith("ipv6:"):
            return IPv6Address(text[5:])
        return IPv4Address(text)
    except AddressValueError:
        return None


def forgery_of_address(
    name: str, client: IPv4Address | IPv6Address, own: IPv4Address | IPv6Address
) -> Forgery:
    """`own` is the address that the client connected to."""
    given = hello_address(name)
    if given is None or given in (client, getattr(client, "ipv4_mapped", None)):
        return ""
    return "own-address" if given in (own, getattr(own, "ipv4_mapped", None)) else "address"
