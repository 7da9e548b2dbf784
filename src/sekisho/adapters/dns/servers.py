"""Which resolvers to ask: from the settings, or from /etc/resolv.conf."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MAX_SERVERS = 3  # as the C library's MAXNS
_BRACKETED = re.compile(r"\[([^\]]+)\](?::([0-9]{1,5}))?\Z")
_IPV4_PORT = re.compile(r"([0-9.]+):([0-9]{1,5})\Z")


class BadServer(ValueError):
    """The text names no resolver; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    address: IPv4Address | IPv6Address
    port: int = 53

    @property
    def is_loopback(self) -> bool:
        return self.address.is_loopback

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if isinstance(self.address, IPv6Address)
            else f"{self.address}:{self.port}"
        )

    @classmethod
    def from_text(cls, text: str) -> "ServerAddress":
        """`192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`; raises BadServer."""
        match = _BRACKETED.match(text) or _IPV4_PORT.match(text)
        host, port = (match[1], int(match[2] or 53)) if match else (text, 53)
        try:
            address = ip_address(host)
        except ValueError as error:
            raise BadServer(
                f"The resolver {text!r} must be an IP address, perhaps with a port, such as 127.0.0.1:53."
            ) from error
        if not 0 < port <= 65535:
            raise BadServer(f"The port of the resolver {text!r} must be between 1 and 65535.")
        return cls(address, port)


def read_resolv_conf(text: str) -> tuple[ServerAddress, ...]:
    """The name servers of resolv.conf(5) in their order; none there means the one on this machine."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(ServerAddress(ip_address(words[1])))
            except ValueError:
                continue  # the C library ignores it as well
    return tuple(found[:MAX_SERVERS]) or (ServerAddress(IPv4Address("127.0.0.1")),)


def find_servers(configured: tuple[str, ...], resolv_conf: Path = RESOLV_CONF) -> tuple[ServerAddress, ...]:
    """The configured resolvers, else those of the file; raises BadServer."""
    if configured:
        return tuple(map(ServerAddress.from_text, configured))
    try:
        return read_resolv_conf(resolv_conf.read_text("utf-8", "replace"))
    except OSError:
        return read_resolv_conf("")
