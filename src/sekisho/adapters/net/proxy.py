"""PROXY protocol version 2: the real client's address in front of the connection.

Written after the specification of its authors, "The PROXY protocol, Versions 1 & 2" (2020-03-05), section
2.2.
"""

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from sekisho.adapters.net.endpoints import normal_address
from sekisho.adapters.net.stream import SocketStream
from sekisho.ports.stream import ConnectionLost, Endpoint, IpAddress, StreamError, StreamTimeout

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED_OCTETS = 16
LIMIT_OCTETS = 4096  # addresses and TLVs; the largest known senders stay below 1 KB
_LOCAL, _PROXY = 0x20, 0x21  # version and command
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31  # family and transport


class ProxyError(StreamError):
    """What came is not a PROXY v2 header that we take."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """`octets` is its length; `client` and `server` are None if the sender speaks for itself (health check)
    or of no IP address."""

    octets: int
    client: Endpoint | None = None
    server: Endpoint | None = None


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header at the start of `data`, None while it is incomplete; raises ProxyError as soon as it cannot
    become one."""
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        raise ProxyError("no PROXY v2 signature")
    if len(data) < FIXED_OCTETS:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    if command not in (_LOCAL, _PROXY):
        raise ProxyError(f"unknown PROXY version or command 0x{command:02x}")
    if length > LIMIT_OCTETS:
        raise ProxyError(f"PROXY header of {length} octets")
    end = FIXED_OCTETS + length
    if len(data) < end:
        return None
    if command == _LOCAL:
        return ProxyHeader(end)
    return _addresses(data[FIXED_OCTETS:end], family, end)


def _addresses(body: bytes, family: int, end: int) -> ProxyHeader:
    kind: type[IPv4Address] | type[IPv6Address]
    if family == _TCP4:
        kind, size = IPv4Address, 4
    elif family == _TCP6:
        kind, size = IPv6Address, 16
    elif family in (_UNSPECIFIED, _UNIX):
        return ProxyHeader(end)
    else:
        raise ProxyError(f"PROXY address family 0x{family:02x} is no TCP")
    if len(body) < 2 * size + 4:
        raise ProxyError("PROXY addresses are cut short")
    _check_tlvs(body, 2 * size + 4)
    client_port, server_port = struct.unpack_from("!HH", body, 2 * size)
    client, server = kind(body[:size]), kind(body[size : 2 * size])
    return ProxyHeader(
        end, Endpoint(normal_address(client), client_port), Endpoint(normal_address(server), server_port)
    )


def _check_tlvs(body: bytes, position: int) -> None:
    while position < len(body):
        if position + 3 > len(body):
            raise ProxyError("PROXY TLV is cut short")
        position += 3 + int.from_bytes(body[position + 1 : position + 3], "big")
    if position != len(body):
        raise ProxyError("PROXY TLV is cut short")


def is_proxy(address: IpAddress, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


async def read_proxy_header(stream: SocketStream, timeout_seconds: float) -> None:
    """Read the header and set `stream.peer` and `stream.local`; what follows it stays readable.

    Raises ProxyError, ConnectionLost, StreamTimeout.
    """
    data = b""
    try:
        async with asyncio.timeout(timeout_seconds):
            while (header := parse_proxy_header(data)) is None:
                more = await stream.read()
                if not more:
                    raise ConnectionLost("end of file in the PROXY header")
                data += more
    except TimeoutError:
        raise StreamTimeout("no PROXY header in time") from None
    stream.unread(data[header.octets :])
    if header.client is not None and header.server is not None:
        stream.peer, stream.local = header.client, header.server
