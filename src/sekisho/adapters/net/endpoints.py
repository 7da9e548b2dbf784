"""Sockets: their names as `Endpoint`s, who is at the end of a Unix socket, and whether anything came."""

import asyncio
import select
import socket
import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from sekisho.ports.stream import Endpoint, IpAddress

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
NOWHERE = Endpoint(IPv4Address("127.0.0.1"), 0)  # a Unix socket


def endpoint_of(name: object) -> Endpoint:
    """From `getpeername()`; an IPv4 client of an IPv6 socket is an IPv4 client."""
    if not isinstance(name, tuple):
        return NOWHERE
    return Endpoint(_address_of(name[0]), name[1])


@lru_cache(maxsize=4096)
def _address_of(text: str) -> IpAddress:
    return normal_address(ip_address(text.partition("%")[0]))


def normal_address(address: IpAddress) -> IpAddress:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def peer_uid_of(sock: socket.socket) -> int:
    """SO_PEERCRED of a connected Unix socket."""
    _pid, uid, _gid = _CREDENTIALS.unpack(
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return int(uid)


def has_arrived(transport: asyncio.BaseTransport) -> bool:
    """Has the kernel anything to read, were it the end? To ask costs less than a turn of a busy loop."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    arrived = select.poll()
    arrived.register(sock.fileno(), select.POLLIN)
    return bool(arrived.poll(0))
