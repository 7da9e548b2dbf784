"""The stub resolver against a real validating resolver, which asks a signed zone and our test server."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.peers.debian import peer

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.dns.resolver import StubResolver
from sekisho.config.schema import ResolverSettings
from sekisho.core.terms.dns import DnsStatus
from sekisho.testing.dnsserver import respond
from sekisho.testing.zones import Zone

pytestmark = [pytest.mark.peers, pytest.mark.slow]

PLAIN = """
example.com      SOA ns.example.com root.example.com 1 2 3 4 60
example.com 120  MX  10 mail.example.com
mail.example.com A   192.0.2.1
www.example.com  CNAME mail.example.com
big.example.com  TXT "{big}"
$SERVFAIL broken.example.com
""".replace("{big}", "x" * 3000)
SIGNED = """
$ORIGIN signed.example.
$TTL 300
@     SOA ns root 1 2 3 4 60
@     NS  ns
ns    A   127.0.0.1
mail  A   192.0.2.2
alias CNAME mail
bad   A   192.0.2.3
_25._tcp.mail TLSA 3 1 1 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
"""


class _Authority(asyncio.DatagramProtocol):
    """Answers with signatures under signed.example, from the plain zone elsewhere."""

    def __init__(self, signed: dns.zone.Zone) -> None:
        self._signed, self._plain = signed, Zone.from_text(PLAIN)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # always one of these
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        if question.name.is_subdomain(self._signed.origin or dns.name.root):
            self._transport.sendto(self._answer(query).to_wire(), addr)
        elif response := respond(self._plain, data, tcp=True):  # whole over UDP: loopback takes it
            self._transport.sendto(response, addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        node = self._signed.get_node(question.name) or dns.node.Node()
        for rtype in (question.rdtype, dns.rdatatype.CNAME):
            rdataset = node.get_rdataset(question.rdclass, rtype)
            if rdataset is not None:
                response.find_rrset(
                    response.answer, question.name, question.rdclass, rtype, create=True
                ).update(rdataset)
                for signature in node.get_rdataset(question.rdclass, dns.rdatatype.RRSIG, rtype) or ():
                    kind = (question.rdclass, dns.rdatatype.RRSIG, rtype)
                    response.find_rrset(response.answer, question.name, *kind, create=True).add(
                        signature, rdataset.ttl
                    )
                break
        return response


def _signed_zone() -> tuple[dns.zone.Zone, str]:
    zone = dns.zone.from_text(SIGNED, "signed.example.", relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257)
    dns.dnssec.sign_zone(zone, keys=[(private, key)], lifetime=86_400, add_dnskey=True, dnskey_ttl=300)
    ds = dns.dnssec.make_ds(zone.origin or dns.name.root, key, "SHA256")
    with zone.writer() as change:  # what was signed is not what is served
        change.replace("bad.signed.example.", 300, dns.rdata.from_text("IN", "A", "6.6.6.6"))
    return zone, f"signed.example. DS {ds.to_text()}"


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def unbound(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a validating Unbound that forwards to `_Authority`."""
    program = peer("unbound")
    signed, anchor = _signed_zone()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Authority(signed), local_addr=("127.0.0.1", 0)
    )
    upstream, port = transport.get_extra_info("sockname")[1], _free_port()
    (tmp_path / "unbound.conf").write_text(
        f"""
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{tmp_path}"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
  ede: yes
  qname-minimisation: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream}
remote-control:
  control-enable: no
"""
    )
    environment = os.environ | program.environment
    command = [program.path("unbound"), "-d", "-c", str(tmp_path / "unbound.conf")]
    with subprocess.Popen(command, env=environment, stderr=(tmp_path / "log").open("wb")) as process:  # noqa: ASYNC220 (it only starts)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            transport.close()


async def test_answers_of_a_real_resolver(unbound: str) -> None:
    resolver = StubResolver(ResolverSettings(servers=(unbound,), timeout_seconds=2, tries=10), SystemClock())
    expected = {
        ("mail.example.com", "A"): (DnsStatus.NOERROR, False),
        ("www.example.com", "A"): (DnsStatus.NOERROR, False),
        ("big.example.com", "TXT"): (DnsStatus.NOERROR, False),
        ("none.example.com", "A"): (DnsStatus.NXDOMAIN, False),
        ("mail.example.com", "MX"): (DnsStatus.NODATA, False),
        ("broken.example.com", "A"): (DnsStatus.SERVFAIL, False),
        ("mail.signed.example", "A"): (DnsStatus.NOERROR, True),
        ("alias.signed.example", "A"): (DnsStatus.NOERROR, True),
        ("_25._tcp.mail.signed.example", "TLSA"): (DnsStatus.NOERROR, True),
        ("bad.signed.example", "A"): (DnsStatus.BOGUS, False),
    }
    try:
        answers = {question: await resolver.resolve(*question) for question in expected}  # type: ignore[arg-type]  # plain strings
        facts = await resolver.probe()
    finally:
        await resolver.close()
    assert {question: (answer.status, answer.secure) for question, answer in answers.items()} == expected
    assert answers["www.example.com", "A"].records == (IPv4Address("192.0.2.1"),)
    assert answers["www.example.com", "A"].canonical_name == "mail.example.com"
    assert answers["big.example.com", "TXT"].records == (b"x" * 3000,)
    assert answers["none.example.com", "A"].ttl_seconds <= 60
    assert facts.is_local and not facts.validating  # there is no signed root here
