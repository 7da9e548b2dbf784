"""Hosts that once had TLS: a stripped STARTTLS is noticed, waited for, and in the end told."""

import pytest
from tests.services.hop.certificates import server_context
from tests.services.hop.mailhost import MailHost
from tests.services.hop.world import World

DAY = 86_400
WAIVING = b"Subject: hi\r\nTLS-Required: No\r\n\r\nhi\r\n"


async def learned(world: World, host: MailHost) -> None:
    """The host is seen with TLS, then stripped of it."""
    assert (await world.send()).result == "delivered" and host.taken.pop().tls
    await world.relay.close()
    host.context = None


@pytest.mark.parametrize("mode", ["enforce", "observe", "off"])
async def test_a_host_without_the_tls_it_had(mode: str) -> None:
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, tls={"known_hosts": mode})
        await learned(world, host)
        world = world.anew()
        outcome = await world.send(arrived_at_us=world.clock.now_us())
        assert [one.tls for one in host.taken] == ([] if mode == "enforce" else [False])
        assert ("relay.tls_lapsed" in world.journal.kinds()) == (mode != "off")
        if mode == "enforce":
            assert outcome.result == "deferred" and outcome.reply is not None
            assert outcome.reply.cause == "known-tls" and "it had TLS until 20" in outcome.reply.text
        await world.relay.close()


@pytest.mark.parametrize("go", [b"454 4.7.0 not now\r\n", b"220 go\r\nplaintext\r\n", b"250 ok\r\n"])
async def test_nor_one_whose_handshake_is_broken(go: bytes) -> None:
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, tls={"known_hosts": "enforce"})
        await learned(world, host)
        host.context, host.go = server_context("valid"), go
        outcome = await world.anew().send(arrived_at_us=world.clock.now_us())
        assert outcome.result == "deferred" and not host.taken


async def test_after_a_day_the_sender_is_told() -> None:
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, tls={"known_hosts": "enforce"})
        await learned(world, host)
        world = world.anew()
        arrived_at_us = world.clock.now_us()
        world.clock.advance(DAY - 1)
        assert (await world.send(arrived_at_us=arrived_at_us)).result == "deferred"
        world.clock.advance(1)
        outcome = await world.send(arrived_at_us=arrived_at_us)
        assert outcome.result == "failed" and str(outcome.reply).startswith("550 5.7.5 ")
        assert (
            await world.send(arrived_at_us=world.clock.now_us())
        ).result == "deferred"  # each waits its day


async def test_a_host_that_is_away_is_only_away() -> None:
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, tls={"known_hosts": "enforce"})
        await learned(world, host)
    world = world.anew()
    world.clock.advance(2 * DAY)
    outcome = await world.send(arrived_at_us=0)
    assert outcome.result == "deferred" and str(outcome.reply).startswith("451 4.4.1 ")


async def test_after_thirty_days_it_is_forgotten_and_who_waives_need_not_wait() -> None:
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, tls={"known_hosts": "enforce"})
        await learned(world, host)
        world = world.anew()
        assert (await world.send(content=WAIVING)).result == "delivered" and len(host.taken) == 1
        await world.relay.close()
        world.clock.advance(30 * DAY)
        assert (await world.anew().send()).result == "delivered" and len(host.taken) == 2
