"""Listeners with real sockets: caps, PROXY, implicit TLS, faults, the end."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import pytest
from tests.adapters.net.conftest import Papers
from tests.adapters.net.test_proxy import V4, V6

from sekisho.adapters.net.alarm import HandshakeAlarm
from sekisho.adapters.net.caps import MOST_CLIENTS, CapRefusals
from sekisho.adapters.net.crowd import Crowd, CrowdTools
from sekisho.adapters.net.listener import Listener, ListenerTools, listener_info
from sekisho.adapters.net.tls import ServerContexts
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.core.policy.crowd import CrowdRules
from sekisho.ports.stream import ListenerInfo, Stream, StreamTimeout
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics


class Scene:
    def __init__(self, papers: Papers) -> None:
        self.journal, self.metrics, self.clock = MemoryJournal(), MemoryMetrics(), ManualClock()
        self.counts = SharedConnectionCounts(1, 3, 2)
        self.contexts = ServerContexts(papers.materials)
        refusals = CapRefusals(self.journal, self.clock, SeededDice(), "https://mail.example/why/{id}")
        crowd_tools = CrowdTools(
            counts=self.counts, journal=self.journal, metrics=self.metrics, clock=self.clock, descriptors=1000
        )
        self.crowd = Crowd(crowd_tools, CrowdRules())
        self.tools = ListenerTools(
            tls=self.contexts,
            crowd=self.crowd,
            journal=self.journal,
            metrics=self.metrics,
            clock=self.clock,
            hostname="mx.example.test",
            refusals=refusals,
        )
        self.peers: list[str] = []
        self.listeners: list[Listener] = []

    async def greet(self, stream: Stream, info: ListenerInfo) -> None:
        self.peers.append(str(stream.peer.address))
        stream.write(b"hello\r\n")
        while line := await stream.read(30):
            if line == b"bug\r\n":
                raise ValueError("a bug")
            if line == b"late\r\n":
                raise StreamTimeout("too late")
            stream.write(b"got " + line)

    async def listen(self, kind, **options) -> int:
        listener = Listener(listener_info(kind, kind, self.contexts), self.greet, self.tools, **options)
        sock = socket.create_server(("127.0.0.1", 0))
        await listener.start([sock])
        self.listeners.append(listener)
        return sock.getsockname()[1]


@pytest.fixture
async def scene(papers: Papers) -> AsyncIterator[Scene]:
    scene = Scene(papers)
    yield scene
    scene.crowd.close()
    for listener in scene.listeners:
        await listener.finish(0.0)
    assert all(listener.open_connections == 0 for listener in scene.listeners)
    for kind in ("smtp", "imap", "pop3", "imaps"):
        assert scene.counts.open_connections(kind) == 0


async def connect(port: int, tls: ssl.SSLContext | None = None):
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="mx.example.test" if tls else None
    )


def test_what_a_service_learns(papers: Papers) -> None:
    contexts = ServerContexts(papers.materials)
    assert listener_info("a", "smtp", contexts).can_starttls
    assert not listener_info("a", "imaps", contexts).can_starttls
    assert not listener_info("a", "smtp", ServerContexts([])).can_starttls


async def test_a_connection_is_served_and_counted(scene: Scene) -> None:
    reader, writer = await connect(await scene.listen("smtp"))
    assert await reader.readline() == b"hello\r\n"
    assert scene.counts.open_connections("smtp") == 1
    assert scene.metrics.values["sekisho_connections_open", (("listener", "smtp"),)] == 1
    writer.write(b"x\r\n")
    assert await reader.readline() == b"got x\r\n"
    writer.close()


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("smtp", b"421 4.7.0 mx.example.test "),
        ("imap", b"* BYE "),
        ("pop3", b"-ERR [SYS/TEMP] "),
        ("imaps", b""),
    ],
)
async def test_one_too_many(scene: Scene, papers: Papers, kind: str, answer: bytes) -> None:
    port = await scene.listen(kind)
    tls = ssl.create_default_context(cafile=str(papers.ca_file)) if kind == "imaps" else None
    first = [await connect(port, tls) for _ in range(2)]
    for reader, _ in first:
        assert await reader.readline() == b"hello\r\n"
    reader, writer = await connect(port)
    said = await reader.read()
    assert said.replace(b"421-", b"421 ").startswith(answer)
    (entry,) = [entry for entry in scene.journal.entries if entry.kind == "listener.refused"]
    assert (entry.fields["cap"], entry.about) == ("per_ip", ("127.0.0.1", "127.0.0.0/24"))
    assert bool(answer) == said.endswith(b"\r\n") == (f"(id {entry.id})\r\n".encode() in said)
    if kind == "smtp":
        assert said.endswith(f"421 4.7.0 See https://mail.example/why/{entry.id}\r\n".encode())
    assert (
        scene.metrics.values["sekisho_connections_refused_total", (("cap", "per_ip"), ("listener", kind))]
        == 1
    )
    for _, other in (*first, (reader, writer)):
        other.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("smtp", b"421-4.3.2 mx.example.test Too many"), ("imap", b"* BYE "), ("pop3", b"-ERR [SYS/TEMP] ")],
)
async def test_who_gives_way_is_told(scene: Scene, kind: str, words: bytes) -> None:
    port = await scene.listen(kind)
    scene.counts.set_caps(4, 10)
    first = []
    for _ in range(4):
        first.append(await connect(port))
        assert await first[-1][0].readline() == b"hello\r\n"
        scene.clock.advance(1)
    reader, writer = await connect(port)
    assert await reader.readline() == b"hello\r\n"
    said = await first[0][0].read()
    (entry,) = [entry for entry in scene.journal.entries if entry.kind == "listener.refused"]
    assert said.startswith(words) and entry.id.encode() in said and entry.fields["cap"] == "gave_way"
    assert scene.counts.open_connections(kind) == 4 and scene.journal.faults == []
    assert (
        scene.metrics.values["sekisho_connections_given_way_total", (("listener", kind), ("reason", "room"))]
        == 1
    )
    for _, other in (*first, (reader, writer)):
        other.close()


async def test_handshakes_give_way_and_are_no_alarm(scene: Scene, papers: Papers) -> None:
    port = await scene.listen("imaps")
    scene.counts.set_caps(30, 100)
    silent = [await connect(port) for _ in range(60)]
    trusting = ssl.create_default_context(cafile=str(papers.ca_file))
    reader, writer = await connect(port, trusting)
    assert await reader.readline() == b"hello\r\n"
    # Who of equals goes first is not said; a handshake that is cut tells its client a little later than the
    # count.
    ends = [asyncio.create_task(other.read()) for other, _ in silent]
    done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    assert all(isinstance(end.exception(), ConnectionError) or end.result() == b"" for end in done)
    while scene.counts.open_connections("imaps") > 31:  # noqa: ASYNC110 # a count in shared memory tells nobody
        await asyncio.sleep(0)
    for end in waiting:
        end.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert "tls.alarm" not in scene.journal.kinds()
    for _, other in (*silent, (reader, writer)):
        other.close()


async def test_who_does_not_read_gives_way_without_words(scene: Scene) -> None:
    async def flood(stream: Stream, info: ListenerInfo) -> None:
        while True:
            await stream.send(bytes(1_000_000), 60)

    scene.greet = flood  # type: ignore[method-assign]
    port = await scene.listen("smtp")
    scene.counts.set_caps(1, 10)
    reader, writer = await connect(port)
    await reader.readexactly(1)
    scene.clock.advance(5)
    _, other = await connect(port)
    try:
        while await reader.read(1_000_000):
            pass
    except ConnectionError:
        pass
    assert (
        scene.metrics.values[
            "sekisho_connections_given_way_total", (("listener", "smtp"), ("reason", "room"))
        ]
        == 1
    )
    for one in (writer, other):
        one.close()


async def test_what_we_find_out_about_a_newcomer_stops_when_it_gives_way(scene: Scene) -> None:
    stopped = asyncio.Event()

    async def look_up(stream: Stream, info: ListenerInfo) -> None:
        if scene.counts.places == 1:
            scene.counts.set_caps(2, 10)
            stream.write(b"wait\r\n")
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
        stream.write(b"hello\r\n")

    scene.greet = look_up  # type: ignore[method-assign]
    port = await scene.listen("smtp")
    scene.counts.set_caps(1, 10)
    reader, writer = await connect(port)
    assert await reader.readline() == b"wait\r\n"
    scene.counts.set_caps(1, 10)
    scene.clock.advance(5)
    scene.counts.set_caps(1, 10)
    _, other = await connect(port)
    await asyncio.wait_for(stopped.wait(), 20)
    assert (await reader.read()).startswith(b"421-4.3.2 ")
    for one in (writer, other):
        one.close()


def test_a_flood_of_refusals_is_written_down_once_a_minute() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    refusals = CapRefusals(journal, clock, SeededDice(), "")
    one, two = ip_address("192.0.2.1"), ip_address("2001:db8::1")
    told = {refusals.reference("smtp", one, "per_ip").id for _ in range(100)}
    assert len(told) == len(journal.entries) == 1
    told |= {refusals.reference("smtp", two, "per_ip").id, refusals.reference("imap", one, "all").id}
    clock.advance(61)
    told.add(refusals.reference("smtp", one, "per_ip").id)
    assert told == {entry.id for entry in journal.entries} and len(told) == 4
    for number in range(MOST_CLIENTS + 5):
        refusals.reference("smtp", ip_address(number), "per_ip")
    assert len(refusals._told) == MOST_CLIENTS


async def test_implicit_tls(scene: Scene, papers: Papers) -> None:
    reader, writer = await connect(
        await scene.listen("imaps"), ssl.create_default_context(cafile=str(papers.ca_file))
    )
    assert await reader.readline() == b"hello\r\n"
    assert (
        scene.metrics.values["sekisho_tls_handshakes_total", (("listener", "imaps"), ("result", "ok"))] == 1
    )
    writer.close()


async def test_implicit_tls_refuses_plaintext(scene: Scene) -> None:
    reader, writer = await connect(await scene.listen("imaps"))
    writer.write(b"a1 LOGIN alice secret\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert scene.peers == []
    assert (
        scene.metrics.values["sekisho_tls_handshakes_total", (("listener", "imaps"), ("result", "failed"))]
        == 1
    )
    writer.close()


async def test_a_bug_is_answered_and_journaled(scene: Scene) -> None:
    reader, writer = await connect(await scene.listen("smtp"))
    await reader.readline()
    writer.write(b"bug\r\n")
    line = await reader.readline()
    assert line.startswith(b"421 4.3.0 mx.example.test Internal error (fault-1)")
    assert await reader.read() == b""
    assert [where for where, _ in scene.journal.faults] == ["smtp"]
    writer.close()


async def test_a_stream_error_is_no_bug(scene: Scene) -> None:
    reader, writer = await connect(await scene.listen("smtp"))
    await reader.readline()
    writer.write(b"late\r\n")
    assert await reader.read() == b""
    assert scene.journal.faults == []
    assert scene.journal.kinds() == ["listener.ended"]
    writer.close()


LOOPBACK = (ip_network("127.0.0.0/8"),)


async def test_proxy_header_of_a_proxy(scene: Scene) -> None:
    port = await scene.listen("smtp", proxy_from=LOOPBACK)
    reader, writer = await connect(port)
    writer.write(V6)
    assert await reader.readline() == b"hello\r\n"
    assert scene.peers == ["2001:db8::1"]
    writer.close()


async def test_proxied_clients_are_counted_by_their_own_address(scene: Scene) -> None:
    port = await scene.listen("smtp", proxy_from=LOOPBACK)
    opened = []
    for octets, expected in ((V6, b"hello"), (V6, b"hello"), (V6, b"421-4"), (V4, b"hello")):
        reader, writer = await connect(port)
        writer.write(octets)
        assert (await reader.readline()).startswith(expected)
        opened.append(writer)
    for writer in opened:
        writer.close()


async def test_a_proxy_must_send_its_header(scene: Scene) -> None:
    reader, writer = await connect(await scene.listen("smtp", proxy_from=LOOPBACK))
    writer.write(b"EHLO x\r\n")
    assert await reader.read() == b""
    assert scene.peers == []
    writer.close()


async def test_the_header_of_a_stranger_is_just_a_line(scene: Scene) -> None:
    reader, writer = await connect(await scene.listen("smtp", proxy_from=(ip_network("10.0.0.0/8"),)))
    assert await reader.readline() == b"hello\r\n"
    writer.write(V4)
    assert (await reader.read(100)).startswith(b"got \r\n")
    assert scene.peers == ["127.0.0.1"]
    writer.close()


async def test_implicit_tls_behind_a_proxy_header_in_one_segment(scene: Scene, papers: Papers) -> None:
    port = await scene.listen("imaps", proxy_from=LOOPBACK)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=str(papers.ca_file)).wrap_bio(
        incoming, outgoing, server_hostname="mx.example.test"
    )
    reader, writer = await connect(port)
    writer.write(V4)  # leaves together with the ClientHello
    while True:
        try:
            assert tls.read(100) == b"hello\r\n"
            break
        except ssl.SSLWantReadError:
            if outgoing.pending:
                writer.write(outgoing.read())
            octets = await reader.read(65536)
            assert octets
            incoming.write(octets)
    assert scene.peers == ["192.0.2.1"]
    writer.close()


async def test_finish_lets_connections_end_and_cuts_the_rest(scene: Scene) -> None:
    port = await scene.listen("smtp")
    reader, writer = await connect(port)
    await reader.readline()
    await scene.listeners[0].finish(0.01)
    assert await reader.read() == b""
    with pytest.raises(OSError):
        await connect(port)
    writer.close()


async def test_a_unix_socket_counts_as_loopback(scene: Scene, tmp_path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s"))
    listener = Listener(ListenerInfo("local", "local", False), scene.greet, scene.tools)
    await listener.start([sock])
    scene.listeners.append(listener)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    assert await reader.readline() == b"hello\r\n"
    assert scene.peers == ["127.0.0.1"]
    writer.close()


def alarm_with(clock: ManualClock, journal: MemoryJournal, results: str) -> None:
    alarm = HandshakeAlarm("smtp", journal, clock)
    for letter in results:
        if letter == "h":
            clock.advance(3700)
        elif letter == "m":
            clock.advance(660)
        else:
            alarm.note(None if letter == "+" else "no shared cipher")


@pytest.mark.parametrize(
    ("results", "alarms"),
    [
        ("-" * 19, 0),
        ("-" * 20, 1),
        ("-" * 100, 1),
        ("+-" * 100, 0),
        ("+" * 1000 + "-" * 20, 0),
        ("+" * 1000 + "-" * 21, 1),
        ("-" * 10 + "m" + "-" * 10, 0),
        ("-" * 20 + "h" + "-" * 20, 2),
        ("-" * 20 + "m" + "-" * 20, 1),
    ],
)
def test_alarm_when_handshakes_begin_to_fail(results: str, alarms: int) -> None:
    journal = MemoryJournal()
    alarm_with(ManualClock(), journal, results)
    assert journal.kinds() == ["tls.alarm"] * alarms
