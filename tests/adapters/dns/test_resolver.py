"""The stub resolver against the test server, on both event loops."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.dns.cache import TtlBounds
from sekisho.adapters.dns.resolver import StubResolver
from sekisho.config.schema import ResolverSettings
from sekisho.core.terms.dns import DnsStatus, Mx
from sekisho.testing.clock import ManualClock
from sekisho.testing.dnsserver import DnsServer, serving

ZONE = """
$AD on
               SOA ns.root hostmaster.root 1 2 3 4 600
$AD off
example.com    SOA ns.example.com hostmaster.example.com 1 2 3 4 60
example.com 90 MX  10 mail.example.com
example.com    TXT "v=spf1 -all"
mail.example.com A 192.0.2.1
www.example.com  120 CNAME mail.example.com
signed.example A   192.0.2.2
big.example    TXT "{big}"
cut.example    A   192.0.2.3
$TRUNCATE cut.example
$SERVFAIL broken.example
$TIMEOUT silent.example
$BOGUS forged.example
""".replace("{big}", "x" * 4000)


@asynccontextmanager
async def resolving(
    *servers: str, clock: ManualClock | None = None, **settings: object
) -> AsyncIterator[StubResolver]:
    resolver = StubResolver(ResolverSettings(servers=servers, **settings), clock or SystemClock())  # type: ignore[arg-type]  # settings by name
    try:
        yield resolver
    finally:
        await resolver.close()


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with serving(ZONE) as running:
        yield running


async def test_records_and_the_final_statuses(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        answer = await resolver.resolve("Example.COM.", "MX")
        assert (answer.name, answer.records, answer.ttl_seconds, answer.secure) == (
            "example.com",
            (Mx(10, "mail.example.com"),),
            90,
            False,
        )
        for name, status in [
            ("nothing.example.com", DnsStatus.NXDOMAIN),
            ("mail.example.com", DnsStatus.NODATA),
            ("broken.example", DnsStatus.SERVFAIL),
            ("forged.example", DnsStatus.BOGUS),
            ("a..b", DnsStatus.NXDOMAIN),
        ]:
            assert (await resolver.resolve(name, "TXT")).status is status, name


async def test_silence_is_a_timeout_after_all_tries(server: DnsServer) -> None:
    async with resolving(server.address, timeout_seconds=0.02, tries=3) as resolver:
        assert (await resolver.resolve("silent.example", "A")).status is DnsStatus.TIMEOUT
        assert resolver.cached("silent.example", "A") is not None  # remembered for a moment
        assert (await resolver.resolve("silent.example", "A")).status is DnsStatus.TIMEOUT
        # On a loaded machine the time in all may be over before the last try.
        assert 1 <= server.questions <= 3


async def test_alias_is_followed_and_named(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        answer = await resolver.resolve("www.example.com", "A")
        assert answer.records == (IPv4Address("192.0.2.1"),)
        assert (answer.canonical_name, answer.ttl_seconds) == ("mail.example.com", 120)


@pytest.mark.parametrize(("name", "rtype"), [("big.example", "TXT"), ("cut.example", "A")])
async def test_truncated_answers_come_over_tcp(server: DnsServer, name: str, rtype: str) -> None:
    async with resolving(server.address) as resolver:
        answer = await resolver.resolve(name, rtype)  # type: ignore[arg-type]  # a plain string from the table
        assert answer.status is DnsStatus.NOERROR
        assert server.tcp_questions == 1


async def test_answers_are_remembered_for_their_time(server: DnsServer) -> None:
    clock = ManualClock()
    async with resolving(server.address, clock=clock) as resolver:
        await resolver.resolve("example.com", "MX")
        clock.advance(30)
        assert (await resolver.resolve("EXAMPLE.com", "MX")).ttl_seconds == 60
        assert server.questions == 1
        clock.advance(60)
        assert (await resolver.resolve("example.com", "MX")).ttl_seconds == 90
        assert server.questions == 2
        await resolver.resolve("nothing.example.com", "A")
        clock.advance(59)
        await resolver.resolve("nothing.example.com", "A")
        assert server.questions == 3
        clock.advance(2)
        await resolver.resolve("nothing.example.com", "A")
        assert server.questions == 4


async def test_equal_questions_are_merged(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        answers = await asyncio.gather(*(resolver.resolve("example.com", "MX") for _ in range(50)))
        assert {a.status for a in answers} == {DnsStatus.NOERROR}
        assert server.questions == 1


async def test_one_who_gives_up_does_not_end_it_for_the_others(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        first = asyncio.create_task(resolver.resolve("example.com", "MX"))
        second = asyncio.create_task(resolver.resolve("example.com", "MX"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).status is DnsStatus.NOERROR


async def test_many_questions_at_once_use_many_ports(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        answers = await asyncio.gather(*(resolver.resolve(f"n{i}.example.com", "A") for i in range(200)))
        assert {a.status for a in answers} == {DnsStatus.NXDOMAIN}
        assert len(resolver.servers[0].channel.ports) == 16


async def test_ad_counts_only_from_trusted_resolvers(server: DnsServer) -> None:
    server.zone.sets[("signed.example", "A")].secure = True
    async with resolving(server.address) as resolver:
        assert (await resolver.resolve("signed.example", "A")).secure
        facts = await resolver.probe()
        assert facts.is_local and facts.validating
        assert "validates DNSSEC" in facts.sentence
    async with resolving(server.address, trust_ad=False) as resolver:
        assert not (await resolver.resolve("signed.example", "A")).secure
        assert (await resolver.probe()).validating is False


async def test_next_server_helps_when_the_first_cannot(server: DnsServer) -> None:
    async with (
        serving("$SERVFAIL mail.example.com") as bad,
        resolving(bad.address, server.address) as resolver,
    ):
        assert (await resolver.resolve("mail.example.com", "A")).status is DnsStatus.NOERROR
        assert resolver.preferred == 0
        assert (
            await resolver.resolve("broken.example", "A")
        ).status is DnsStatus.NXDOMAIN  # the first does not know it


async def test_next_server_is_preferred_when_the_first_is_silent(server: DnsServer) -> None:
    async with (
        serving("$TIMEOUT example.com") as silent,
        resolving(silent.address, server.address, timeout_seconds=0.3, tries=9) as resolver,
    ):
        assert (await resolver.resolve("example.com", "MX")).status is DnsStatus.NOERROR
        assert silent.questions >= 1


async def test_nobody_listening_is_a_timeout() -> None:
    async with serving("") as gone:
        address = gone.address
    async with resolving(address, timeout_seconds=0.05) as resolver:
        assert (await resolver.resolve("example.com", "A")).status is DnsStatus.TIMEOUT
        assert (await resolver.probe()).validating is None


async def test_closing_ends_open_questions(server: DnsServer) -> None:
    async with resolving(server.address) as resolver:
        asking = asyncio.create_task(resolver.resolve("silent.example", "A"))
        await asyncio.sleep(0)
    assert (await asking).status is DnsStatus.TIMEOUT


class _Scripted(asyncio.DatagramProtocol):
    """Answers each query with whatever `reply` makes of it."""

    def __init__(self, reply: object) -> None:
        self.reply = reply

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # always one of these
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for octets in self.reply(data):  # type: ignore[operator]  # a function from the test
            self.transport.sendto(octets, addr)


@asynccontextmanager
async def scripted(reply: object) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Scripted(reply), local_addr=("127.0.0.1", 0))
    try:
        yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def _answer(query: bytes, rcode: int = 0, answers: bytes = b"", count: int = 0) -> bytes:
    end = query.index(b"\0", 12) + 5
    return query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, count, 0, 0) + query[12:end] + answers


_A = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4)


async def test_forged_answers_are_passed_over() -> None:
    def reply(query: bytes) -> list[bytes]:
        right = _answer(query, answers=_A + bytes((192, 0, 2, 1)), count=1)
        forged = _answer(query, answers=_A + bytes((6, 6, 6, 6)), count=1)
        wrong_id = bytes((forged[0] ^ 1,)) + forged[1:]
        wrong_name = forged.replace(b"example", b"exbmple")
        not_answer = forged[:2] + b"\x01" + forged[3:]
        return [wrong_id, wrong_name, not_answer, b"", forged[:11], right]

    async with scripted(reply) as address, resolving(address) as resolver:
        assert (await resolver.resolve("example.com", "A")).records == (IPv4Address("192.0.2.1"),)


async def test_garbage_is_a_servfail() -> None:
    async with (
        scripted(lambda query: [_answer(query, answers=_A, count=1)]) as address,
        resolving(address) as resolver,
    ):
        assert (await resolver.resolve("example.com", "A")).status is DnsStatus.SERVFAIL


async def test_a_resolver_without_edns_is_asked_again() -> None:
    def reply(query: bytes) -> list[bytes]:
        has_opt = query[11] == 1
        return [
            _answer(query, rcode=1)
            if has_opt
            else _answer(query, answers=_A + bytes((192, 0, 2, 1)), count=1)
        ]

    async with scripted(reply) as address, resolving(address, tries=1) as resolver:
        assert (await resolver.resolve("example.com", "A")).status is DnsStatus.NOERROR


async def test_alias_without_its_target_is_asked_further() -> None:
    def reply(query: bytes) -> list[bytes]:
        if b"\x03www" in query:
            target = b"\x04mail\x00"
            return [
                _answer(
                    query, answers=b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 7, len(target)) + target, count=1
                )
            ]
        return [_answer(query, answers=_A + bytes((192, 0, 2, 1)), count=1)]

    async with scripted(reply) as address, resolving(address) as resolver:
        answer = await resolver.resolve("www.example", "A")
        assert (answer.status, answer.ttl_seconds, answer.canonical_name) == (DnsStatus.NOERROR, 7, "mail")


async def test_endless_aliases_end() -> None:
    def reply(query: bytes) -> list[bytes]:
        target = b"\x01x" + query[12 : query.index(b"\0", 12) + 1]
        return [
            _answer(query, answers=b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 7, len(target)) + target, count=1)
        ]

    async with scripted(reply) as address, resolving(address) as resolver:
        assert (await resolver.resolve("a.example", "A")).status is DnsStatus.SERVFAIL


def test_bounds_have_sense() -> None:
    bounds = TtlBounds()
    assert 1 <= bounds.failure <= 300  # RFC 9520 §3.2
