"""What a client must do to keep its place: a step that counts, once; and who is no stranger."""

from collections.abc import Sequence

import pytest
from tests.services.reception.test_watch import Watched
from tests.services.smtp_world import World, codes, talk

from sekisho.core.policy.reputation import of_event
from sekisho.core.terms.base64 import encode_base64
from sekisho.ports.reputation import Known
from sekisho.ports.stream import Place
from sekisho.services.smtp.headway import MOST_RECIPIENTS, OCTETS_PER_STEP
from sekisho.testing.stream import MemoryStream

HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\n"
USER = b"RCPT TO:<user@local.example>\r\n"
DATA = b"DATA\r\n"
MESSAGE = b"From: a@b.example\r\n\r\nhi\r\n.\r\n"


class Recorded(Place):
    __slots__ = ("excused", "known", "steps", "vouched")

    def __init__(self, client: MemoryStream) -> None:
        self.steps, self.vouched, self.known, self.excused = 0, False, False, 0.0
        client.other.place = self

    def moved(self) -> None:
        self.steps += 1

    def excuse(self, seconds: float) -> None:
        self.excused += seconds

    def vouch(self) -> None:
        self.vouched = True

    def know(self) -> None:
        self.known = True


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        ([b""], 0),
        ([b"", b"NOOP\r\n", b"RSET\r\n", b"HELP\r\n", b"VRFY user\r\n"], 0),
        ([b"", HELLO], 1),
        ([b"", HELLO, HELLO, b"HELO again\r\n", b"NOOP\r\n"], 1),
        ([b"", HELLO, MAIL], 2),
        ([b"", HELLO, MAIL, b"RSET\r\n", MAIL, b"RSET\r\n", MAIL, HELLO], 2),
        ([b"", HELLO, MAIL, b"RCPT TO:<nobody@local.example>\r\n", b"RCPT TO:<x@elsewhere.example>\r\n"], 2),
        ([b"", HELLO, MAIL, USER], 3),
        ([b"", HELLO, MAIL, *[USER] * (MOST_RECIPIENTS + 20)], 2 + MOST_RECIPIENTS),
        ([b"", HELLO, MAIL, USER, DATA], 4),
        ([b"", HELLO, MAIL, USER, DATA, MESSAGE], 5),
        ([b"", HELLO, MAIL, USER, DATA, MESSAGE, MAIL, USER, DATA, MESSAGE], 9),
        ([b"", HELLO, MAIL, b"BDAT 4\r\nabcd"], 2),
    ],
)
async def test_steps(said: Sequence[bytes], steps: int) -> None:
    client = (await World().fill()).connect()
    place = Recorded(client)
    await talk(client, *said)
    assert place.steps == steps and not place.vouched


async def test_content_counts_by_its_size() -> None:
    client = (await World().fill()).connect()
    place = Recorded(client)
    await talk(client, b"", HELLO, MAIL, USER, DATA)
    await talk(client, b"From: a@b.example\r\n\r\n" + b"x" * 900 + b"\r\n" + MESSAGE[-5:])
    assert place.steps == 5
    await talk(
        client, MAIL, USER, DATA, b"From: a@b.example\r\n\r\n" + (b"x" * 900 + b"\r\n") * 10 + MESSAGE[-5:]
    )
    assert place.steps >= 9 and OCTETS_PER_STEP == 1024


async def test_our_own_work_is_not_the_clients_silence() -> None:
    world = await World().fill()
    client = world.connect()
    place = Recorded(client)
    has_room = world.store.spool.has_room

    async def slowly() -> bool:
        world.clock.advance(30)
        return await has_room()

    world.store.spool.has_room = slowly  # type: ignore[method-assign]
    await talk(client, b"", HELLO, MAIL)
    assert place.excused == pytest.approx(30, abs=1)


async def test_who_logs_in_is_no_stranger() -> None:
    client = (await World().fill()).connect("submissions")
    place = Recorded(client)
    wrong, right = (encode_base64(b"\0user@local.example\0" + word) for word in (b"wrong", b"secret"))
    assert codes(await talk(client, b"", HELLO, b"AUTH PLAIN " + wrong + b"\r\n"))[-1] == 535
    assert not place.vouched
    assert codes(await talk(client, b"AUTH PLAIN " + right + b"\r\n"))[-1] == 235
    assert place.vouched


async def test_who_is_known_for_good_mail_weighs_little() -> None:
    watched = await Watched().fill()
    watched.reputation.learn(
        [Known("client:192.0.2.7", of_event("accepted", watched.world.clock.now_us())) for _ in range(30)]
    )
    places = []
    for address in ("192.0.2.7", "198.51.100.7"):
        client = watched.world.connect(address=address)
        places.append(Recorded(client))
        await talk(client, b"")
    assert [place.known for place in places] == [True, False] and not any(place.vouched for place in places)
