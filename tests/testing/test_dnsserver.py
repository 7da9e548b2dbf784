"""The test server speaks as dnspython expects."""

import os
import subprocess
import sys
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from sekisho.testing.dnsserver import DnsServer, respond, serving
from sekisho.testing.zones import Zone

ZONE = """
$AD on
example.com      SOA  ns.example.com root.example.com 7 2 3 4 60
example.com 120  MX   10 mail.example.com
www.example.com  CNAME mail.example.com
mail.example.com A    192.0.2.1
_25._tcp.mail.example.com TLSA 3 1 0 00ff
_x._tcp.example.com SRV 1 2 3 mail.example.com
*.w.example.com  TXT  "wild" "card"
$AD off
cut.example      A    192.0.2.3
$TRUNCATE cut.example
$SERVFAIL broken.example
$BOGUS forged.example
$TIMEOUT silent.example
"""


def _ask(
    name: str, rtype: str, *, tcp: bool = True, ad: bool = True, edns: bool = True
) -> dns.message.Message:
    query = dns.message.make_query(name, rtype, use_edns=0 if edns else False)
    if ad:
        query.flags |= dns.flags.AD
    response = respond(Zone.from_text(ZONE), query.to_wire(), tcp=tcp)
    assert response is not None
    message = dns.message.from_wire(response)
    assert query.is_response(message)
    return message


def test_records_and_aliases() -> None:
    assert [rrset.to_text() for rrset in _ask("www.example.com", "A").answer] == [
        "www.example.com. 300 IN CNAME mail.example.com.",
        "mail.example.com. 300 IN A 192.0.2.1",
    ]
    assert _ask("example.com", "MX").answer[0].to_text() == "example.com. 120 IN MX 10 mail.example.com."
    assert _ask("a.w.example.com", "TXT").answer[0].to_text() == 'a.w.example.com. 300 IN TXT "wildcard"'
    assert _ask("_25._tcp.mail.example.com", "TLSA").answer[0].to_text().endswith("TLSA 3 1 0 00ff")
    assert _ask("_x._tcp.example.com", "SRV").answer[0].to_text().endswith("SRV 1 2 3 mail.example.com.")


def test_negative_answers_carry_the_soa() -> None:
    for name, rcode in [("no.example.com", dns.rcode.NXDOMAIN), ("mail.example.com", dns.rcode.NOERROR)]:
        message = _ask(name, "AAAA")
        assert (message.rcode(), message.answer) == (rcode, [])
        assert (
            message.authority[0]
            .to_text()
            .startswith("example.com. 300 IN SOA ns.example.com. root.example.com. 7 ")
        )


def test_ad_only_for_secure_sets_and_those_who_ask() -> None:
    assert _ask("mail.example.com", "A").flags & dns.flags.AD
    assert not _ask("mail.example.com", "A", ad=False).flags & dns.flags.AD
    assert not _ask("cut.example", "A").flags & dns.flags.AD


def test_faults() -> None:
    assert _ask("broken.example", "A").rcode() == dns.rcode.SERVFAIL
    forged = _ask("forged.example", "A")
    assert forged.rcode() == dns.rcode.SERVFAIL
    assert [option.code for option in forged.options if isinstance(option, dns.edns.EDEOption)] == [6]
    assert _ask("example.com", "HINFO").rcode() == dns.rcode.NOTIMP
    silent = dns.message.make_query("silent.example", "A").to_wire()
    assert respond(Zone.from_text(ZONE), silent, tcp=True) is None


@pytest.mark.parametrize("octets", [b"", b"\0" * 11, b"\0" * 12, b"\0\1\x80\0\0\1" + b"\0" * 11])
def test_what_is_no_query_gets_no_answer(octets: bytes) -> None:
    assert respond(Zone(), octets, tcp=False) is None


def test_truncation() -> None:
    assert _ask("cut.example", "A", tcp=False).flags & dns.flags.TC
    assert not _ask("cut.example", "A", tcp=True).flags & dns.flags.TC
    many = Zone.from_text("".join(f"m.example A 192.0.2.{i}\n" for i in range(30)))
    for edns, truncated in [(False, True), (True, False)]:
        query = dns.message.make_query("m.example", "A", use_edns=0 if edns else False, payload=1232)
        response = respond(many, query.to_wire(), tcp=False)
        assert response is not None
        assert bool(dns.message.from_wire(response).flags & dns.flags.TC) is truncated


async def test_over_udp_and_tcp() -> None:
    async with serving(ZONE) as server:
        query = dns.message.make_query("mail.example.com", "A")
        over_udp = await dns.asyncquery.udp(query, server.host, port=server.port, timeout=10)
        over_tcp = await dns.asyncquery.tcp(query, server.host, port=server.port, timeout=10)
        assert over_udp.answer == over_tcp.answer != []
        assert (server.questions, server.tcp_questions) == (2, 1)


async def test_a_taken_port_is_an_error() -> None:
    async with serving("") as server:
        with pytest.raises(OSError):
            await DnsServer(Zone()).start(server.host, server.port)


def test_on_its_own(tmp_path: Path) -> None:
    zonefile = tmp_path / "zone"
    zonefile.write_text(ZONE)
    source = str(Path(__file__).parents[2] / "src")
    command = [sys.executable, "-m", "sekisho.testing.dnsserver", str(zonefile)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}
    ) as process:
        assert process.stdout is not None
        try:
            host, _, port = process.stdout.readline().strip().rpartition(":")
            answer = dns.query.udp(
                dns.message.make_query("mail.example.com", "A"), host, port=int(port), timeout=10
            ).answer
        finally:
            process.kill()
    assert answer[0].to_text() == "mail.example.com. 300 IN A 192.0.2.1"
