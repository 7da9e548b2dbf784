"""ManageSieve as a machine: dialogs, limits before and after the login, the same whole or byte by byte."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.effort import effort

from sekisho.core.managesieve.events import (
    NEED_MORE,
    LoggedOut,
    LoginAnswered,
    LoginBegun,
    LoginDropped,
    ManageSieveEvent,
    ScriptRequest,
    SessionOver,
    TlsAsked,
)
from sekisho.core.managesieve.machine import ManageSieveMachine, ManageSieveRules

RULES = ManageSieveRules(
    implementation="sekisho", capabilities=("copy", "fileinto"), script_octets=10_000, redirects=4
)
PLAIN = base64.b64encode(b"\0taro\0secret")


def machine(*, is_tls: bool = True) -> ManageSieveMachine:
    made = ManageSieveMachine(RULES, ("SCRAM-SHA-256", "PLAIN"), is_tls=is_tls, can_starttls=not is_tls)
    made.data_to_send()
    return made


def logged_in() -> ManageSieveMachine:
    made = machine()
    made.receive_data(b'AUTHENTICATE "PLAIN" "%b"\r\n' % PLAIN)
    assert made.next_event() == LoginBegun("PLAIN", b"\0taro\0secret")
    made.log_in("taro@example.org")
    assert made.data_to_send() == b'OK "Logged in"\r\n'
    return made


def run(made: ManageSieveMachine, pieces: list[bytes]) -> tuple[list[ManageSieveEvent], bytes]:
    """Every event, each answered in the same way; and what was said."""
    events: list[ManageSieveEvent] = []
    for piece in pieces:
        made.receive_data(piece)
        while (event := made.next_event()) is not NEED_MORE:
            events.append(event)
            match event:
                case SessionOver():
                    return events, made.data_to_send()
                case TlsAsked():
                    return events, made.data_to_send()
                case LoginBegun():
                    made.challenge(b"more")
                case LoginAnswered(octets):
                    made.log_in("taro@example.org") if octets == b"yes" else made.refuse_login("credentials")
                case LoginDropped():
                    made.resume()
                case ScriptRequest():
                    made.ok()
                case LoggedOut():
                    made.ok()
    return events, made.data_to_send()


def test_the_greeting_tells_what_there_is() -> None:
    made = ManageSieveMachine(RULES, ("PLAIN",), is_tls=False, can_starttls=True)
    lines = made.data_to_send().split(b"\r\n")
    assert (
        b'"SASL" ""' in lines
        and b'"STARTTLS"' in lines
        and b'"SIEVE" "copy fileinto"' in lines
        and lines[-2].startswith(b"OK ")
    )
    inside = ManageSieveMachine(RULES, ("PLAIN",), is_tls=True, can_starttls=False).data_to_send()
    assert b'"SASL" "PLAIN"' in inside and b"STARTTLS" not in inside


def test_starttls() -> None:
    made = machine(is_tls=False)
    made.receive_data(b"starttls\r\n")
    assert made.next_event() == TlsAsked() and made.data_to_send() == b'OK "Begin TLS"\r\n'
    made.tls_started(("PLAIN",))
    assert b'"SASL" "PLAIN"' in made.data_to_send()


@pytest.mark.parametrize("rest", [b"C", b"CAPABILITY\r\n"])
def test_a_byte_behind_starttls_ends_the_session(rest: bytes) -> None:
    """THREATS 2"""
    made = machine(is_tls=False)
    made.receive_data(b"STARTTLS\r\n" + rest)
    assert made.next_event() == TlsAsked()
    assert made.next_event() == SessionOver("plaintext behind STARTTLS")


def test_no_login_without_tls() -> None:
    events, said = run(machine(is_tls=False), [b'AUTHENTICATE "PLAIN" "%b"\r\n' % PLAIN])
    assert events == [] and said.startswith(b"NO (ENCRYPT-NEEDED)")


def test_a_login_in_steps() -> None:
    made = machine()
    events, said = run(
        made, [b'AUTHENTICATE "PLAIN"\r\n', b'"%b"\r\n' % base64.b64encode(b"yes"), b"LISTSCRIPTS\r\n"]
    )
    assert events == [LoginBegun("PLAIN", None), LoginAnswered(b"yes"), ScriptRequest(command="LISTSCRIPTS")]
    assert said == b'"%b"\r\nOK "Logged in"\r\nOK\r\n' % base64.b64encode(b"more")


@pytest.mark.parametrize("answer", [b'"*"\r\n', b"x\r\n", b'"!!"\r\n', b"\r\n"])
def test_an_exchange_can_be_dropped(answer: bytes) -> None:
    events, said = run(machine(), [b'AUTHENTICATE "PLAIN"\r\n', answer, b"NOOP\r\n"])
    assert events[-1] == LoginDropped() and said.endswith(b'OK "Done"\r\n') and b"NO " in said


def test_an_empty_initial_response_is_one() -> None:
    """THREATS 32"""
    made = machine()
    made.receive_data(b'AUTHENTICATE "PLAIN" ""\r\n')
    assert made.next_event() == LoginBegun("PLAIN", b"")


def test_guesses_end_the_session() -> None:
    made = machine()
    for _ in range(3):
        made.receive_data(b'AUTHENTICATE "PLAIN" "%b"\r\n' % PLAIN)
        assert isinstance(made.next_event(), LoginBegun)
        made.refuse_login("credentials")
    assert made.next_event() == SessionOver("too many failed logins") and b"BYE" in made.data_to_send()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'PUTSCRIPT "a" {5+}\r\nkeep;\r\n', ScriptRequest(command="PUTSCRIPT", name="a", octets=b"keep;")),
        (b'putscript {1+}\r\na "keep;"\r\n', ScriptRequest(command="PUTSCRIPT", name="a", octets=b"keep;")),
        (b'PUTSCRIPT "a" {0+}\r\n\r\n', ScriptRequest(command="PUTSCRIPT", name="a")),
        (b'SETACTIVE ""\r\n', ScriptRequest(command="SETACTIVE")),
        (b'SETACTIVE "say \\"hi\\""\r\n', ScriptRequest(command="SETACTIVE", name='say "hi"')),
        ('GETSCRIPT "規則"\r\n'.encode(), ScriptRequest(command="GETSCRIPT", name="規則")),
        (b'HAVESPACE "a" 1000\r\n', ScriptRequest(command="HAVESPACE", name="a", size=1000)),
        (b'RENAMESCRIPT "a" "b"\r\n', ScriptRequest(command="RENAMESCRIPT", name="a", new_name="b")),
        (b"LISTSCRIPTS\r\n", ScriptRequest(command="LISTSCRIPTS")),
    ],
)
def test_commands(sent: bytes, expected: ScriptRequest) -> None:
    made = logged_in()
    for pieces in ([sent], [sent[n : n + 1] for n in range(len(sent))]):
        assert run(made, pieces)[0] == [expected]


@pytest.mark.parametrize(
    "sent",
    [
        b"PUTSCRIPT\r\n",
        b'PUTSCRIPT "a"\r\n',
        b'HAVESPACE "a" "b"\r\n',
        b"FROB\r\n",
        b'"x"\r\n',
        b"\r\n",
        b'SETACTIVE "\xff"\r\n',
        b"NOOP x\r\n",
        b'GETSCRIPT "a" "b" "c" "d" "e" "f"\r\n',
        b'GETSCRIPT  "a"\r\n',
        b'GETSCRIPT "a"x\r\n',
        b'GETSCRIPT "a\n',
        b"LISTSCRIPTS\n",
    ],
)
def test_mistakes_are_told_and_forgiven(sent: bytes) -> None:
    events, said = run(logged_in(), [sent, b"NOOP\r\n"])
    assert events == [] and said.startswith(b"NO ") and said.endswith(b'OK "Done"\r\n')


def test_many_mistakes_are_not() -> None:
    events, said = run(machine(), [b"FROB\r\n" * 20])
    assert events == [SessionOver("too many errors")] and said.endswith(b'BYE "Too many errors"\r\n')


def test_noop_gives_its_string_back() -> None:
    assert run(machine(), [b'NOOP "x\\"y"\r\n'])[1] == b'OK (TAG {3}\r\nx"y) "Done"\r\n'


def test_who_unauthenticates_is_a_stranger() -> None:
    events, said = run(logged_in(), [b"UNAUTHENTICATE\r\nLISTSCRIPTS\r\n"])
    assert events == [LoggedOut()] and said == b'OK\r\nNO "Log in first"\r\n'


def test_a_script_that_is_too_large_is_read_past() -> None:
    made = logged_in()
    sent = b'PUTSCRIPT "a" {20000+}\r\n' + b"x" * 20_000 + b'\r\nGETSCRIPT "a"\r\n'
    for size in (len(sent), 777):
        events, said = run(made, [sent[n : n + size] for n in range(0, len(sent), size)])
        assert (
            events == [ScriptRequest(command="GETSCRIPT", name="a")]
            and said == b'NO "The script is too large"\r\nOK\r\n'
        )


def test_strangers_cannot_fill_memory() -> None:
    """THREATS 32"""
    for sent in (b"PUTSCRIPT {9999999999+}\r\n", b'"' + b"a" * 100_000, b"A" * 100_000, b"{" * 10_000):
        made = machine()
        events, _ = run(made, [sent])
        assert isinstance(events[-1], SessionOver)
    made = machine()
    made.receive_data(b'AUTHENTICATE "PLAIN" {400000+}\r\n')
    for _ in range(4):
        made.receive_data(b"x" * 100_000)
        assert made.next_event() is NEED_MORE and len(made._reader.buffer) < 100
    made.receive_data(b"\r\n")
    assert made.next_event() is NEED_MORE and made.data_to_send().startswith(b"NO ")


def test_small_pieces_cost_no_more() -> None:
    made = logged_in()
    sent = b'PUTSCRIPT "a" {9000+}\r\n' + b"x" * 9000 + b"\r\n"
    with effort(0.5, "a script byte by byte"):
        assert len(run(made, [sent[n : n + 1] for n in range(len(sent))])[0]) == 1


PIECES = st.sampled_from(
    [
        b'AUTHENTICATE "PLAIN"',
        b' "AAAA"',
        b"\r\n",
        b"STARTTLS",
        b"LOGOUT",
        b"NOOP",
        b'PUTSCRIPT "a" ',
        b"{3+}\r\nabc",
        b'"eWVz"',
        b'"*"',
        b" ",
        b'"',
        b"LISTSCRIPTS\r\n",
        b"\n",
        b"{99+}\r\n",
        b"\x00",
        b"\xff",
        b"x" * 100,
        b"CAPABILITY\r\n",
        b"UNAUTHENTICATE\r\n",
        b"{0+}\r\n",
    ]
)


@given(st.lists(PIECES, max_size=30), st.integers(1, 7))
@example(
    [b'AUTHENTICATE "PLAIN"', b"\r\n", b'"eWVz"', b"\r\n", b'PUTSCRIPT "a" ', b"{3+}\r\nabc", b"\r\n"], 1
)
def test_whole_or_in_pieces_is_the_same(pieces: list[bytes], size: int) -> None:
    sent = b"".join(pieces)
    whole = run(machine(), [sent])
    assert run(machine(), [sent[n : n + size] for n in range(0, len(sent), size)])[0] == whole[0]
