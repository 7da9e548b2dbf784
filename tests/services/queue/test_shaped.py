"""The queue with the shaped courier: a whole provider waits, others do not; who waits long is told when."""

from tests.services.queue.test_queue import World

from sekisho.core.terms.reply import Reply
from sekisho.services.shaping.courier import ShapedCourier
from sekisho.services.shaping.surroundings import ShapingMemory, ShapingPorts, ShapingRules
from sekisho.testing.zones import ZoneResolver

ZONE = """
there.example.   MX 5 aspmx.l.google.com.
club.example.    MX 5 aspmx.l.google.com.
other.example.   MX 5 mx.other.example.
"""
RATE = (Reply.of(421, "4.7.28", "unusual rate of mail", cause="answered"), "deferred")


async def shaped(warmup: str) -> World:
    world = World()
    world.courier.remote = "aspmx.l.google.com [192.0.2.1]"
    ports = ShapingPorts(
        shapes=world.store.shapes,
        resolver=ZoneResolver(ZONE),
        clock=world.clock,
        journal=world.journal,
        metrics=world.metrics,
    )
    rules = ShapingRules(enabled=True, warmup=warmup, source="", routes={}, workers=1, connections=5)
    courier = ShapedCourier(world.courier, rules, ports, ShapingMemory())
    queue_ports = world.queue._ports
    object.__setattr__(queue_ports, "courier", courier)
    await world.start()
    return world


async def settled(world: World, kind: str, count: int = 1) -> None:
    await world.until(lambda: world.journal.kinds().count(kind) >= count and not world.queue._tasks)


async def test_a_complaint_keeps_the_provider_waiting_and_nobody_else() -> None:
    world = await shaped("off")
    world.courier.says["bob@there.example"] = RATE
    await world.put()
    await settled(world, "shaping.slowed")
    for number in range(50):
        await world.put(f"r{number}@club.example")
    await settled(world, "shaping.waits", 50)
    assert len(world.courier.carried) == 1
    waiting = await world.store.spool.queue()
    due = sorted(
        row.due_at_us - world.clock.now_us() for message in waiting[1:] for row in message.recipients
    )
    assert [row.attempts for message in waiting[1:] for row in message.recipients] == [0] * 50
    assert due[0] >= 899_000_000 and due[-1] - due[0] >= 49 * 3_000_000  # one by one, later
    await world.put("c@other.example")
    await world.settled(2)
    assert world.courier.carried[-1].next_hop == "other.example"
    await world.stop()


async def test_a_newsletter_on_a_cold_address_is_told_when_it_is_through() -> None:
    world = await shaped("on")
    await world.put(*(f"r{number}@there.example" for number in range(300)))
    await settled(world, "shaping.waits")
    assert sum(len(job.recipients) for job in world.courier.carried) == 20
    await world.put("friend@club.example")
    await world.settled(2)
    (notice,) = await world.inbox()
    text = notice.get_payload()[0].get_payload()
    assert notice["Subject"] == "Your message is delayed"
    assert "through about" in text and "need not send it again" in text and "Google" in text
    hours = 0
    while await world.store.spool.queue():
        hours += 1
        before = len(world.journal.kinds()) + len(world.courier.carried)
        world.clock.advance(3600)
        due_at_us = await world.store.spool.next_due_at_us()
        if due_at_us is None or due_at_us > world.clock.now_us():
            continue  # the budget of the day is used
        world.queue._wake.set()
        await world.until(
            lambda before=before: len(world.journal.kinds()) + len(world.courier.carried) > before
        )
        await world.until(lambda: not world.queue._tasks)
    carried = [str(row.recipient.address) for job in world.courier.carried for row in job.recipients]
    assert len(carried) == len(set(carried)) == 301 and hours < 48
    assert len(await world.inbox()) == 1
    await world.stop()
