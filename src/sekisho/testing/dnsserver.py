"""A DNS server on loopback that answers from zone text, over UDP and TCP, for tests that run a real resolver
or server.

In a test:      async with serving(Zone.from_text(...)) as server: ... server.address ("127.0.0.1:port")
On its own:  python -m sekisho.testing.dnsserver --port 5353 zonefile   (prints the address when ready)

Names under `$TIMEOUT` get no reply at all, `$BOGUS` SERVFAIL with the extended error 6 (RFC 8914 §4.7).
"""

import argparse
import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import cast

from sekisho.core.dns.message import TYPE_CODES, WireError, read_name
from sekisho.core.dns.names import name_to_wire
from sekisho.core.terms.dns import DnsStatus, Mx, Record, RecordType, Soa, Srv, Tlsa
from sekisho.testing.zones import MAX_CNAMES, Zone

_TYPES = {code: rtype for rtype, code in TYPE_CODES.items()}
_NOERROR, _SERVFAIL, _NXDOMAIN, _NOTIMP = 0, 2, 3, 4
_QR, _TC, _RD, _RA, _AD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020
_BOGUS_RCODE = 0x10 | _SERVFAIL  # told apart from a plain SERVFAIL only in here
_BOGUS_OPT = b"\0" + struct.pack("!HHIHHHH", 41, 1232, 0, 6, 15, 2, 6)
_PLAIN_OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def respond(zone: Zone, query: bytes, *, tcp: bool) -> bytes | None:
    """The response to one query message, or None for silence (a timeout, or octets that are no query)."""
    try:
        query_id, flags, questions = struct.unpack_from("!HHH", query)
        name, position = read_name(query, 12)
        code, _ = struct.unpack_from("!HH", query, position)
    except (struct.error, IndexError, WireError):
        return None
    if flags & _QR or questions != 1:
        return None
    question = query[12 : position + 4]
    head = _QR | _RD | _RA
    rtype = _TYPES.get(code)
    if rtype is None:
        return struct.pack("!HHHHHH", query_id, head | _NOTIMP, 1, 0, 0, 0) + question
    rcode, secure, answers, authority = _sections(zone, name, rtype)
    if rcode is None:
        return None
    asked_edns, payload = _edns(query, position + 4)
    opt = _BOGUS_OPT if rcode == _BOGUS_RCODE else _PLAIN_OPT
    body = question + b"".join(answers + authority) + (opt if asked_edns else b"")
    cut = not tcp and (12 + len(body) > payload or zone.truncated & {(name, None), (name, rtype)})
    if cut:
        return struct.pack("!HHHHHH", query_id, head | _TC, 1, 0, 0, 0) + question
    head |= (_AD if secure and flags & _AD else 0) | (rcode & 0xF)
    return struct.pack("!HHHHHH", query_id, head, 1, len(answers), len(authority), int(asked_edns)) + body


def _edns(query: bytes, position: int) -> tuple[bool, int]:
    """(did the query carry an OPT record, the largest UDP response it takes)."""
    if len(query) >= position + 11 and query[position : position + 3] == b"\0\0\x29":
        return True, max(512, int.from_bytes(query[position + 3 : position + 5], "big"))
    return False, 512


def _sections(zone: Zone, name: str, rtype: RecordType) -> tuple[int | None, bool, list[bytes], list[bytes]]:
    """(rcode or None for silence, is all of it secure, answer records, authority records)."""
    answers: list[bytes] = []
    secure, current = True, name
    for _ in range(MAX_CNAMES + 1):
        fault = zone.fault(current, rtype)
        if fault is not None:
            rcode = {DnsStatus.TIMEOUT: None, DnsStatus.BOGUS: _BOGUS_RCODE}.get(fault, _SERVFAIL)
            return rcode, False, [], []
        owner = zone.owner(current)
        found = None if owner is None else zone.sets.get((owner, rtype)) or zone.sets.get((owner, "CNAME"))
        if owner is None or found is None:
            secure = secure and zone.names[zone.closest_name(current)]
            return _NXDOMAIN if owner is None else _NOERROR, secure, answers, _authority(zone, current)
        secure = secure and found.secure
        kind: RecordType = rtype if (owner, rtype) in zone.sets else "CNAME"
        answers += [_record(current, kind, found.ttl_seconds, record) for record in found.records]
        if kind == rtype:
            return _NOERROR, secure, answers, []
        current = cast(str, found.records[0])
    return _SERVFAIL, False, [], []


def _authority(zone: Zone, name: str) -> list[bytes]:
    found = zone.soa(name)
    return [] if found is None else [_record(found[0], "SOA", found[1].ttl_seconds, found[1].records[0])]


def _record(owner: str, rtype: RecordType, ttl_seconds: int, record: Record) -> bytes:
    data = record_to_wire(rtype, record)
    return name_to_wire(owner) + struct.pack("!HHIH", TYPE_CODES[rtype], 1, ttl_seconds, len(data)) + data


def record_to_wire(rtype: RecordType, record: Record) -> bytes:
    """The RDATA of a record, without compression."""
    match record:
        case IPv4Address() | IPv6Address():
            return record.packed
        case Mx():
            return struct.pack("!H", record.preference) + name_to_wire(record.host)
        case Tlsa():
            return bytes((record.usage, record.selector, record.matching)) + record.data
        case Srv():
            return struct.pack("!HHH", record.priority, record.weight, record.port) + name_to_wire(
                record.target
            )
        case Soa():
            numbers = struct.pack("!IIIII", record.serial, 7200, 900, 86400, record.minimum)
            return name_to_wire(record.mname) + name_to_wire(record.rname) + numbers
        case bytes():
            parts = [record[i : i + 255] for i in range(0, len(record), 255)] or [b""]
            return b"".join(bytes((len(part),)) + part for part in parts)
        case str():
            return name_to_wire(record)
    raise TypeError(f"no wire form for {rtype} {record!r}")


class DnsServer:
    """Answers from `zone` (which may be changed while it runs). `questions` and `tcp_questions` count what
    came."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.questions = 0
        self.tcp_questions = 0
        self.host, self.port = "", 0

    @property
    def address(self) -> str:
        """As `ResolverSettings.servers` takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Bind UDP and TCP on one port; 0 chooses a free one. Raises OSError."""
        loop = asyncio.get_running_loop()
        for _ in range(20):
            self._tcp = await asyncio.start_server(self._serve_tcp, host, port)
            self.host, self.port = host, self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Udp(self), local_addr=(host, self.port)
                )
            except OSError:
                self._tcp.close()
                if port:
                    raise
                continue  # that port is free for TCP only
            return
        raise OSError("no port is free for both UDP and TCP")

    async def stop(self) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                self.questions += 1
                self.tcp_questions += 1
                response = respond(self.zone, query, tcp=True)
                if response is not None:
                    writer.write(len(response).to_bytes(2, "big") + response)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22
        )  # a test asks in bursts

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.questions += 1
        response = respond(self._server.zone, data, tcp=False)
        if response is not None:
            self._transport.sendto(response, addr)


@asynccontextmanager
async def serving(zone: Zone | str, host: str = "127.0.0.1") -> AsyncIterator[DnsServer]:
    """A running server on a free port."""
    server = DnsServer(Zone.from_text(zone) if isinstance(zone, str) else zone)
    await server.start(host)
    try:
        yield server
    finally:
        await server.stop()


async def _main(host: str, port: int, zone: Zone) -> None:
    server = DnsServer(zone)
    await server.start(host, port)
    print(server.address, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Answer DNS questions from zone text, for tests.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to bind")
    parser.add_argument("--port", type=int, default=0, help="port for UDP and TCP; 0 chooses one")
    parser.add_argument("zonefile", type=Path, help="file of zone text (see sekisho.testing.zones)")
    options = parser.parse_args()
    asyncio.run(_main(options.host, options.port, Zone.from_text(options.zonefile.read_text("utf-8"))))
