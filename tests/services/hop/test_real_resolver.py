"""DANE and MTA-STS with a real validating resolver: Unbound, over zones that are signed on the spot."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdata
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.peers.debian import peer
from tests.services.hop.certificates import authority, chain, digest, server_context
from tests.services.hop.mailhost import MailHost
from tests.services.hop.test_matrix import CERTIFICATES, Certificate, by_dane, by_sts
from tests.services.hop.world import World, authorities, policy

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.net.stsfetch import HttpsPolicySource
from sekisho.adapters.net.tls import ClientContexts
from sekisho.config.schema import ResolverSettings

pytestmark = [pytest.mark.peers, pytest.mark.slow]

SIGNED, PLAIN = "signed.example", "plain.example"
HELD, PUBLISHED = ("key", "authority", "unusable", "other key"), ("enforce", "testing")


@dataclass(frozen=True, kw_only=True)
class Row:
    """`broken`: the type of the record that is changed after its zone was signed."""

    dane: str
    certificate: Certificate = "valid"
    sts: str = "none"
    broken: str = ""
    zone: str = SIGNED

    def expected(self) -> str:
        if self.broken or self.dane == "bogus":
            return "later"
        return by_dane("none" if self.zone == PLAIN else self.dane, self.certificate) or by_sts(
            self.sts, self.certificate
        )


ROWS = (
    *(Row(dane=dane, certificate=certificate) for dane in HELD for certificate in CERTIFICATES),
    *(
        Row(dane="none", certificate=certificate, sts=sts)
        for sts in PUBLISHED
        for certificate in CERTIFICATES
    ),
    Row(dane="none"),
    Row(dane="none", certificate="none"),
    Row(dane="bogus"),
    Row(dane="bogus", certificate="none", sts="testing"),
    Row(dane="none", broken="A"),
    Row(dane="none", broken="MX"),
    Row(dane="other key", sts="enforce"),
    Row(dane="key", certificate="expired", sts="enforce"),
    Row(dane="other key", zone=PLAIN),
    Row(dane="other key", zone=PLAIN, certificate="none"),
    Row(dane="none", zone=PLAIN, sts="enforce", certificate="self-signed"),
)


def names(number: int, row: Row) -> tuple[str, str]:
    domain = f"row{number}.{row.zone}"
    return domain, f"mx.{domain}"


def records(number: int, row: Row, port: int) -> Iterator[str]:
    domain, host = names(number, row)
    yield f"{domain}. 300 IN MX 10 {host}."
    yield f"{host}. 300 IN A 127.0.1.{number + 1}"
    if row.sts != "none":
        yield f'_mta-sts.{domain}. 300 IN TXT "v=STSv1; id=1"'
        yield f"mta-sts.{domain}. 300 IN A 127.0.2.{number + 1}"
    kind = "valid" if row.certificate == "none" else row.certificate
    own = digest(chain(kind, host)[0][0])
    values = {
        "key": f"3 1 1 {own}",
        "authority": f"2 1 1 {digest(authority()[0])}",
        "unusable": f"1 1 1 {own}",
    }
    if row.dane != "none":
        yield f"_{port}._tcp.{host}. 300 IN TLSA {values.get(row.dane, '3 1 1 ' + '00' * 32)}"


def write_zones(folder: Path, port: int) -> str:
    """Returns the trust anchor."""
    anchor = ""
    for name in (SIGNED, PLAIN):
        lines = [
            f"{name}. 300 IN SOA ns.{name}. root.{name}. 1 2 3 4 60",
            f"{name}. 300 IN NS ns.{name}.",
            f"ns.{name}. 300 IN A 127.0.0.1",
        ]
        lines += [
            line for number, row in enumerate(ROWS) if row.zone == name for line in records(number, row, port)
        ]
        zone = dns.zone.from_text("\n".join(lines), f"{name}.", relativize=False)
        if name == SIGNED:
            private = ec.generate_private_key(ec.SECP256R1())
            key = dns.dnssec.make_dnskey(
                private.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257
            )
            dns.dnssec.sign_zone(
                zone, keys=[(private, key)], lifetime=86_400, add_dnskey=True, dnskey_ttl=300
            )
            anchor = f"{name}. DS {dns.dnssec.make_ds(dns.name.from_text(name), key, 'SHA256').to_text()}"
            falsify(zone, port)
        zone.to_file(folder / name, relativize=False)
    return anchor


def falsify(zone: dns.zone.Zone, port: int) -> None:
    """What was signed is not what is served."""
    with zone.writer() as change:
        for number, row in enumerate(ROWS):
            domain, host = names(number, row)
            if row.broken == "A":
                change.replace(f"{host}.", 300, dns.rdata.from_text("IN", "A", f"127.0.1.{number + 2}"))
            elif row.broken == "MX":
                change.replace(f"{domain}.", 300, dns.rdata.from_text("IN", "MX", "5 mx.evil.example."))
            elif row.dane == "bogus":
                other = dns.rdata.from_text("IN", "TLSA", "3 1 1 " + "11" * 32)
                change.replace(f"_{port}._tcp.{host}.", 300, other)


@contextmanager
def unbound(folder: Path, anchor: str) -> Iterator[str]:
    program = peer("unbound")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    zones = "".join(
        f'auth-zone:\n  name: "{name}."\n  zonefile: "{folder / name}"\n'
        "  for-downstream: no\n  for-upstream: yes\n"
        for name in (SIGNED, PLAIN)
    )
    (folder / "hints").write_text(". 3600 IN NS ns.root.\nns.root. 3600 IN A 127.0.0.1\n")  # nobody is asked
    (folder / "unbound.conf").write_text(
        f"""
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
  ede: yes
  root-hints: "{folder / "hints"}"
{zones}
remote-control:
  control-enable: no
"""
    )
    command = [program.path("unbound"), "-d", "-c", str(folder / "unbound.conf")]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=os.environ | program.environment, stderr=log) as process,
    ):
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


async def serve_policy(stack: AsyncExitStack, number: int, row: Row, port: int) -> int:
    """Over HTTPS; returns the port."""
    domain, host = names(number, row)
    text = policy(row.sts, host)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text) + text

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

    context = server_context("valid", f"mta-sts.{domain}")
    server = await asyncio.start_server(serve, f"127.0.2.{number + 1}", port, ssl=context)
    stack.callback(server.close)
    found: int = server.sockets[0].getsockname()[1]
    return found


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_every_row(tmp_path: Path, stack: AsyncExitStack) -> None:
    hosts: list[MailHost] = []
    port = https = 0
    for number, row in enumerate(ROWS):
        context = (
            None if row.certificate == "none" else server_context(row.certificate, names(number, row)[1])
        )
        host = MailHost(context=context, address=f"127.0.1.{number + 1}", port=port)
        hosts.append(await stack.enter_async_context(host.listening()))
        port = host.port
        if row.sts != "none":
            https = await serve_policy(stack, number, row, https)
    server = stack.enter_context(unbound(tmp_path, write_zones(tmp_path, port)))
    resolver = StubResolver(ResolverSettings(servers=(server,), timeout_seconds=2, tries=10), SystemClock())
    stack.push_async_callback(resolver.close)
    world = World(port)
    world.resolver = resolver
    tls = ClientContexts(authorities())
    world.source = HttpsPolicySource(resolver, tls, port=https, may_ask=lambda address: address.is_loopback)
    world.anew()
    for number, (row, host) in enumerate(zip(ROWS, hosts, strict=True)):
        domain, _ = names(number, row)
        outcome = await world.send(f"a@{domain}", next_hop=domain)
        expected = row.expected()
        told = (row, str(outcome.reply))
        assert outcome.result == ("deferred" if expected == "later" else "delivered"), told
        assert [one.tls for one in host.taken] == ([] if expected == "later" else [expected == "tls"]), told
    await world.relay.close()
