"""REQUIRETLS and TLS-Required: No (RFC 8689), from the queue to the next hop."""

import pytest
from tests.services.hop.certificates import chain, digest, server_context
from tests.services.hop.mailhost import MailHost
from tests.services.hop.world import RECORD, World, policy

OFFERED = ("REQUIRETLS", "8BITMIME")
UNSIGNED = "example.com MX 10 mx.example.com\nmx.example.com A 127.0.0.1\n"
WAIVING = b"Subject: hi\r\nTLS-Required: No\r\n\r\nhi\r\n"


def tlsa(port: int, digits: str) -> str:
    return f"_{port}._tcp.mx.example.com TLSA 3 1 1 {digits}\n"


@pytest.mark.parametrize("way", ["dane", "dnssec", "enforce", "testing"])
async def test_it_goes_where_the_host_is_proved(way: str) -> None:
    async with MailHost(context=server_context("valid"), keywords_in_tls=OFFERED).listening() as host:
        zone = RECORD + (tlsa(host.port, digest(chain("valid")[0][0])) if way == "dane" else "")
        world = World(
            host.port, zone, base=UNSIGNED if way in ("enforce", "testing") else "$AD on\n" + UNSIGNED
        )
        world.hosts.texts["example.com"] = policy("none" if way == "dnssec" else way)
        outcome = await world.send(requiretls=True)
        assert outcome.result == "delivered", str(outcome.reply)
        assert host.taken[0].tls and host.taken[0].mail.endswith(" REQUIRETLS")
        (attempt,) = [entry for entry in world.journal.entries if entry.kind == "relay.attempt"]
        assert attempt.fields["proof"] == ("dane" if way == "dane" else "pkix")
        assert (await world.send(requiretls=True)).result == "delivered" and host.connections == 1
        assert (await world.send()).result == "delivered" and host.taken[
            -1
        ].mail == "MAIL FROM:<a@sender.example>"
        await world.relay.close()


@pytest.mark.parametrize(
    "way", ["nothing", "not offered", "no starttls", "expired", "wrong name", "self-signed", "other key"]
)
async def test_it_is_given_back_where_it_is_not(way: str) -> None:
    """RFC 8689 §4.2.1."""
    kind = way if way in ("expired", "wrong name", "self-signed") else "valid"
    context = None if way == "no starttls" else server_context(kind)  # type: ignore[arg-type]  # one of them
    keywords = () if way == "not offered" else OFFERED
    async with MailHost(context=context, keywords_in_tls=keywords).listening() as host:
        zone = tlsa(host.port, "00" * 32) if way == "other key" else ""
        world = World(host.port, zone, base=UNSIGNED if way == "nothing" else "$AD on\n" + UNSIGNED)
        outcome = await world.send(requiretls=True)
        status = "5.7.30" if way in ("nothing", "not offered") else "5.7.10"
        assert outcome.result == "failed" and str(outcome.reply).startswith(f"550 {status} REQUIRETLS: ")
        assert outcome.reply is not None and outcome.reply.cause == "requiretls"
        assert not host.taken and (host.connections == 0) == (way == "nothing")
        if way in (
            "not offered",
            "nothing",
        ):  # who asks for less gets it, over the same connection if there is one
            assert (await world.send()).result == "delivered"
        await world.relay.close()


@pytest.mark.parametrize("zone", ["$BOGUS example.com MX\n", "$TIMEOUT _PORT._tcp.mx.example.com TLSA\n"])
async def test_what_cannot_be_known_only_delays(zone: str) -> None:
    async with MailHost(context=server_context("valid"), keywords_in_tls=OFFERED).listening() as host:
        world = World(host.port, zone.replace("PORT", str(host.port)))
        assert (await world.send(requiretls=True)).result == "deferred" and not host.taken


@pytest.mark.parametrize("zone", [RECORD, "$SERVFAIL _mta-sts.example.com TXT\n"])
async def test_nor_does_a_policy_that_cannot_be_found_out_give_it_back(zone: str) -> None:
    async with MailHost(context=server_context("valid"), keywords_in_tls=OFFERED).listening() as host:
        world = World(host.port, zone, base=UNSIGNED)  # the policy host is unreachable, or the DNS silent
        outcome = await world.send(requiretls=True)
        assert outcome.result == "deferred" and "cannot be found out now" in str(outcome.reply)
        assert (
            await world.send()
        ).result == "delivered"  # without REQUIRETLS nothing is asked (RFC 8461 §3.3)
        world.hosts.texts["example.com"] = b"no policy"
        world.clock.advance(300)
        assert (await world.send(requiretls=True)).result == ("failed" if zone == RECORD else "deferred")
        await world.relay.close()


async def test_an_idle_session_that_proved_nothing_is_not_used() -> None:
    async with MailHost(context=server_context("valid"), keywords_in_tls=OFFERED).listening() as host:
        world = World(host.port)  # DNSSEC vouches for the name, nobody asked for a certificate
        assert (await world.send()).result == "delivered"
        assert (await world.send(requiretls=True)).result == "delivered" and host.connections == 2
        await world.relay.close()


@pytest.mark.parametrize(
    ("field", "is_taken"),
    [
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:no\r\n", True),
        (b"TLS-Required: Yes\r\n", False),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False),
        (b"X-TLS-Required: No\r\n", False),
        (b"", False),
    ],
)
@pytest.mark.parametrize("way", ["dane", "sts", "bogus", "other host"])
async def test_who_waives_it(way: str, field: bytes, is_taken: bool) -> None:
    """RFC 8689 §4.1: neither DANE nor MTA-STS keeps it back; TLS is used where it can be."""
    async with MailHost(context=server_context("self-signed")).listening() as host:
        zone = {
            "dane": tlsa(host.port, "00" * 32),
            "bogus": f"$BOGUS _{host.port}._tcp.mx.example.com TLSA\n",
        }
        world = World(host.port, zone.get(way, RECORD))
        world.hosts.texts["example.com"] = policy(
            "enforce", *(["other.example"] if way == "other host" else [])
        )
        outcome = await world.send(content=b"Subject: hi\r\n" + field + b"\r\nTLS-Required: No\r\n")
        assert (outcome.result == "delivered") == is_taken
        assert [one.tls for one in host.taken] == [True] * is_taken
        await world.relay.close()


async def test_what_was_waived_for_one_message_is_not_for_the_next() -> None:
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, tlsa(host.port, "00" * 32))
        assert (await world.send(content=WAIVING)).result == "delivered"
        assert (await world.send()).result == "deferred" and len(host.taken) == 1
        assert (await world.send(content=WAIVING)).result == "delivered"
        await world.relay.close()


async def test_requiretls_goes_before_the_field() -> None:
    """RFC 8689 §5."""
    async with MailHost(context=server_context("self-signed"), keywords_in_tls=OFFERED).listening() as host:
        world = World(host.port)
        assert (await world.send(content=WAIVING, requiretls=True)).result == "failed" and not host.taken
