"""The reader: one meaning for any cut of the octets, BAD for garbage, bounded memory."""

import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sekisho.core.imap.commands import Append, Authenticate, LoginCommand, Search, Select, Simple
from sekisho.core.imap.machine import (
    AppendBegins,
    AppendEnds,
    AppendPiece,
    ContinuationLine,
    Event,
    Fatal,
    ImapMachine,
    Malformed,
    Received,
)
from sekisho.core.imap.responses import Bad, Ok

APPEND_OCTETS = 100_000


def drive(pieces: list[bytes], *, logged_in: bool = True, accept: bool = True) -> tuple[list[Any], bytes]:
    """All events (pieces of a message joined) and what was sent, with IDLE and AUTHENTICATE answered by a
    prompt."""
    reader = ImapMachine(APPEND_OCTETS)
    if logged_in:
        reader.entered()
        reader.selected()
    events: list[Any] = []
    sent = b""

    def take() -> None:
        nonlocal sent
        while True:
            event = reader.next_event()
            sent += reader.data_to_send()
            if event is None:
                return
            note(event)

    def note(event: Event) -> None:
        match event:
            case AppendPiece() if events and isinstance(events[-1], bytes):
                events[-1] += event.octets
            case AppendPiece():
                events.append(event.octets)
            case _:
                events.append(event)
        match event:
            case AppendBegins():
                reader.accept_append() if accept else reader.refuse_append()
            case Received(command=Simple(name="IDLE")) | Received(command=Authenticate()):
                reader.challenge(b"go")

    for piece in pieces:
        reader.receive_data(piece)
        take()
    return events, sent + reader.data_to_send()


def one(octets: bytes, **how: Any) -> Any:
    events, _ = drive([octets], **how)
    assert len(events) == 1, events
    return events[0]


def test_a_command_and_its_tag() -> None:
    assert one(b"A.1 select inbox\r\n") == Received(b"A.1", Select("INBOX", False))


def test_a_synchronising_literal_is_asked_for_once() -> None:
    events, sent = drive([b"a LOGIN {5}\r\n", b"alice {6}\r\n", b'se"ret\r\n'], logged_in=False)
    assert events == [Received(b"a", LoginCommand(b"alice", b'se"ret'))]
    assert sent.count(b"+ ") == 2


def test_a_non_synchronising_literal_is_not_asked_for() -> None:
    events, sent = drive([b"a LOGIN {5+}\r\nalice {3+}\r\na\r\n\r\n"], logged_in=False)
    assert events == [Received(b"a", LoginCommand(b"alice", b"a\r\n"))]
    assert sent == b""


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n",
        b" \r\n",
        b"a\r\n",
        b"a NONSENSE\r\n",
        b"+ NOOP\r\n",
        b"a NOOP \r\n",
        b"a NOOP\n",
        b"a LOGIN a\0b c\r\n",
        b'a LOGIN "a c\r\n',
        b"a SELECT\r\n",
        b"a SELECT (INBOX)\r\n",
        b"a SELECT &bogus\r\n",
        b"a FETCH 0 FLAGS\r\n",
        b"a FETCH 1:99999999999 FLAGS\r\n",
        b"a FETCH 1 BODY[1.2.HEADER\r\n",
        b"a FETCH 1 BODY[MIME]\r\n",
        b"a FETCH 1 BODY[]<0.0>\r\n",
        b"a FETCH 1 (FLAGS\r\n",
        b"a STORE 1 FLAGS \\Recent\r\n",
        b"a SEARCH CHARSET UTF-8 SUBJECT \xff\r\n",
        b"a SEARCH " + b"NOT " * 60 + b"ALL\r\n",
        b"a SEARCH " + b"(" * 5000 + b"\r\n",
        b"a UID NOOP\r\n",
        b"a APPEND INBOX\r\n",
        b"a LOGIN {99999}\r\n",
        b"a LOGIN {99999999999999999999}\r\n",
        b"a LOGIN ~{5}\r\n",
    ],
)
def test_bad_commands_are_answered_bad(line: bytes) -> None:
    assert isinstance(one(line), Malformed)


def test_the_tag_of_a_bad_command_is_known() -> None:
    assert one(b"x7 NONSENSE\r\n").tag == b"x7"
    assert one(b"x*7 NOOP\r\n").tag is None


def test_what_is_too_long_before_login_is_fatal_or_refused_before_the_plus() -> None:
    assert isinstance(one(b"a LOGIN " + b"x" * 9000, logged_in=False), Fatal)
    events, sent = drive([b"a LOGIN {8193}\r\n"], logged_in=False)
    assert isinstance(events[0], Malformed) and sent == b""
    assert isinstance(one(b"a LOGIN {8193+}\r\n", logged_in=False), Fatal)
    assert isinstance(
        one(b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" {5000+}\r\n" + b"y" * 5000 + b"\r\n", logged_in=False),
        Received,
    )


def test_many_literals_do_not_add_up_beyond_the_cap() -> None:
    events, _ = drive([b"a SEARCH", *[b" SUBJECT {8000+}\r\n" + b"x" * 8000] * 20])
    assert isinstance(events[-1], Fatal)


def test_append_streams_its_message() -> None:
    events, sent = drive(
        [b'a APPEND "Sent" (\\Seen $x) "17-Jul-2026 02:44:25 -0700" {9}\r\n', b"Subject: ", b"\r\nb NOOP\r\n"]
    )
    begins, octets, ends, noop = events
    assert begins == AppendBegins(
        b"a", Append(name="Sent", flags=8, keywords=("$x",), date_us=1784281465000000, offset_minutes=-420), 9
    )
    assert octets == b"Subject: "
    assert ends == AppendEnds(None)
    assert noop == Received(b"b", Simple("NOOP"))
    assert sent.startswith(b"+ ")


def test_append_into_a_mailbox_given_as_a_literal() -> None:
    events, _ = drive([b"a APPEND {4+}\r\nSent {3+}\r\nabc\r\n"])
    assert events[0].append.name == "Sent"
    assert events[1:] == [b"abc", AppendEnds(None)]


def test_a_refused_append_is_skipped_when_it_comes_anyway() -> None:
    events, sent = drive([b"a APPEND Sent {3+}\r\nabc\r\nb NOOP\r\n"], accept=False)
    assert [type(event) for event in events] == [AppendBegins, Received]
    assert sent == b""
    events, _ = drive([b"a APPEND Sent {3}\r\nb NOOP\r\n"], accept=False)
    assert [type(event) for event in events] == [AppendBegins, Received]


def test_a_message_with_nul_or_something_behind_it_is_bad() -> None:
    assert drive([b"a APPEND x {3+}\r\na\0b\r\n"])[0][-1].problem
    assert drive([b"a APPEND x {3+}\r\nabc (x)\r\n"])[0][-1].problem


def test_an_append_that_is_too_large_can_be_refused_before_it_comes() -> None:
    events, sent = drive([b"a APPEND x {100001}\r\n"], accept=False)
    assert isinstance(events[0], AppendBegins) and sent == b""
    assert isinstance(one(b"a APPEND x {100001+}\r\n"), Fatal)


def test_nothing_is_read_behind_a_command_before_it_was_answered() -> None:
    reader = ImapMachine(10)
    reader.receive_data(b"a STARTTLS\r\nb NOOP\r\n")
    assert reader.next_event() == Received(b"a", Simple("STARTTLS"))
    assert reader.buffered_octets == len(b"b NOOP\r\n")


def test_idle_takes_one_line() -> None:
    events, sent = drive([b"a IDLE\r\n", b"DONE\r\nb NOOP\r\n"])
    assert events == [
        Received(b"a", Simple("IDLE")),
        ContinuationLine(b"DONE"),
        Received(b"b", Simple("NOOP")),
    ]
    assert sent == b"+ go\r\n"


def test_a_search_with_an_unknown_charset_is_understood_that_far() -> None:
    assert one(b"a SEARCH CHARSET KLINGON SUBJECT x\r\n") == Received(b"a", Search(False, "KLINGON", None))


def test_a_flood_of_parentheses_costs_nothing() -> None:
    reader = ImapMachine(10)
    tracemalloc.start()
    for _ in range(100):
        reader.receive_data(b"(" * 10_000)
        if isinstance(reader.next_event(), Fatal):
            break
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


WORDS = st.sampled_from(
    rb"a|NOOP| |\r\n|\n|\r|\0|(|)|{3}|{3+}\r\n|{3}\r\n|{0+}\r\n|abc|'|\\|*|1:*|b LOGIN |c APPEND INBOX |d "
    rb"FETCH 1 |BODY[|]|HEADER.FIELDS|"
    rb"e SEARCH |NOT |OR |f IDLE\r\n|DONE\r\n|g AUTHENTICATE PLAIN\r\n|h STORE 1 +FLAGS |\\Seen|UID "
    rb"|~|+|&AGE-|\xe9|<0.5>|i LIST |%|"
    rb"j ID ('a' NIL)\r\n|k ENABLE X\r\n|l STATUS INBOX (|MESSAGES|m COPY 1 |n CREATE x (USE "
    rb"(\\Sent))\r\n".replace(b"'", b'"')
    .decode("unicode_escape")
    .encode("latin-1")
    .split(b"|")
)


@given(
    st.lists(WORDS, max_size=40).map(b"".join),
    st.integers(1, 30),
    st.integers(0, 9999),
    st.booleans(),
    st.booleans(),
)
@example(b"c APPEND INBOX {3+}\r\nabc\r\n", 1, 0, False, True)
def test_any_cut_gives_the_same_events(
    octets: bytes, largest: int, seed: int, logged_in: bool, accept: bool
) -> None:
    dice = random.Random(seed)
    pieces, position = [], 0
    while position < len(octets):
        size = dice.randint(1, largest)
        pieces.append(octets[position : position + size])
        position += size
    assert drive(pieces, logged_in=logged_in, accept=accept) == drive(
        [octets], logged_in=logged_in, accept=accept
    )


@given(st.binary(max_size=300))
def test_garbage_gives_events_only(octets: bytes) -> None:
    drive([octets + b"\r\n"])


# A command of each row of RFC 3501 §6, and the states in which it may come.
ANY, OUT, IN, SELECTED = (True, True, True), (True, False, False), (False, True, True), (False, False, True)
STATES = {
    b"CAPABILITY": ANY,
    b"NOOP": ANY,
    b"LOGOUT": ANY,
    b"ID NIL": ANY,
    b"STARTTLS": OUT,
    b"LOGIN a b": OUT,
    b"AUTHENTICATE PLAIN": OUT,
    b"ENABLE CONDSTORE": IN,
    b"NAMESPACE": IN,
    b"IDLE": IN,
    b"SELECT a": IN,
    b"EXAMINE a": IN,
    b"CREATE a": IN,
    b"DELETE a": IN,
    b"RENAME a b": IN,
    b"SUBSCRIBE a": IN,
    b"UNSUBSCRIBE a": IN,
    b'LIST "" *': IN,
    b'LSUB "" *': IN,
    b"STATUS a (MESSAGES)": IN,
    b"APPEND a {3+}\r\nabc": IN,
    b"CHECK": SELECTED,
    b"CLOSE": SELECTED,
    b"UNSELECT": SELECTED,
    b"EXPUNGE": SELECTED,
    b"UID EXPUNGE 1": SELECTED,
    b"SEARCH ALL": SELECTED,
    b"FETCH 1 UID": SELECTED,
    b"STORE 1 FLAGS ()": SELECTED,
    b"COPY 1 a": SELECTED,
    b"UID MOVE 1 a": SELECTED,
}


@pytest.mark.parametrize("command", STATES)
def test_each_command_in_each_state(command: bytes) -> None:
    taken = []
    for state in ("not authenticated", "authenticated", "selected"):
        machine = ImapMachine(APPEND_OCTETS)
        machine.state = state
        machine.receive_data(b"a %b\r\n" % command)
        event = machine.next_event()
        taken.append(isinstance(event, Received | AppendBegins))
        if not taken[-1]:
            machine.answer(event.response)  # type: ignore[union-attr]
            assert machine.data_to_send().startswith(b"a BAD ")
            assert machine.next_event() is None, "a literal of a refused APPEND is no command"
    assert tuple(taken) == STATES[command]


def test_arguments_are_not_looked_at_in_the_wrong_state() -> None:
    machine = ImapMachine(APPEND_OCTETS)
    machine.receive_data(b"a SEARCH " + b"(" * 1000 + b"\r\n")
    assert machine.next_event() == Malformed(b"a", Bad("Log in first"))


def test_untagged_responses_stand_in_front_of_the_answer() -> None:
    machine = ImapMachine(APPEND_OCTETS)
    machine.receive_data(b"x.1 NOOP\r\ny NOOP\r\n")
    assert isinstance(machine.next_event(), Received)
    machine.respond(b"* 3 EXISTS\r\n")
    machine.answer(Ok("Done", "READ-ONLY"))
    assert isinstance(machine.next_event(), Received)
    machine.tell(Ok("[not a code", "CLOSED"))
    machine.answer(Bad("n\u00f6"))
    assert machine.waiting_octets == len(
        b"* 3 EXISTS\r\nx.1 OK [READ-ONLY] Done\r\n* OK [CLOSED]  [not a code\r\ny BAD n?\r\n"
    )
    assert (
        machine.data_to_send()
        == b"* 3 EXISTS\r\nx.1 OK [READ-ONLY] Done\r\n* OK [CLOSED]  [not a code\r\ny BAD n?\r\n"
    )
    assert machine.waiting_octets == 0


def test_nothing_is_read_after_the_end() -> None:
    machine = ImapMachine(APPEND_OCTETS)
    machine.receive_data(b"a NOOP\r\n")
    machine.end("Enough", "UNAVAILABLE")
    assert machine.data_to_send() == b"* BYE [UNAVAILABLE] Enough\r\n"
    assert machine.next_event() is None
    machine.receive_data(b"b NOOP\r\n")
    assert machine.next_event() is None
