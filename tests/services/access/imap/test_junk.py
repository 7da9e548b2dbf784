"""What the learners hear of when people move mail to and from Junk."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.learning import JudgedMessage
from sekisho.services import teaching
from sekisho.services.teaching import Teacher

LETTER = b"Subject: hello\r\n\r\nhello\r\n"


class Pupil:
    """Remembers what it heard: (account, is_junk, was_other, subject)."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bool, bool, bytes]] = []

    async def judged(self, message: JudgedMessage) -> None:
        octets = await message.octets.read(message.prefix_octets, 100)
        self.heard.append(
            (message.account_id, message.is_junk, message.was_other, octets.partition(b"\r\n")[0])
        )


class Troubled:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def judged(self, message: JudgedMessage) -> None:
        raise self.error


class School:
    def __init__(self, server: Any) -> None:
        self.server, self.pupil = server, Pupil()
        self.teacher: Teacher = server.teacher
        self.teacher.learners = (self.pupil,)
        self.alice = server.accounts["alice@example.test"].id
        self.task = asyncio.create_task(self.teacher.run())

    async def lessons(self) -> list[list[bool | bytes]]:
        """What was heard since the last call, all of it of alice."""
        await self.teacher.settle()
        heard, self.pupil.heard = self.pupil.heard, []
        assert {account for account, *_ in heard} <= {self.alice}
        return [rest for _, *rest in heard]  # type: ignore[misc]


@pytest.fixture
async def school(make_server: Callable[..., Awaitable[Any]]) -> AsyncIterator[School]:
    school = School(await make_server())
    yield school
    school.task.cancel()
    await asyncio.gather(school.task, return_exceptions=True)
    assert school.server.journal.faults == []


def letters(*subjects: str) -> list[bytes]:
    return [f"Subject: {subject}\r\n\r\nhello\r\n".encode() for subject in subjects]


async def test_into_junk_and_out_of_it(school: School) -> None:
    for letter in letters("a", "b", "c"):
        await school.server.append(letter)
    client = await school.server.connect().log_in()
    await client.ok("SELECT INBOX")
    await client.ok("MOVE 2 Junk")
    assert await school.lessons() == [[True, False, b"Subject: b"]]
    await client.ok("UID COPY 3 Junk")
    assert await school.lessons() == [[True, False, b"Subject: c"]]
    await client.ok("SELECT Junk")
    await client.ok("MOVE 1 INBOX")
    assert await school.lessons() == [[False, True, b"Subject: b"]]
    await client.ok("COPY 1 Archive")
    assert await school.lessons() == [[False, True, b"Subject: c"]]


async def test_junk_is_known_by_its_use_not_by_its_name(school: School) -> None:
    await school.server.append(LETTER)
    client = await school.server.connect().log_in()
    await client.ok("RENAME Junk Spam")
    await client.ok("CREATE Junk")
    await client.ok("SELECT INBOX")
    await client.ok("COPY 1 Junk")
    assert await school.lessons() == []
    await client.ok("MOVE 1 Spam")
    assert await school.lessons() == [[True, False, b"Subject: hello"]]


async def test_throwing_junk_away_does_not_clear_it(school: School) -> None:
    await school.server.append(LETTER, "Junk")
    client = await school.server.connect().log_in()
    await client.ok("SELECT Junk")
    await client.ok("MOVE 1 Trash")
    await client.ok("SELECT Trash")
    assert await school.lessons() == []
    await client.ok("COPY 1 Archive")
    assert await school.lessons() == []
    await client.ok("MOVE 1 Junk")
    assert await school.lessons() == [[True, False, b"Subject: hello"]]


async def test_other_moves_and_copies_within_junk_judge_nothing(school: School) -> None:
    await school.server.append(LETTER)
    await school.server.append(LETTER, "Junk")
    client = await school.server.connect().log_in()
    await client.ok("SELECT INBOX")
    await client.ok("COPY 1 Archive")
    await client.ok("MOVE 1 Trash")
    await client.ok("SELECT Junk")
    await client.ok("COPY 1 Junk")
    assert await school.lessons() == []


async def test_a_message_counts_once_per_direction(school: School) -> None:
    await school.server.append(LETTER)
    client = await school.server.connect().log_in()
    heard = []
    for _ in range(3):
        await client.ok("SELECT INBOX")
        await client.ok("MOVE 1 Junk")
        await client.ok("SELECT Junk")
        await client.ok("STORE 1 +FLAGS ($NotJunk)")
        await client.ok("MOVE 1 INBOX")
        heard += await school.lessons()
    assert heard == [[True, False, b"Subject: hello"], [False, True, b"Subject: hello"]]


async def test_append_into_junk(school: School) -> None:
    client = await school.server.connect().log_in()
    for number, mailbox in enumerate((b"Junk", b"INBOX")):
        client.send(b"a%d APPEND %s {%d+}\r\n%s\r\n" % (number, mailbox, len(LETTER), LETTER))
        assert (await client.answers(b"a%d" % number))[-1].startswith(b"OK")
    assert await school.lessons() == [[True, False, b"Subject: hello"]]


@pytest.mark.parametrize(("keyword", "is_junk"), [("$Junk", True), ("$NOTJUNK", False)])
async def test_keywords(school: School, keyword: str, is_junk: bool) -> None:
    for letter in letters("a", "b", "c", "d"):
        await school.server.append(letter)
    client = await school.server.connect().log_in()
    await client.ok("SELECT INBOX")
    await client.ok(f"STORE 1 +FLAGS ({keyword})")
    assert await school.lessons() == [[is_junk, False, b"Subject: a"]]
    await client.ok(f"STORE 1:2 FLAGS (\\Seen {keyword.lower()})")
    assert await school.lessons() == [[is_junk, False, b"Subject: b"]]
    await client.ok(f"STORE 1:2 -FLAGS ({keyword})")
    await client.ok("STORE 1:2 +FLAGS (\\Flagged $Forwarded)")
    await client.ok("STORE 1:2 +FLAGS ($Junk $NotJunk)")
    await client.ok(f"STORE 3 +FLAGS ({keyword} \\Seen)")
    assert await school.lessons() == [[is_junk, False, b"Subject: c"]]


async def test_replacing_flags_that_keep_the_keyword_judges_nothing(school: School) -> None:
    """A message that the door put into Junk has $Junk already."""
    await school.server.append(LETTER, "Junk", keywords=("$Junk",))
    client = await school.server.connect().log_in()
    await client.ok("SELECT Junk")
    await client.ok("STORE 1 FLAGS (\\Seen $Junk)")
    assert await school.lessons() == []


async def test_trouble_of_learners_reaches_nobody(school: School) -> None:
    school.teacher.learners = (Troubled(ValueError("mine")), Troubled(StoreUnavailable("full")), school.pupil)
    await school.server.append(LETTER)
    await school.server.append(LETTER)
    client = await school.server.connect().log_in()
    await client.ok("SELECT INBOX")
    await client.ok("MOVE 1 Junk")
    await client.ok("MOVE 1 Junk")
    assert len(await school.lessons()) == 2
    assert [(where, str(error)) for where, error in school.server.journal.faults] == [
        ("learning", "mine")
    ] * 2
    school.server.journal.faults.clear()
    assert school.server.metrics.values["sekisho_judgements_lost_total", ()] == 2
    assert school.server.metrics.values["sekisho_judgements_total", (("judged", "junk"),)] == 2


async def test_what_is_gone_meanwhile_teaches_nothing(school: School) -> None:
    await school.server.append(LETTER)
    school.teacher.moved(school.alice, None, "Junk", UidSet.of([7]))
    school.teacher.moved(school.alice, None, "Nowhere", UidSet.of([1]))
    assert await school.lessons() == []
    assert school.server.metrics.values["sekisho_judgements_lost_total", ()] == 1


async def test_a_flood_is_bounded(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "MOST_PER_COMMAND", 2)
    for letter in letters("a", "b", "c"):
        await school.server.append(letter)
    client = await school.server.connect().log_in()
    await client.ok("SELECT INBOX")
    await client.ok("MOVE 1:* Junk")
    assert [subject for *_, subject in await school.lessons()] == [b"Subject: b", b"Subject: c"]
    for _ in range(teaching.MOST_WAITING + 5):
        school.teacher.moved(school.alice, None, "INBOX", UidSet.of([1]))
    assert school.server.metrics.values["sekisho_judgements_lost_total", ()] == 5
    assert await school.lessons() == []
