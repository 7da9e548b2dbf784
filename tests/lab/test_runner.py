"""The runner against a scripted server: tries and their times, threads of acts, what is asked of the queue.
No real server here."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sekisho.lab import explaining
from sekisho.lab.outcomes import SECOND_US, Book
from sekisho.lab.reader import parse_scene
from sekisho.lab.runner import Runner
from sekisho.lab.script import write_script
from sekisho.lab.sink import Sink
from sekisho.lab.stage import Stage, merged
from sekisho.lab.wire import Door
from sekisho.lab.world import build_world
from sekisho.ports.lab import RehearsalFailed

SCENE = """
format = 1
title = "x"

[[actor]]
name = "shop"
address = "127.0.0.77"
domain = "shop.example"
retries = ["5m", "1h"]

[[actor]]
name = "bot"
side = "attack"
address = "127.0.0.78"
domain = "bot.example"

[[step]]
actor = "shop"
to = "friend@outside.example"

[[step]]
actor = "bot"
to = ["a@outside.example", "b@outside.example"]

[[step]]
name = "later"
at = "2d"
do = "wait"
"""


@pytest.fixture(autouse=True)
def quick_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "SETTLED_SECONDS", 0.0)


class ScriptedServer:
    """Greets, takes commands, answers RCPT as `rcpt` says; writes down who asked when."""

    ca_file = journal_file = Path("/nonexistent")

    def __init__(self) -> None:
        self.ports: Mapping[str, int] = {}
        self.offsets: list[int] = []
        self.clients: list[str] = []
        self.queue: list[list[dict[str, Any]]] = []
        self.rcpt: Callable[[str], bytes] = lambda line: b"250 2.1.5 ok"

    def move_clock(self, offset_us: int) -> None:
        self.offsets.append(offset_us)

    async def ask(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        if operation == "ledger.why":
            fields = {"rule": "greylist", "because": "", "spf": "pass"}
            story = {"why": {"text": "It waits, {x}.", "values": {"x": 7}}, "entries": [{"fields": fields}]}
            return {"stories": [story] if arguments["subject"] == "m1" else []}
        assert (operation, arguments) == ("queue.show", {"message_id": "m1"})
        found = self.queue.pop(0) if len(self.queue) > 1 else self.queue[0]
        if not found:
            raise RehearsalFailed("There is no message m1.")
        return found[0]

    async def command(self, arguments: Sequence[str], stdin: str = "") -> tuple[int, str]:
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer.get_extra_info("peername")[0])
        writer.write(b"220 mx.club.example\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 2.0.0 Accepted as m1\r\n")
            elif line.startswith(b"RCPT"):
                writer.write(self.rcpt(line.decode()) + b"\r\n")
            else:
                writer.write(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def the_stage(server: ScriptedServer) -> AsyncIterator[tuple[Stage, Book]]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.ports = {"smtp": listening.sockets[0].getsockname()[1]}
    scene = parse_scene(SCENE)
    script = write_script(scene, 1)
    sink = Sink(now_us=lambda: 0)
    await sink.start("127.0.0.1")
    door = Door("127.0.0.1", "127.0.0.2", ssl.create_default_context(), "mx.club.example")
    script.acts[:] = [act for act in script.acts if act.address is None or act.address.is_loopback]
    try:
        yield (
            Stage(
                scene=scene,
                script=script,
                server=server,
                world=build_world(scene, script, script.acts[0].address),
                sink=sink,
                door=door,
                offset_us=0,
            ),
            Book(scene, "en"),
        )  # type: ignore[arg-type]
    finally:
        listening.close()
        await sink.stop()


async def test_who_is_told_to_wait_comes_again_when_it_said() -> None:
    server = ScriptedServer()
    answers = {
        "friend": [b"450 4.7.1 later", b"450 4.7.1 later", b"550 5.7.1 no"],
        "a@": [b"450 4.7.1 later"],
        "b@": [b"550 5.1.1 no"],
    }
    server.rcpt = lambda line: next(replies.pop(0) for name, replies in answers.items() if name in line)
    async with the_stage(server) as (stage, book):
        await Runner(stage, book, 1, lambda case: None).run()
    friend, first, second = book.cases
    assert (friend.outcome, friend.tries, friend.reply and friend.reply.code) == ("refused", 3, 550)
    assert (first.outcome, first.tries, second.outcome) == ("deferred", 1, "refused")
    assert server.clients == ["127.0.0.77", "127.0.0.78", "127.0.0.77", "127.0.0.77"]
    steps = [
        (after - before) / SECOND_US
        for before, after in zip([0, *server.offsets], server.offsets, strict=False)
    ]
    assert 295 <= steps[0] <= 330 and 3595 <= steps[1] <= 3960  # 5 m and 1 h, each up to a tenth later
    assert (
        server.offsets[-1] / SECOND_US == 2 * 86_400 or abs(server.offsets[-1] / SECOND_US - 2 * 86_400) < 60
    )


async def test_what_was_taken_is_followed_through_the_queue() -> None:
    """friend@ waits, is held, and then is nowhere: lost."""
    server = ScriptedServer()
    server.rcpt = lambda line: b"250 ok" if "friend" in line else b"550 5.1.1 no"
    async with the_stage(server) as (stage, book):
        due = stage.now_us() + 3600 * SECOND_US

        def row(state: str) -> list[dict[str, Any]]:
            recipient = {
                "address": "friend@outside.example",
                "state": state,
                "due_at_us": due,
                "next_hop": "outside.example",
            }
            return [{"message_id": "m1", "recipients": [recipient]}]

        server.queue = [row("claimed"), row("waiting"), row("held"), []]
        heard: list[str] = []
        runner = Runner(stage, book, 1, lambda case: heard.append(case.outcome))
        await runner.run()
        assert (book.cases[0].outcome, book.cases[0].was_held) == ("held", True)
        assert any(
            3590 < offset / SECOND_US < 3610 for offset in server.offsets
        )  # it went to look when the message was due
    assert heard[0] == "waiting" and heard[-1] == "held" and heard.count("refused") == 2
    friend = book.fate(book.cases[0])
    assert (friend.rule, friend.authentication_results, str(friend.why)) == (
        "greylist",
        "spf=pass",
        "It waits, 7.",
    )


async def test_a_refusal_that_cannot_be_explained_is_a_fault() -> None:
    server = ScriptedServer()
    server.rcpt = lambda line: b"550 5.7.1 no (id nobody-1)"
    async with the_stage(server) as (stage, book):
        await Runner(stage, book, 1, lambda case: None).run()
    assert [str(book.fate(case).problem) for case in book.cases] == [
        "`sekisho why` knows nothing about nobody-1."
    ] * 3


def test_tables_are_merged_and_the_rest_replaced() -> None:
    assert merged({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "e": 2}) == {
        "a": {"b": 1, "c": [2]},
        "d": 1,
        "e": 2,
    }
