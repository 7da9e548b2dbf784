"""The relay against scripted servers in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from msgspec import structs
from tests.services.relay.jobs import Octets, job

from sekisho.config.schema import RelaySettings
from sekisho.ports.journal import Entry
from sekisho.ports.spool import Outcome
from sekisho.ports.stream import Endpoint, StreamTimeout
from sekisho.services.relay import pool
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.remote import EXTENSIONS, MemoryDialer, RemoteServer
from sekisho.testing.zones import ZoneResolver

CONTENT = b"Subject: hi\r\n\r\n.dot\r\nbody\r\n"
ZONE = """
example.com      MX 10 mx1.example.com
example.com      MX 20 mx2.example.com
mx1.example.com  A 192.0.2.1
mx2.example.com  A 192.0.2.2
other.example    MX 10 mx1.example.com
"""
MX1, MX2 = "192.0.2.1:25", "192.0.2.2:25"


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(30_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


class World:
    def __init__(
        self, servers: dict[str, RemoteServer | Exception], zone: str = ZONE, **settings: object
    ) -> None:
        self.dialer = MemoryDialer(servers)
        self.journal = MemoryJournal()
        self.metrics = MemoryMetrics()
        own = frozenset({Endpoint(ip_address("192.0.2.99"), 25), Endpoint(ip_address("0.0.0.0"), 25)})
        ports = RelayPorts(
            resolver=ZoneResolver(zone),
            dialer=self.dialer,
            clock=ManualClock(),
            dice=SeededDice(),
            journal=self.journal,
            metrics=self.metrics,
        )
        self.relay = Relay(
            "mail.sender.example", RelaySettings(**settings), ports, own_endpoints=own, pool=Pool(600)
        )  # type: ignore[arg-type]  # test shorthand

    async def send(
        self, *recipients: str, next_hop: str = "example.com", content: bytes = CONTENT, **envelope: object
    ) -> tuple[Outcome, ...]:
        return await self.relay.carry(job(*recipients, next_hop=next_hop, **envelope), Octets(content))

    async def replies(self, *recipients: str, **more: object) -> list[tuple[str, str]]:
        outcomes = await self.send(*recipients, **more)  # type: ignore[arg-type]  # test shorthand
        return [(outcome.result, str(outcome.reply)) for outcome in outcomes]


async def test_delivered_over_tls_and_pipelined() -> None:
    server = RemoteServer()
    world = World({MX1: server})
    (outcome,) = await world.send(ret="HDRS", envid="e+1")
    assert (outcome.recipient_id, outcome.result, outcome.remote) == (
        7,
        "delivered",
        "mx1.example.com [192.0.2.1]",
    )
    assert outcome.remote_has_dsn and str(outcome.reply) == "250 2.0.0 queued as R1"
    (mail,) = server.received
    assert mail.content == CONTENT and mail.tls
    assert mail.mail == f"MAIL FROM:<a@sender.example> SIZE={len(CONTENT)} RET=HDRS ENVID=e+2B1"
    assert server.commands == [
        "EHLO mail.sender.example",
        "STARTTLS",
        "EHLO mail.sender.example",
        mail.mail,
        "RCPT TO:<bob@example.com>",
        "DATA",
    ]
    assert server.batches[-2].count(b"\r\n") == 3  # MAIL, RCPT and DATA in one write
    assert server.batches[-1] == b"Subject: hi\r\n\r\n..dot\r\nbody\r\n.\r\n"
    assert world.dialer.streams[0].tls is not None and world.dialer.streams[0].tls.sni == "mx1.example.com"
    assert world.metrics.values[("sekisho_relay_attempts_total", (("result", "delivered"),))] == 1
    entry = world.journal.entries[-1]
    assert (entry.kind, entry.id, entry.fields["tls"], entry.fields["may_be_duplicate"]) == (
        "relay.attempt",
        "m1",
        "TLSv1.3",
        False,
    )


@pytest.mark.parametrize(
    ("origin", "vouched", "ret", "notify"),
    [
        ("reception", "", "HDRS", "NEVER"),
        ("reception", "dkim", "FULL", "SUCCESS"),
        ("submission", "", "FULL", "SUCCESS"),
    ],
)
async def test_nobody_else_is_asked_to_tell_whom_nothing_vouches_for(
    origin: str, vouched: str, ret: str, notify: str
) -> None:
    server = RemoteServer()
    world = World({MX1: server})
    asked = job("bob@example.com", ret="FULL", vouched=vouched)
    (row,) = asked.recipients
    row = structs.replace(row, recipient=replace(row.recipient, notify=frozenset({"SUCCESS"})))
    asked = structs.replace(asked, origin=origin, recipients=(row,))
    await world.relay.carry(asked, Octets(CONTENT))
    (mail,) = server.received
    assert f" RET={ret}" in mail.mail and f"RCPT TO:<bob@example.com> NOTIFY={notify}" in server.commands


async def test_one_command_at_a_time_without_pipelining() -> None:
    server = RemoteServer(extensions=(), answers={"RCPT TO:<no": b"550 5.1.1 no\r\n"})
    world = World({MX1: server})
    assert await world.replies("bob@example.com", "no@example.com") == [
        ("delivered", "250 2.0.0 queued as R1"),
        ("failed", "550 5.1.1 no"),
    ]
    assert all(batch.count(b"\r\n") == 1 for batch in server.batches[:-1])
    assert server.commands[1:] == [
        "MAIL FROM:<a@sender.example>",
        "RCPT TO:<bob@example.com>",
        "RCPT TO:<no@example.com>",
        "DATA",
    ]


async def test_nobody_accepted_without_pipelining_sends_no_data() -> None:
    server = RemoteServer(extensions=(), answers={"RCPT": b"450 4.2.1 later\r\n"})
    world = World({MX1: server})
    assert await world.replies() == [("deferred", "450 4.2.1 later")]
    assert "DATA" not in server.commands and MX2 not in world.dialer.dialled


async def test_354_without_a_recipient_gets_a_lone_dot() -> None:
    server = RemoteServer(answers={"RCPT": b"550 5.1.1 no\r\n", "DATA": b"354 go on\r\n"})
    world = World({MX1: server})
    assert await world.replies() == [("failed", "550 5.1.1 no")]
    assert server.batches[-1] == b".\r\n"
    assert await world.replies(next_hop="example.com") == [("failed", "550 5.1.1 no")]
    assert server.connections == 1 and "RSET" in server.commands


async def test_helo_for_who_knows_no_ehlo() -> None:
    server = RemoteServer(answers={"EHLO": b"502 5.5.1 what\r\n"})
    world = World({MX1: server})
    assert await world.replies() == [("delivered", "250 2.0.0 queued as R1")]
    assert server.commands[1] == "HELO mail.sender.example" and not server.received[0].tls


async def test_a_failed_handshake_is_tried_again_in_the_clear() -> None:
    server = RemoteServer(answers={"handshake": b""})
    world = World({MX1: server})
    assert await world.replies() == [("delivered", "250 2.0.0 queued as R1")]
    assert server.connections == 2 and not server.received[0].tls
    assert "relay.tls_failed" in world.journal.kinds()


async def test_starttls_refused_goes_on_in_the_clear() -> None:
    server = RemoteServer(answers={"STARTTLS": b"454 4.7.0 no TLS now\r\n"})
    world = World({MX1: server})
    assert await world.replies() == [("delivered", "250 2.0.0 queued as R1")]
    assert server.connections == 1


async def test_octets_behind_the_220_abort_without_falling_back() -> None:
    bad = RemoteServer(answers={"STARTTLS": b"220 go\r\n250 injected\r\n"})
    world = World({MX1: bad, MX2: RemoteServer()})
    (outcome,) = await world.send()
    assert outcome.remote == "mx2.example.com [192.0.2.2]" and bad.connections == 1 and not bad.received
    assert world.dialer.streams[0].aborted


@pytest.mark.parametrize(
    "first",
    [
        RemoteServer(answers={"greeting": b"554 no service\r\n"}),
        RemoteServer(answers={"greeting": b"421 busy\r\n"}),
        RemoteServer(answers={"greeting": "close"}),
        RemoteServer(answers={"greeting": b"hello\r\n"}),
        RemoteServer(answers={"EHLO": b"421 go away\r\n"}),
        RemoteServer(answers={"MAIL": b"451 4.3.0 not now\r\n"}),
        RemoteServer(answers={"MAIL": "close"}),
        RemoteServer(answers={"RCPT": b"421 4.3.2 going down\r\n"}),
        RemoteServer(answers={"DATA": "close"}),
        ConnectionRefusedError(111, "Connection refused"),
        StreamTimeout("slow"),
    ],
)
async def test_the_next_address_is_tried(first: RemoteServer | Exception) -> None:
    second = RemoteServer()
    world = World({MX1: first, MX2: second})
    assert await world.replies() == [("delivered", "250 2.0.0 queued as R1")]
    assert world.dialer.dialled == [MX1, MX2] and len(second.received) == 1


async def test_temporary_failures_speak_for_permanent_ones() -> None:
    world = World(
        {
            MX1: ConnectionRefusedError(111, "Connection refused"),
            MX2: RemoteServer(answers={"greeting": b"554 no\r\n"}),
        }
    )
    (outcome,) = await world.send()
    assert (outcome.result, outcome.remote) == ("deferred", "mx1.example.com [192.0.2.1]")
    assert str(outcome.reply) == "451 4.4.1 Cannot connect to mx1.example.com [192.0.2.1]: Connection refused"
    no = RemoteServer(answers={"greeting": b"554 5.7.1 no\r\n"})
    assert await World({MX1: no, MX2: no}).replies() == [("failed", "554 5.7.1 no")]


async def test_the_final_word_counts_for_all_accepted() -> None:
    world = World(
        {MX1: RemoteServer(answers={"end": b"554 5.7.1 spam\r\n", "RCPT TO:<no": b"452 4.2.2 full\r\n"})}
    )
    assert await world.replies("bob@example.com", "no@example.com") == [
        ("failed", "554 5.7.1 spam"),
        ("deferred", "452 4.2.2 full"),
    ]


async def test_lost_after_the_final_dot_is_not_sent_elsewhere() -> None:
    second = RemoteServer()
    world = World({MX1: RemoteServer(answers={"end": "close"}), MX2: second})
    (outcome,) = await world.send()
    assert (
        outcome.result == "deferred" and outcome.reply is not None and str(outcome.reply.enhanced) == "4.4.2"
    )
    assert second.connections == 0
    assert world.journal.entries[-1].fields["may_be_duplicate"] is True


async def test_too_many_recipients_go_in_further_transactions() -> None:
    full: Any = [
        b"250 ok\r\n",
        b"250 ok\r\n",
        b"452 4.5.3 too many\r\n",
        b"552 too many\r\n",
        b"250 ok\r\n",
    ]
    server = RemoteServer(answers={"RCPT": full})
    world = World({MX1: server})
    outcomes = await world.send(*[f"u{number}@example.com" for number in range(4)])
    assert [outcome.result for outcome in outcomes] == ["delivered"] * 4
    assert [len(mail.recipients) for mail in server.received] == [2, 2] and server.connections == 1


async def test_too_many_for_ever_is_temporary() -> None:
    world = World(
        {
            MX1: RemoteServer(
                answers={"RCPT": [b"250 ok\r\n", b"552 too many\r\n"], "end": b"451 4.3.0 no\r\n"}
            )
        }
    )
    assert await world.replies("a@example.com", "b@example.com") == [
        ("deferred", "451 4.3.0 no"),
        ("deferred", "552 too many"),
    ]


async def test_limits_cut_transactions() -> None:
    server = RemoteServer(extensions=("PIPELINING", "LIMITS MAILMAX=9 RCPTMAX=2"))
    world = World({MX1: server})
    await world.send(*[f"u{number}@example.com" for number in range(5)])
    assert [len(mail.recipients) for mail in server.received] == [2, 2, 1] and server.connections == 1
    server = RemoteServer(extensions=("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=2"))
    outcomes = await World({MX1: server}).send(*[f"u{number}@example.com" for number in range(5)])
    assert {outcome.result for outcome in outcomes} == {"delivered"}
    assert [len(mail.recipients) for mail in server.received] == [2, 2, 1] and server.connections == 2


async def test_150_recipients_go_in_portions_of_100() -> None:
    server = RemoteServer()
    world = World({MX1: server})
    outcomes = await world.send(*[f"u{number}@example.com" for number in range(150)])
    assert {outcome.result for outcome in outcomes} == {"delivered"} and [
        len(mail.recipients) for mail in server.received
    ] == [100, 50]


async def test_messages_share_a_connection() -> None:
    server = RemoteServer()
    world = World({MX1: server}, messages_per_connection=3)
    for _ in range(5):
        await world.send()
    await world.send("x@other.example", next_hop="other.example")  # another domain on the same host
    assert server.connections == 2 and len(server.received) == 6
    await world.relay.close()
    assert server.commands.count("QUIT") == 2


async def test_simultaneous_jobs_share_the_allowed_connections() -> None:
    server = RemoteServer()
    world = World({MX1: server}, connections_per_next_hop=2)
    outcomes = await asyncio.gather(*[world.send() for _ in range(10)])
    assert server.connections == 2 and all(outcome.result == "delivered" for (outcome,) in outcomes)


@pytest.mark.parametrize("late", [b"421 4.4.2 idle too long\r\n", b""])
async def test_an_idle_connection_that_died_costs_nothing(late: bytes) -> None:
    server = RemoteServer()
    world = World({MX1: server})
    await world.send()
    far = world.dialer.streams[0].other
    if late:
        far.write(late)
    else:
        far.abort()
    assert await world.replies() == [("delivered", "250 2.0.0 queued as R1")]
    assert server.connections == 2


async def test_idle_connections_end_by_themselves() -> None:
    server = RemoteServer()
    world = World({MX1: server})
    world.relay._pool._idle_seconds = 0.0
    await world.send()
    await until(lambda: "QUIT" in server.commands)
    await world.relay.close()
    assert not world.relay._pool._hops


async def test_a_large_message_is_streamed() -> None:
    server = RemoteServer()
    world = World({MX1: server})
    content = b"Subject: x\r\n\r\n" + b".0123456789\r\n" * 40_000
    assert [outcome.result for outcome in await world.send(content=content)] == ["delivered"]
    assert server.received[0].content == content and max(map(len, server.batches)) < 80_000


async def test_a_refusal_in_the_middle_of_the_content_is_heard() -> None:
    content = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 40_000

    class Impatient(RemoteServer):
        async def serve(self, stream: object) -> None:
            self.connections += 1
            stream.write(b"220 x\r\n")  # type: ignore[attr-defined]  # a MemoryStream
            got = b""
            while octets := await stream.read():  # type: ignore[attr-defined]  # a MemoryStream
                got += octets
                if got.startswith(b"EHLO") and got.count(b"\r\n") == 1:
                    stream.write(b"250-x\r\n250 PIPELINING\r\n")  # type: ignore[attr-defined]  # a MemoryStream
                elif got.endswith(b"DATA\r\n"):
                    stream.write(b"250 ok\r\n250 ok\r\n354 go\r\n")  # type: ignore[attr-defined]  # a MemoryStream
                elif b"0123456789" in got:
                    stream.write(b"552 5.3.4 too large\r\n")  # type: ignore[attr-defined]  # a MemoryStream
                    return

    world = World({MX1: Impatient()})
    assert await world.replies(content=content) == [("failed", "552 5.3.4 too large")]
    assert world.dialer.streams[0].aborted and b"\r\n.\r\n" not in world.dialer.streams[0].sent


@pytest.mark.parametrize("broken_at", [0, 65536])
async def test_an_unreadable_message_is_deferred_and_never_half_sent(broken_at: int) -> None:
    server = RemoteServer()
    world = World({MX1: server})
    content = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 40_000
    (outcome,) = await world.relay.carry(job(), Octets(content, broken_at=broken_at))
    assert (outcome.result, str(outcome.reply)[:9]) == ("deferred", "451 4.3.0")
    await asyncio.sleep(0)
    assert not server.received and all(b"\r\n.\r\n" not in stream.sent for stream in world.dialer.streams)


async def test_a_message_cut_short_is_never_finished() -> None:
    server = RemoteServer()
    world = World({MX1: server})
    octets = Octets(b"Subject: x\r\n\r\nhalf\r\n")
    octets.size_octets = 100_000
    (outcome,) = await world.relay.carry(job(), octets)
    assert outcome.result == "deferred" and not server.received


async def test_bare_line_ends_never_leave() -> None:
    server = RemoteServer()
    world = World({MX1: server})
    assert [
        result for result, _ in await world.replies(content=b"Subject: x\r\n\r\na\n.\nMAIL FROM:<>\r\n")
    ] == ["failed"]
    assert not server.received and b"\n.\n" not in world.dialer.streams[0].sent


async def test_8bit_needs_8bitmime() -> None:
    server = RemoteServer(extensions=("PIPELINING",))
    world = World({MX1: server})
    (outcome,) = await world.send(content="Subject: x\r\n\r\nか\r\n".encode(), body="8BITMIME")
    assert outcome.result == "failed" and outcome.reply is not None and str(outcome.reply.enhanced) == "5.6.3"
    assert await world.replies(body="8BITMIME") == [
        ("delivered", "250 2.0.0 queued as R1")
    ]  # declared, but not so
    large = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 10_000
    assert [result for result, _ in await world.replies(content=large)] == ["delivered"]
    assert [result for result, _ in await world.replies(content=large + b"\xe9\r\n")] == ["failed"]
    capable = RemoteServer()
    assert [result for result, _ in await World({MX1: capable}).replies(content=b"S: x\r\n\r\n\xe9\r\n")] == [
        "delivered"
    ]
    assert " BODY=8BITMIME" in capable.received[0].mail


async def test_smtputf8_where_it_is_needed() -> None:
    plain = RemoteServer(extensions=("PIPELINING", "8BITMIME"))
    world = World({MX1: plain})
    results = await world.replies("bob@example.com", "太郎@example.com", smtputf8=True)
    assert [result for result, _ in results] == ["delivered", "failed"] and results[1][1].startswith(
        "550 5.6.7"
    )
    assert "SMTPUTF8" not in plain.received[0].mail
    assert [r for r, _ in await world.replies(sender="花子@sender.example", smtputf8=True)] == ["failed"]
    assert [
        r for r, _ in await world.replies(content="Subject: 会議\r\n\r\nx\r\n".encode(), smtputf8=True)
    ] == ["failed"]
    capable = RemoteServer()
    await World({MX1: capable}).send("太郎@example.com", smtputf8=True)
    assert capable.received[0].recipients == ["RCPT TO:<太郎@example.com>"] and capable.received[
        0
    ].mail.endswith(" SMTPUTF8")


async def test_size_is_checked_before() -> None:
    server = RemoteServer(extensions=("PIPELINING", "SIZE 10"))
    results = await World({MX1: server}).replies()
    assert (
        results[0][0] == "failed"
        and results[0][1].startswith("552 5.3.4")
        and not any(c.startswith("MAIL") for c in server.commands)
    )


@pytest.mark.parametrize(
    ("zone", "next_hop", "expected"),
    [
        ("x.example MX 0 .", "x.example", "556 5.1.10"),
        ("y.example A 192.0.2.1", "x.example", "550 5.1.2"),
        ("$SERVFAIL x.example", "x.example", "451 4.4.3"),
        ("$TIMEOUT x.example", "x.example", "451 4.4.3"),
        ("$BOGUS x.example MX", "x.example", "451 4.4.3"),
        ("x.example MX 10 gone.example", "x.example", "550 5.4.4"),
        ("x.example MX 10 gone.example\n$SERVFAIL gone.example A", "x.example", "451 4.4.3"),
        ("x.example MX 10 mail.sender.example\nmail.sender.example A 192.0.2.1", "x.example", "554 5.4.6"),
        (
            (
                "x.example MX 10 me.example\nme.example A 192.0.2.99\nx.example MX 20 mx1.example\n"
                "mx1.example A 192.0.2.1"
            ),
            "x.example",
            "554 5.4.6",
        ),
        ("x.example MX 10 me.example\nme.example A 192.0.2.7", "x.example", "554 5.4.6"),
        ('x.example TXT "no address"', "x.example", "550 5.4.4"),
        ("", "[192.0.2.1]", "550 5.1.2"),
        ("", "[IPv6:2001:db8::1]", "550 5.1.2"),
    ],
)
async def test_next_hops_that_cannot_be_used(zone: str, next_hop: str, expected: str) -> None:
    server = RemoteServer()
    (outcome,) = await World({"192.0.2.1:25": server, "192.0.2.7:25": server}, zone).send(next_hop=next_hop)
    assert str(outcome.reply).startswith(expected) and not server.received
    assert outcome.result == ("deferred" if expected[0] == "4" else "failed")


async def test_the_better_mx_before_our_own_name_is_used() -> None:
    zone = (
        "x.example MX 10 mx1.example\nx.example MX 20 mail.sender.example\nx.example MX 30 mx3.example\n"
        "mx1.example A 192.0.2.1"
    )
    server = RemoteServer()
    assert [o.result for o in await World({MX1: server}, zone).send(next_hop="x.example")] == ["delivered"]


@pytest.mark.parametrize(
    ("zone", "next_hop", "dialled"),
    [
        ("x.example A 192.0.2.1", "x.example", ["192.0.2.1:25"]),
        (
            "x.example A 192.0.2.1\nx.example AAAA 2001:db8::1",
            "x.example",
            ["2001:db8::1:25", "192.0.2.1:25"],
        ),
        (
            "x.example CNAME y.example\ny.example MX 5 z.example\nz.example A 192.0.2.3",
            "x.example",
            ["192.0.2.3:25"],
        ),
        ("smart.example A 192.0.2.4", "smart.example:587", ["192.0.2.4:587"]),
        ("smart.example A 192.0.2.4", "[smart.example]:587", ["192.0.2.4:587"]),
        ("", "[2001:db8::5]:26", ["2001:db8::5:26"]),
        ("", "192.0.2.5:26", ["192.0.2.5:26"]),
    ],
)
async def test_where_connections_go(zone: str, next_hop: str, dialled: list[str]) -> None:
    world = World({}, zone)
    (outcome,) = await world.send(next_hop=next_hop)
    assert world.dialer.dialled == dialled and outcome.result == "deferred"


async def test_no_ipv6_where_it_is_switched_off() -> None:
    world = World({}, "x.example A 192.0.2.1\nx.example AAAA 2001:db8::1", ipv6=False)
    await world.send(next_hop="x.example")
    assert world.dialer.dialled == ["192.0.2.1:25"]


async def test_not_every_address_of_a_hostile_domain_is_tried() -> None:
    zone = "\n".join(
        f"x.example MX {n} m{n}.example\nm{n}.example A 192.0.2.{n}\nm{n}.example A 198.51.100.{n}"
        for n in range(1, 40)
    )
    world = World({}, zone)
    await world.send(next_hop="x.example")
    assert 2 <= len(world.dialer.dialled) <= 6


@pytest.mark.parametrize("event", ["greeting", "EHLO", "MAIL", "end"])
async def test_cancelling_interrupts(event: str) -> None:
    server = RemoteServer(answers={event: "hang"})
    world = World({MX1: server})
    task = asyncio.create_task(world.send())
    heard = {"greeting": b"", "EHLO": b"EHLO", "MAIL": b"MAIL", "end": b"\r\n.\r\n"}[event]
    await until(lambda: bool(server.connections) and heard in b"".join(server.batches))
    task.cancel()
    (outcome,) = await task
    assert outcome.interrupted and outcome.result == "deferred" and world.dialer.streams[0].aborted
    assert world.journal.entries[-1].fields["may_be_duplicate"] is (event == "end")
    assert not world.relay._pool._hops


async def test_cancelling_while_waiting_for_a_slot() -> None:
    world = World({MX1: RemoteServer(answers={"greeting": "hang"})}, connections_per_next_hop=1)
    first, second = asyncio.create_task(world.send()), asyncio.create_task(world.send())
    await asyncio.sleep(0)
    second.cancel()
    assert (await second)[0].interrupted
    first.cancel()
    assert (await first)[0].interrupted


async def test_a_silent_server_runs_into_its_deadline() -> None:
    world = World({MX1: RemoteServer(answers={"MAIL": "hang"}), MX2: RemoteServer()})
    task = asyncio.create_task(world.send())
    await until(lambda: bool(world.dialer.streams) and b"DATA" in world.dialer.streams[0].sent)
    assert 200 < (world.dialer.streams[0].last_timeout_seconds or 0) < 301
    world.dialer.streams[0].expire()
    (outcome,) = await task
    assert outcome.remote.startswith("mx2")


async def test_extensions_of_the_clear_are_forgotten() -> None:
    class Changing(RemoteServer):
        pass

    server = Changing(extensions=EXTENSIONS)
    server.answers["EHLO"] = [b"250-x\r\n250-STARTTLS\r\n250-DSN\r\n250 SIZE 5\r\n", b"250 x\r\n"]
    (outcome,) = await World({MX1: server}).send(envid="e")
    assert (
        outcome.result == "delivered"
        and not outcome.remote_has_dsn
        and server.received[0].mail == "MAIL FROM:<a@sender.example>"
    )


async def test_a_route_configured_after_queueing_is_used() -> None:
    world = World({}, routes={"example.com": "192.0.2.8:587", "*": "192.0.2.9:26"})
    await world.send()
    await world.send(next_hop="other.example")
    await world.send(next_hop="192.0.2.7:25")
    assert world.dialer.dialled == ["192.0.2.8:587", "192.0.2.9:26", "192.0.2.7:25"]


async def test_closing_does_not_wait_for_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CLOSE_SECONDS", 0.01)
    server = RemoteServer(answers={"QUIT": "hang"})
    world = World({MX1: server})
    await world.send()
    await world.relay.close()
    await until(lambda: world.dialer.streams[0].aborted)
    assert "QUIT" in server.commands


async def test_a_fault_of_ours_forgets_no_recipient_that_was_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told of the first of two recipients the journal breaks: both were taken, and neither is sent again."""
    server = RemoteServer(extensions=("LIMITS RCPTMAX=2",))
    world = World({MX1: server})
    record, calls = world.journal.record, [0]

    def broken(entry: Entry) -> None:
        calls[0] += entry.kind == "relay.attempt"
        if entry.kind == "relay.attempt" and calls[0] == 1:
            raise RuntimeError("injected")
        record(entry)

    monkeypatch.setattr(world.journal, "record", broken)
    outcomes = await world.send("a@example.com", "b@example.com", "c@example.com")
    assert [outcome.result for outcome in outcomes] == ["delivered", "delivered", "deferred"]
    assert len(server.received) == 1 and [where for where, _ in world.journal.faults] == ["relay.carry"]
    assert [outcome.result for outcome in await world.send("c@example.com")] == ["delivered"]
    await world.relay.close()


@pytest.mark.parametrize(
    ("servers", "zone", "cause"),
    [
        ({MX1: ConnectionRefusedError(111, "Connection refused")}, "", "no-connection"),
        ({MX1: OSError(113, "No route to host")}, "", "no-connection"),
        ({MX1: StreamTimeout()}, "", "silent"),
        ({MX1: RemoteServer(answers={"greeting": "close"})}, "", "broken"),
        ({MX1: RemoteServer(answers={"RCPT": "close"})}, "", "broken"),
        ({MX1: RemoteServer(answers={"RCPT": b"450 4.2.0 Later\r\n"})}, "", "answered"),
        ({MX1: RemoteServer(answers={"greeting": b"421 Busy\r\n"})}, "", "answered"),
        ({}, "$SERVFAIL one.example\n", "dns"),
        ({}, "$TIMEOUT mx1.example.com\n", "dns"),
    ],
)
async def test_what_kept_a_message_is_written_down(
    servers: dict[str, RemoteServer | Exception], zone: str, cause: str
) -> None:
    """`why` says that a host answered only if it did."""
    world = World(
        servers, "mx1.example.com A 192.0.2.1\none.example MX 10 mx1.example.com\n" + zone, ipv6=False
    )
    (outcome,) = await world.send("bob@one.example", next_hop="one.example")
    assert outcome.result == "deferred"
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "relay.attempt"]
    assert (entry.fields["cause"], outcome.reply.cause if outcome.reply else "") == (cause, cause)
