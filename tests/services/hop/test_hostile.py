"""Next hops that lie, babble and cheat: nothing is lost, nothing goes out with less than was demanded, and
it ends."""

import pytest
from tests.services.hop.certificates import chain, digest, server_context
from tests.services.hop.mailhost import MailHost
from tests.services.hop.world import RECORD, World, policy

INJECTED = b"220 go\r\n250-mx\r\n250-REQUIRETLS\r\n250 HELP\r\n"


def demanding(way: str, port: int) -> str:
    name = f"_{port}._tcp.mx.example.com"
    return (
        RECORD
        if way == "sts"
        else f"{name} TLSA 3 1 1 {digest(chain('valid')[0][0])}\n"
        if way == "dane"
        else ""
    )


@pytest.mark.parametrize("way", ["dane", "sts", "nothing"])
@pytest.mark.parametrize(
    "lie",
    [
        {"greeting": b"220-mx\r\n220-STARTTLS\r\n250 no\r\n"},
        {"greeting": b"220 mx\n"},
        {"greeting": b"220 " + b"x" * 10_000 + b"\r\n"},
        {"greeting": b"\x16\x03\x01\x00\x05hello"},
        {"greeting": b"SSH-2.0-OpenSSH_9.2\r\n"},
        {"endless": b"220-mx\r\n"},
        {"endless": b"x"},
        {"hello": b"250-mx\r\n" * 1000},
        {"hello": b"250-STARTTLS\r\n" * 200 + b"250 x\r\n"},
        {"go": INJECTED},
        {"go": b"220 go\r\n220 go\r\n"},
        {"go": b"220-go\r\n220 go\r\n\x00"},
        {"go": b"354 go\r\n"},
        {"go": b""},
    ],
    ids=lambda lie: str(next(iter(lie.items())))[:40],
)
async def test_a_liar(way: str, lie: dict[str, bytes]) -> None:
    async with MailHost(context=server_context("valid"), **lie).listening() as host:  # type: ignore[arg-type]
        quick = {"greeting_timeout_seconds": 0.3, "command_timeout_seconds": 0.3}
        world = World(host.port, demanding(way, host.port), **quick)
        world.hosts.texts["example.com"] = policy("enforce")
        outcome = await world.send()
        assert outcome.result == "deferred" and not host.taken and not world.journal.faults
        assert not any(command.startswith(("MAIL", "RCPT")) for command in host.commands)
        await world.relay.close()


@pytest.mark.parametrize("way", ["dane", "sts"])
async def test_tls_promised_in_the_greeting_counts_only_in_ehlo(way: str) -> None:
    """STARTTLS stripped from EHLO: the host waits for better days."""
    stripped = (
        b"250-mx\r\n250-8BITMIME\r\n250 XSTARTTLS\r\n",
        b"250 mx\r\n",
        b"250-mx STARTTLS\r\n250 HELP\r\n",
    )
    for hello in stripped:
        async with MailHost(context=server_context("valid"), hello=hello).listening() as host:
            world = World(host.port, demanding(way, host.port))
            world.hosts.texts["example.com"] = policy("enforce")
            outcome = await world.send()
            assert outcome.result == "deferred" and not host.taken
            await world.relay.close()


async def test_starttls_offered_again_inside_tls_is_no_matter() -> None:
    async with MailHost(context=server_context("valid"), keywords_in_tls=("STARTTLS",)).listening() as host:
        world = World(host.port, demanding("dane", host.port))
        assert (await world.send()).result == "delivered" and host.taken[0].tls
        await world.relay.close()


async def test_what_was_said_before_the_handshake_is_forgotten() -> None:
    """RFC 3207 §4.2: 8BITMIME from before counts for nothing inside."""
    async with MailHost(context=server_context("valid"), keywords=("8BITMIME",)).listening() as host:
        world = World(host.port, demanding("dane", host.port))
        outcome = await world.send(content="Subject: é\r\n\r\né\r\n".encode())
        assert outcome.result == "delivered"  # it is offered inside too
        await world.relay.close()


@pytest.mark.parametrize("records", [100, 1000])
async def test_very_many_tlsa_records(records: int) -> None:
    async with MailHost(context=server_context("valid")).listening() as host:
        zone = "".join(
            f"_{host.port}._tcp.mx.example.com TLSA 3 1 1 {number:064x}\n" for number in range(records)
        )
        world = World(host.port, zone)
        assert (await world.send()).result == "deferred" and not host.taken
        await world.relay.close()
