"""Servers that answer what nobody has asked yet, over real sockets: whatever they say, the message was not
delivered by it."""

import asyncio
import re
from dataclasses import dataclass

import pytest
from tests.services.relay.jobs import Octets, job

from sekisho.adapters.net.dialer import AsyncioDialer
from sekisho.adapters.net.tls import ClientContexts
from sekisho.config.schema import RelaySettings
from sekisho.ports.spool import Outcome
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.zones import ZoneResolver

SMALL = b"Subject: hi\r\n\r\nx\r\n"
LARGE = b"Subject: hi\r\n\r\n" + b"a line of a message that takes several reads\r\n" * 10_000
APART_TURNS = 12  # of the loop between two segments: the client has read the first before the second is sent

# What a server says, by the command that it answers; the pipelined three come in one write of ours.
PIPELINED = {
    "greeting": b"220 x\r\n",
    "EHLO": b"250-x\r\n250 PIPELINING\r\n",
    "DATA": b"250 m\r\n250 r\r\n354 go\r\n",
    "end": b"250 2.0.0 got it\r\n",
}
ONE_BY_ONE = {
    "greeting": b"220 x\r\n",
    "EHLO": b"250 x\r\n",
    "MAIL": b"250 m\r\n",
    "RCPT": b"250 r\r\n",
    "DATA": b"354 go\r\n",
    "end": b"250 2.0.0 got it\r\n",
}
HELO = {"greeting": b"220 x\r\n", "EHLO": b"500 what\r\n", "HELO": b"250 x\r\n", "MAIL": b"250 m\r\n"}
NOBODY = {
    "greeting": b"220 x\r\n",
    "EHLO": b"250-x\r\n250 PIPELINING\r\n",
    "DATA": b"250 m\r\n450 4.2.1 no\r\n354 go\r\n",
    "end": b"250 2.0.0 got it\r\n",
}
TLS = {"greeting": b"220 x\r\n", "EHLO": b"250-x\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n"}


@dataclass
class Hostile:
    """Says `script` in order, each after its command; where `at` is its turn, says `glued` too, cut at `cut`,
    and nothing more."""

    script: dict[str, bytes]
    at: str = ""
    glued: bytes = b""
    cut: int = 0
    heard: bytes = b""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for event, reply in self.script.items():
                if event != "greeting" and not await self._hear(reader, event):
                    return
                if event != self.at:
                    writer.write(reply)
                    continue
                octets = reply + self.glued
                writer.write(octets[: self.cut])
                if self.cut != len(
                    reply
                ):  # else nobody could tell that the second did not wait for its command
                    for _ in range(APART_TURNS):
                        await asyncio.sleep(0)
                writer.write(octets[self.cut :])
                break
            while octets := await reader.read(65536):
                self.heard += octets
                if octets == b"QUIT\r\n":
                    break
        except OSError:
            pass
        finally:
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader, event: str) -> bool:
        end = re.compile(
            rb"(^|\r\n)\.\r\n$" if event == "end" else rb"(^|\r\n)%b[^\r\n]*\r\n$" % event.encode()
        )
        got = b""
        while not end.search(got):
            octets = await reader.read(65536)
            if not octets:
                return False
            got += octets
            self.heard += octets
        return True


async def attempt(server: Hostile, content: bytes = SMALL) -> tuple[Outcome, MemoryJournal]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    zone = "example.com MX 10 mx.example.com\nmx.example.com A 127.0.0.1"
    journal = MemoryJournal()
    ports = RelayPorts(
        resolver=ZoneResolver(zone),
        dialer=AsyncioDialer(ClientContexts()),
        clock=ManualClock(),
        dice=SeededDice(),
        journal=journal,
        metrics=MemoryMetrics(),
    )
    relay = Relay("mail.sender.example", RelaySettings(port=port), ports)
    (outcome,) = await relay.carry(job("bob@example.com"), Octets(content))
    await relay.close()
    listening.close()
    return outcome, journal


def cuts(reply: bytes, glued: bytes) -> range:
    return range(1, len(reply + glued) + 1)


@pytest.mark.parametrize(
    ("script", "at", "glued"),
    [
        (PIPELINED, "greeting", b"250-x\r\n250 PIPELINING\r\n"),
        (PIPELINED, "EHLO", b"250 m\r\n250 r\r\n354 go\r\n250 2.0.0 got it\r\n"),
        (PIPELINED, "DATA", b"250 2.0.0 got it\r\n"),
        (PIPELINED, "DATA", b"354 go\r\n"),
        (ONE_BY_ONE, "EHLO", b"250 m\r\n"),
        (ONE_BY_ONE, "MAIL", b"250 r\r\n"),
        (ONE_BY_ONE, "RCPT", b"354 go\r\n"),
        (ONE_BY_ONE, "DATA", b"250 2.0.0 got it\r\n"),
        (HELO, "EHLO", b"250 x\r\n"),
        (HELO, "HELO", b"250 m\r\n"),
        (NOBODY, "DATA", b"250 2.0.0 got it\r\n"),
        (TLS, "EHLO", b"220 go\r\n"),
        (TLS, "STARTTLS", b"250 x\r\n"),
    ],
)
async def test_an_answer_before_its_question_is_no_answer(
    script: dict[str, bytes], at: str, glued: bytes
) -> None:
    told = ("a reply before a command", "sent octets before", "followed the 220", "450 4.2.1 no")
    for cut in cuts(script[at], glued):
        server = Hostile(script, at, glued, cut)
        outcome, journal = await attempt(server)
        assert outcome.result == "deferred", cut
        assert b"\r\n.\r\n" not in b"\r\n" + server.heard, cut
        assert any(words in str(outcome.reply) for words in told), (cut, outcome.reply)
        assert not any(entry.fields.get("may_be_duplicate") for entry in journal.entries)


async def test_the_words_of_who_spoke_too_early_are_told() -> None:
    outcome, _ = await attempt(Hostile(PIPELINED, "DATA", b"250 2.0.0 got it\r\n", 5))
    wanted = (
        "451 4.4.2 The session with mx.example.com [127.0.0.1] ended early: the server sent a reply "
        "before a command: 250 2.0.0 got it"
    )
    assert str(outcome.reply) == wanted


@pytest.mark.parametrize("content", [SMALL, LARGE])
async def test_early_success_of_a_long_message_counts_for_nothing(content: bytes) -> None:
    server = Hostile(PIPELINED, "DATA", b"250 2.0.0 got it\r\n", 30)
    outcome, _ = await attempt(server, content)
    assert outcome.result == "deferred" and b"\r\n.\r\n" not in server.heard


@pytest.mark.parametrize(
    ("early", "result"),
    [
        (b"552 5.3.4 too large\r\n", "failed"),
        (b"451 4.3.1 not now\r\n", "deferred"),
        (b"421 4.3.2 bye\r\n", "deferred"),
    ],
)
async def test_who_refuses_before_the_end_is_heard(early: bytes, result: str) -> None:
    """RFC 5321 has no such refusal, but servers in trouble give it: it is a failure in their words, whole or
    in pieces."""
    for cut in cuts(PIPELINED["DATA"], early):
        server = Hostile(PIPELINED, "DATA", early, cut)
        outcome, _ = await attempt(server)
        assert (outcome.result, str(outcome.reply)) == (result, early.decode().rstrip()), cut
        assert b"\r\n.\r\n" not in server.heard


class Honest(Hostile):
    """Cuts one reply in two, and goes on."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for event, reply in self.script.items():
            if event != "greeting" and not await self._hear(reader, event):
                break
            cut = self.cut if event == self.at else len(reply)
            writer.write(reply[:cut])
            for _ in range(APART_TURNS):
                await asyncio.sleep(0)
            writer.write(reply[cut:])
        writer.close()


async def test_replies_of_what_was_asked_may_come_together() -> None:
    for cut in range(1, len(PIPELINED["DATA"])):
        outcome, _ = await attempt(Honest(PIPELINED, "DATA", cut=cut))
        assert str(outcome.reply) == "250 2.0.0 got it", cut


@pytest.mark.parametrize("answer", [b"221 2.0.0 bye\r\n", b"250 2.0.0 ok\r\n", b"200 x\r\n"])
async def test_only_220_begins_tls(answer: bytes) -> None:
    """What is neither 220 nor a refusal leaves it open what the server waits for: once more, without TLS, and
    the words are kept."""

    class Confused(Hostile):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self.connections:
                self.script = PIPELINED
            await super().serve(reader, writer)

    server = Confused({**TLS, "STARTTLS": answer})
    outcome, journal = await attempt(server)
    (failed,) = [entry for entry in journal.entries if entry.kind == "relay.tls_failed"]
    assert outcome.result == "delivered" and server.connections == 2 and b"\x16\x03" not in server.heard
    assert str(failed.fields["error"]).endswith(f"answered STARTTLS with: {answer.decode().rstrip()}")


async def test_a_refused_starttls_is_told_with_what_followed() -> None:
    class Sulking(Hostile):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for event, reply in self.script.items():
                if event != "greeting":
                    await self._hear(reader, event)
                writer.write(reply)
            writer.close()

    outcome, journal = await attempt(Sulking({**TLS, "STARTTLS": b"454 4.7.0 no key\r\n"}))
    assert "it had answered STARTTLS with: 454 4.7.0 no key" in str(outcome.reply)
    assert (
        next(e for e in journal.entries if e.kind == "relay.connected").fields["starttls"]
        == "454 4.7.0 no key"
    )


async def test_octets_behind_the_last_reply_close_the_connection() -> None:
    server = Hostile(PIPELINED, "end", b"250 2.0.0 and the next\r\n", 18)
    outcome, _ = await attempt(server)
    assert outcome.result == "delivered" and b"QUIT" not in server.heard
