"""The client machine alone: what it says, what it hears, and that pieces make no difference."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.core.smtp.client.machine import (
    ClientMachine,
    Closed,
    ContentWanted,
    Event,
    Ready,
    TlsReady,
    TlsRefused,
    TransactionDone,
)
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply

HELLO = (
    b"220 mx\r\n250-mx\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-DSN\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    b"250 SIZE 5000\r\n"
)


def envelope(*recipients: Recipient | str, **more: object) -> Envelope:
    rows = [
        row if isinstance(row, Recipient) else Recipient(Address.from_text(row))
        for row in recipients or ("b@x.example",)
    ]
    return Envelope(
        reverse_path=ReversePath(Address.from_text("a@x.example")), recipients=tuple(rows), **more
    )  # type: ignore[arg-type]  # test shorthand


def ready(hello: bytes = HELLO) -> ClientMachine:
    """A machine after EHLO, its output taken."""
    machine = ClientMachine("me.example")
    feed(machine, hello.partition(b"\r\n")[0] + b"\r\n")
    assert machine.data_to_send() == b"EHLO me.example\r\n"
    events = feed(machine, hello.partition(b"\r\n")[2])
    assert isinstance(events[-1], Ready)
    return machine


def feed(machine: ClientMachine, octets: bytes) -> list[Event]:
    machine.receive_data(octets)
    return drain(machine)


def drain(machine: ClientMachine) -> list[Event]:
    events = []
    while (event := machine.next_event()) is not None:
        events.append(event)
    return events


def test_extensions_are_read() -> None:
    machine = ready(
        b"220 x\r\n250-x hello\r\n250-size\r\n250-AUTH=LOGIN PLAIN\r\n250-  \r\n250-X-Thing a b\r\n250 "
        b"LIMITS RCPTMAX=5\r\n"
    )
    assert machine.extensions == {"SIZE": "", "AUTH": "LOGIN PLAIN", "X-THING": "a b", "LIMITS": "RCPTMAX=5"}


def test_everything_the_server_offers_is_said_and_nothing_else() -> None:
    recipient = Recipient(
        Address.from_text('"q u"@x.example'), frozenset({"SUCCESS", "DELAY"}), "rfc822;a+b@x.example"
    )
    full = envelope(recipient, ret="FULL", envid="a=b c", declared_octets=77, body="8BITMIME", smtputf8=True)
    machine = ready()
    machine.send_envelope(full)
    assert machine.data_to_send() == (
        b"MAIL FROM:<a@x.example> SIZE=77 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+3Db+20c\r\n"
        b'RCPT TO:<"q u"@x.example> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;a+2Bb@x.example\r\nDATA\r\n'
    )
    machine = ready(b"220 x\r\n250 x\r\n")
    machine.send_envelope(envelope(recipient, ret="FULL", envid="e", declared_octets=77, body="8BITMIME"))
    assert machine.data_to_send() == b"MAIL FROM:<a@x.example>\r\n"


def test_hostile_dsn_parameters_stay_in_their_place() -> None:
    machine = ready()
    bad = Recipient(
        Address.from_text("b@x.example"), frozenset({"NEVER"}), "rfc822;x\r\nRCPT TO:<evil@x.example>"
    )
    utf8 = Recipient(Address.from_text("b@x.example"), None, "utf-8;太+\r\n@x.example")
    machine.send_envelope(envelope(bad, utf8, envid="x\r\nRSET", smtputf8=True))
    said = machine.data_to_send()
    assert said.count(b"\n") == said.count(b"\r\n") == 4 and said.isascii()
    assert b"ORCPT=utf-8;\\x{592A}\\x{2B}\\x{0D}\\x{0A}@x.example\r\n" in said


def test_null_reverse_path() -> None:
    machine = ready()
    machine.send_envelope(
        Envelope(reverse_path=ReversePath(), recipients=(Recipient(Address.from_text("b@x.example")),))
    )
    assert machine.data_to_send().startswith(b"MAIL FROM:<>\r\n")


def test_starttls_forgets_everything() -> None:
    machine = ready()
    machine.start_tls()
    assert machine.data_to_send() == b"STARTTLS\r\n"
    assert feed(machine, b"220 go\r\n") == [TlsReady()]
    machine.tls_started()
    assert machine.extensions == {} and machine.data_to_send() == b"EHLO me.example\r\n"
    assert feed(machine, b"250-x\r\n250-STARTTLS\r\n250 DSN\r\n") == [Ready({"DSN": ""})]
    with pytest.raises(RuntimeError):
        machine.start_tls()


@pytest.mark.parametrize("behind", [b"2", b"250 x\r\n", b"\x16\x03\x01", b"\r\n"])
def test_octets_behind_the_220_close(behind: bytes) -> None:
    machine = ready()
    machine.start_tls()
    (event,) = feed(machine, b"220 go\r\n" + behind)
    assert isinstance(event, Closed) and event.violation
    machine = ready()
    machine.start_tls()
    assert feed(machine, b"220 go\r\n") == [TlsReady()]
    machine.receive_data(behind)
    machine.tls_started()
    (event,) = drain(machine)
    assert isinstance(event, Closed) and event.violation and machine.data_to_send() == b""


def test_starttls_refused() -> None:
    machine = ready()
    machine.start_tls()
    assert feed(machine, b"454 4.7.0 no\r\n") == [TlsRefused(Reply.of(454, "4.7.0", "no"))]
    machine.send_envelope(envelope())
    assert b"MAIL" in machine.data_to_send()


def test_what_is_said_unasked_is_no_answer_to_the_next_command() -> None:
    machine = ready()
    machine.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert not machine.is_idle
    machine.send_envelope(envelope())
    events = drain(machine)
    assert events[0] == TransactionDone((None,)) and isinstance(events[1], Closed) and events[1].violation
    assert machine.data_to_send() == b""


def test_an_unasked_421_before_a_command() -> None:
    machine = ready()
    machine.receive_data(b"421 4.3.2 bye\r\n")
    machine.send_envelope(envelope())
    reply = Reply.of(421, "4.3.2", "bye")
    assert drain(machine) == [TransactionDone((reply,)), Closed(reply, "the server said 421")]


@pytest.mark.parametrize(
    "replies",
    [b"250 ok\r\n250 ok\r\n250 done\r\n", b"250 ok\r\n354 what\r\n", b"354 what\r\n", b"2x\r\n", b"250 a\n"],
)
def test_nonsense_closes_without_an_outcome(replies: bytes) -> None:
    machine = ready()
    machine.send_envelope(envelope())
    machine.data_to_send()
    done, closed = feed(machine, replies)
    assert done == TransactionDone((None,)) and isinstance(closed, Closed) and closed.violation


PLAIN_HELLO = b"220 mx\r\n250 mx\r\n"


def after_354(hello: bytes) -> ClientMachine:
    machine = ready(hello)
    machine.send_envelope(envelope())
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        machine.data_to_send()
        events = feed(machine, reply)
    assert events == [ContentWanted()]
    return machine


@pytest.mark.parametrize("hello", [HELLO, PLAIN_HELLO])
@pytest.mark.parametrize(
    "early", [b"250 2.0.0 ok\r\n", b"220 x\r\n", b"354 x\r\n", b"2", b"250-", b"250-x\r\n"]
)
def test_what_came_before_the_final_dot_is_no_answer_to_it(hello: bytes, early: bytes) -> None:
    machine = after_354(hello)
    machine.receive_data(early)
    machine.send_content(b"x\r\n")
    machine.end_content()
    events = drain(machine)
    assert not machine.awaits_final_reply and b"\r\n.\r\n" not in machine.data_to_send()
    machine.receive_data(
        {b"2": b"50 ok\r\n", b"250-": b"\r\n250 ok\r\n", b"250-x\r\n": b"250 ok\r\n"}.get(early, b"")
    )
    done, closed = events + drain(machine)
    assert done == TransactionDone((None,)) and isinstance(closed, Closed) and machine.is_closed


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_refusal_that_began_before_the_final_dot_is_heard_whole(cut: int) -> None:
    machine = after_354(HELLO)
    refusal = b"552 5.3.4 too large\r\n"
    machine.receive_data(refusal[:cut])
    machine.send_content(b"x\r\n")
    machine.end_content()
    machine.receive_data(refusal[cut:])
    reply = Reply.of(552, "5.3.4", "too large")
    assert drain(machine) == [
        TransactionDone((reply,)),
        Closed(reply, "the server refused the content before its end"),
    ]
    assert b"\r\n.\r\n" not in machine.data_to_send()


@pytest.mark.parametrize("early", [b"250 ok\r\n", b"221 bye\r\n", b"550 no\r\n", b"2"])
@pytest.mark.parametrize("command", ["start_tls", "tls_started", "send_envelope", "quit"])
def test_what_came_before_a_command_is_no_answer_to_it(command: str, early: bytes) -> None:
    machine = ready()
    if command == "tls_started":
        machine.start_tls()
        machine.data_to_send()
        feed(machine, b"220 go\r\n")
    machine.receive_data(early)
    getattr(machine, command)(*[envelope()] if command == "send_envelope" else [])
    events = drain(machine)
    assert isinstance(events[-1], Closed) and events[-1].violation and machine.data_to_send() == b""
    assert early == b"2" or early.decode().strip() in events[-1].reason


@pytest.mark.parametrize(
    ("asked", "answer", "early"),
    [
        ("greeting", b"220 mx\r\n", b"250 mx\r\n"),
        ("EHLO", b"500 no\r\n", b"250 mx\r\n"),
        ("MAIL", b"250 ok\r\n", b"250 ok\r\n"),
        ("RSET", b"250 ok\r\n", b"250 ok\r\n"),
        ("RCPT", b"250 ok\r\n", b"354 go\r\n"),
    ],
)
def test_a_reply_to_the_next_command_ends_the_session(asked: str, answer: bytes, early: bytes) -> None:
    machine = ClientMachine("me.example") if asked in ("greeting", "EHLO") else ready(PLAIN_HELLO)
    if asked == "EHLO":
        feed(machine, b"220 mx\r\n")
    if asked == "RSET":
        machine.send_envelope(envelope())
        for reply in (b"250 ok\r\n", b"550 no\r\n"):
            feed(machine, reply)
    if asked in ("MAIL", "RSET", "RCPT"):
        machine.send_envelope(envelope())
    if asked == "RCPT":
        feed(machine, b"250 ok\r\n")
    machine.data_to_send()
    events = feed(machine, answer + early)
    assert (
        isinstance(events[-1], Closed)
        and events[-1].violation
        and early.decode().strip() in events[-1].reason
    )
    assert machine.data_to_send() == b""


@pytest.mark.parametrize("code", [200, 221, 250, 454, 501, 550])
def test_only_220_is_220(code: int) -> None:
    machine = ready()
    machine.start_tls()
    machine.data_to_send()
    assert feed(machine, b"%d x\r\n" % code) == [TlsRefused(Reply.of(code, None, "x"))]


def test_421_in_the_middle_keeps_what_was_said_before() -> None:
    machine = ready()
    machine.send_envelope(envelope("b@x.example", "c@x.example", "d@x.example"))
    events = feed(machine, b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n421 bye\r\n")
    assert isinstance(events[0], TransactionDone)
    assert [reply and reply.code for reply in events[0].replies] == [550, 421, 421] and not events[
        0
    ].may_be_delivered


def test_lost_after_the_dot_and_before() -> None:
    machine = ready()
    machine.send_envelope(envelope())
    assert feed(machine, b"250 ok\r\n250 ok\r\n354 go\r\n") == [ContentWanted()]
    machine.data_to_send()
    machine.send_content(b"x\r\n")
    machine.end_content()
    assert machine.data_to_send() == b"x\r\n.\r\n" and machine.awaits_final_reply
    machine.receive_data(b"")
    assert drain(machine) == [
        TransactionDone((None,), may_be_delivered=True),
        Closed(None, "the server closed the connection"),
    ]
    machine = ready()
    machine.send_envelope(envelope())
    machine.connection_lost("reset")
    assert drain(machine) == [TransactionDone((None,)), Closed(None, "reset")]


def test_what_came_before_the_loss_is_heard() -> None:
    machine = ready()
    machine.send_envelope(envelope())
    feed(machine, b"250 ok\r\n250 ok\r\n354 go\r\n")
    machine.send_content(b"x\r\n")
    machine.end_content()
    machine.receive_data(b"250 2.0.0 mine\r\n")
    machine.connection_lost("reset")
    assert drain(machine) == [TransactionDone((Reply.of(250, "2.0.0", "mine"),)), Closed(None, "reset")]


def test_rset_only_where_a_transaction_hangs() -> None:
    machine = ready()
    machine.send_envelope(envelope())
    feed(machine, b"250 ok\r\n550 no\r\n503 no\r\n")
    machine.data_to_send()
    machine.send_envelope(envelope())
    assert machine.data_to_send().startswith(b"RSET\r\nMAIL")
    assert feed(machine, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n") == [ContentWanted()]
    machine.end_content()
    assert machine.data_to_send() == b".\r\n"
    feed(machine, b"250 ok\r\n")
    machine.send_envelope(envelope())
    assert machine.data_to_send().startswith(b"MAIL")


def test_the_greeting_refuses() -> None:
    machine = ClientMachine("me.example")
    assert feed(machine, b"554 5.7.1 no\r\n") == [
        Closed(Reply.of(554, "5.7.1", "no"), "the server refused the connection")
    ]
    assert machine.data_to_send() == b""


def test_quit() -> None:
    machine = ready()
    machine.quit()
    assert machine.data_to_send() == b"QUIT\r\n"
    assert feed(machine, b"221 bye\r\n") == [Closed(Reply.of(221, None, "bye"), "quit")]
    with pytest.raises(RuntimeError):
        machine.quit()


def play(server: bytes, size: int, recipients: int) -> tuple[list[Event], bytes]:
    """One whole session in which the server says `server`, come what may, in pieces of `size` octets."""
    machine = ClientMachine("me.example")
    events: list[Event] = []
    said = b""
    for start in range(0, len(server), size):
        machine.receive_data(server[start : start + size])
        while (event := machine.next_event()) is not None:
            events.append(event)
            if isinstance(event, Ready):
                machine.send_envelope(envelope(*[f"u{number}@x.example" for number in range(recipients)]))
            elif isinstance(event, ContentWanted):
                machine.send_content(b".x\r\n")
                machine.end_content()
            said += machine.data_to_send()
        said += machine.data_to_send()
        if machine.is_closed:
            break
    return events, said


REPLIES = st.sampled_from(
    [
        b"220 x\r\n",
        b"250 ok\r\n",
        b"250-x\r\n250 PIPELINING\r\n",
        b"354 go\r\n",
        b"550 5.1.1 no\r\n",
        b"452 4.5.3 many\r\n",
    ]
)
RARE = st.sampled_from([b"421 bye\r\n", b"250\r\n", b"2", b"\r\n", b"\xff\n", b"251 x\r\n", b"503 no\r\n"])


@settings(max_examples=300)
@given(
    st.lists(REPLIES | RARE, max_size=14).map(b"".join) | st.binary(max_size=60),
    st.integers(1, 9),
    st.integers(1, 4),
)
def test_any_server_gives_only_events(server: bytes, size: int, recipients: int) -> None:
    """No exception, one outcome per transaction and recipient, nothing after Closed."""
    events, said = play(server, size, recipients)
    for event in events[:-1]:
        assert not isinstance(event, Closed)
    for event in events:
        if isinstance(event, TransactionDone):
            assert len(event.replies) == recipients
    assert said.count(b"\n") == said.count(b"\r\n")


@given(
    st.lists(
        st.sampled_from([b"250 ok\r\n", b"550 no\r\n", b"452 no\r\n", b"421 bye\r\n"]), min_size=3, max_size=3
    ),
    st.integers(1, 9),
)
def test_pieces_make_no_difference(rcpts: list[bytes], size: int) -> None:
    def session(step: int) -> tuple[list[Event], bytes]:
        machine = ready()
        machine.send_envelope(envelope("a@x.example", "b@x.example", "c@x.example"))
        out = machine.data_to_send()
        stream = b"250 ok\r\n" + b"".join(rcpts) + b"354 go\r\n"
        events: list[Event] = []
        for start in range(0, len(stream), step):
            events += feed(machine, stream[start : start + step])
            out += machine.data_to_send()
        return events, out

    assert session(size) == session(10_000)
