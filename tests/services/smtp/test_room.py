"""That there is room on the disk is believed for a moment and so much mail; that there is none, never."""

from tests.services.smtp_world import World, codes, talk

from sekisho.services.smtp.transaction import ROOM_OCTETS, ROOM_SECONDS, Acceptances

HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\n"


def acceptances(world: World) -> Acceptances:
    return world.reception()._service.acceptances


async def test_it_is_looked_at_anew_after_a_moment() -> None:
    world = await World().fill()
    asked = acceptances(world)
    assert await asked.no_room() is None
    world.store.fill_up()
    assert await asked.no_room() is None
    world.clock.advance(ROOM_SECONDS)
    assert await asked.no_room() is not None
    world.store.fill_up(False)
    assert await asked.no_room() is None  # at once


async def test_much_mail_makes_it_look_the_sooner() -> None:
    world = await World().fill()
    one = world.reception()
    world.reception = lambda: one  # type: ignore[method-assign]
    client = world.connect()
    await talk(client, b"", HELLO, MAIL, b"RCPT TO:<user@local.example>\r\n", b"DATA\r\n")
    body = b"From: a@b.example\r\n\r\n" + (b"x" * 998 + b"\r\n") * (ROOM_OCTETS // 1000 + 1)
    assert codes(await talk(client, body + b".\r\n")) == [250]
    world.store.fill_up()
    assert codes(await talk(client, MAIL)) == [452]
