"""PROXY protocol v2: the parser alone, then on a stream."""

import asyncio
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.net.conftest import Wire, read_exactly

from sekisho.adapters.net.proxy import (
    LIMIT_OCTETS,
    SIGNATURE,
    ProxyError,
    ProxyHeader,
    is_proxy,
    parse_proxy_header,
    read_proxy_header,
)
from sekisho.ports.stream import ConnectionLost, Endpoint, StreamTimeout


def header(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tcp(
    client: str, server: str, client_port: int = 40000, server_port: int = 25, tlvs: bytes = b""
) -> bytes:
    addresses = [ip_address(text).packed for text in (client, server)]
    family = 0x11 if len(addresses[0]) == 4 else 0x21
    return header(0x21, family, b"".join(addresses) + struct.pack("!HH", client_port, server_port) + tlvs)


V4 = tcp("192.0.2.1", "198.51.100.25")
V6 = tcp("2001:db8::1", "2001:db8::25", tlvs=b"\x04\x00\x03abc")


def test_ipv4() -> None:
    assert parse_proxy_header(V4) == ProxyHeader(
        28, Endpoint(IPv4Address("192.0.2.1"), 40000), Endpoint(IPv4Address("198.51.100.25"), 25)
    )


def test_ipv6_with_tlv() -> None:
    parsed = parse_proxy_header(V6)
    assert parsed is not None
    assert parsed.client == Endpoint(IPv6Address("2001:db8::1"), 40000)
    assert parsed.octets == len(V6)


def test_mapped_ipv4_is_ipv4() -> None:
    parsed = parse_proxy_header(tcp("::ffff:192.0.2.1", "::ffff:192.0.2.2"))
    assert parsed is not None
    assert parsed.client == Endpoint(IPv4Address("192.0.2.1"), 40000)


@pytest.mark.parametrize(
    "octets",
    [
        header(0x20, 0x00, b""),
        header(0x20, 0x11, b"anything"),
        header(0x21, 0x00, b"xyz"),
        header(0x21, 0x31, bytes(216)),
    ],
    ids=["LOCAL", "LOCAL with rest", "unspecified", "unix"],
)
def test_headers_without_an_address(octets: bytes) -> None:
    assert parse_proxy_header(octets) == ProxyHeader(len(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO example.org\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
        SIGNATURE[:-1] + b"x",
        header(0x11, 0x11, V4[16:]),
        header(0x22, 0x11, V4[16:]),
        header(0x21, 0x12, V4[16:]),
        header(0x21, 0x22, V6[16:]),
        header(0x21, 0x41, V4[16:]),
        header(0x21, 0x11, V4[16:-1]),
        header(0x21, 0x21, V4[16:]),
        tcp("192.0.2.1", "192.0.2.2", tlvs=b"\x04\x00"),
        tcp("192.0.2.1", "192.0.2.2", tlvs=b"\x04\x00\x04abc"),
        SIGNATURE + struct.pack("!BBH", 0x21, 0x11, LIMIT_OCTETS + 1),
    ],
)
def test_refused(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_proxy_header(octets)


ADDRESS_PAIRS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
PORTS = st.integers(0, 65535)
TLVS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=5)


@given(ADDRESS_PAIRS, PORTS, PORTS, TLVS, st.binary(max_size=50))
def test_whole_or_octet_by_octet(pair, client_port: int, server_port: int, tlvs, rest: bytes) -> None:
    octets = tcp(
        str(pair[0]),
        str(pair[1]),
        client_port,
        server_port,
        b"".join(struct.pack("!BH", k, len(v)) + v for k, v in tlvs),
    )
    for length in range(len(octets)):
        assert parse_proxy_header(octets[:length]) is None
    parsed = parse_proxy_header(octets + rest)
    assert parsed is not None
    assert parsed.octets == len(octets)
    assert parsed.client is not None
    assert parsed.client.port == client_port
    assert parsed.client.address in (pair[0], getattr(pair[0], "ipv4_mapped", None))


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda octets: SIGNATURE + octets)))
def test_garbage_gives_only_protocol_errors(octets: bytes) -> None:
    try:
        parsed = parse_proxy_header(octets)
    except ProxyError:
        return
    assert parsed is None or parsed.octets <= len(octets)


def test_only_named_networks_are_proxies() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert is_proxy(ip_address("10.1.2.3"), networks)
    assert is_proxy(ip_address("2001:db8::9"), networks)
    assert not is_proxy(ip_address("192.0.2.1"), networks)
    assert not is_proxy(ip_address("10.1.2.3"), ())


@pytest.mark.parametrize("size", [1, 1000])
async def test_the_stream_becomes_the_clients(wire: Wire, size: int) -> None:
    server, _reader, writer = await wire.raw()
    octets = V6 + b"EHLO x\r\n"
    for start in range(0, len(octets), size):
        writer.write(octets[start : start + size])
        await asyncio.sleep(0)
    await read_proxy_header(server, 30)
    assert server.peer == Endpoint(IPv6Address("2001:db8::1"), 40000)
    assert server.local == Endpoint(IPv6Address("2001:db8::25"), 25)
    assert await read_exactly(server, 8) == b"EHLO x\r\n"
    writer.close()


async def test_a_local_header_keeps_the_addresses(wire: Wire) -> None:
    server, _reader, writer = await wire.raw()
    before = server.peer
    writer.write(header(0x20, 0x00, b""))
    await read_proxy_header(server, 30)
    assert server.peer == before
    writer.close()


async def test_silence_and_end_of_file(wire: Wire) -> None:
    server, _reader, writer = await wire.raw()
    writer.write(V4[:10])
    with pytest.raises(StreamTimeout):
        await read_proxy_header(server, 0.01)
    server, _reader, writer = await wire.raw()
    writer.write(V4[:10])
    writer.close()
    with pytest.raises(ConnectionLost):
        await read_proxy_header(server, 30)
