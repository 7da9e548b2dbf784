"""The machine alone: a caller that answers at once, dialogs as text, and garbage."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sekisho.core.pop3.events import (
    NEED_DATA,
    Event,
    PasswordLogin,
    Pop3Closed,
    Pop3SaslResponse,
    Quit,
    Retrieve,
    SaslAborted,
    SaslStarted,
    ScanListing,
    StartTls,
)
from sekisho.core.pop3.machine import MAX_LINE_OCTETS, Pop3Machine
from sekisho.core.pop3.maildrop import Maildrop
from sekisho.core.terms.base64 import encode_base64


def _maildrop() -> Maildrop:
    maildrop = Maildrop(77)
    for uid, size in ((3, 120), (5, 200), (9, 1)):
        maildrop.add(uid, size)
    return maildrop


class Caller:
    """Answers every event: password "good" opens the maildrop."""

    def __init__(self, *, is_tls: bool = True, answer_stls: bool = False) -> None:
        self.machine = Pop3Machine("pop.example.test", ("PLAIN", "LOGIN"), is_tls=is_tls, can_stls=True)
        self.events: list[Event] = []
        self.output = bytearray()
        self.answer_stls = answer_stls
        self.run()

    def feed(self, octets: bytes) -> None:
        self.machine.receive_data(octets)
        self.run()

    def run(self) -> None:
        while True:
            event = self.machine.next_event()
            self.output += self.machine.data_to_send()
            if event is NEED_DATA or isinstance(event, Pop3Closed):
                if isinstance(event, Pop3Closed) and event not in self.events:
                    self.events.append(event)
                return
            if not isinstance(event, ScanListing):
                self.events.append(event)
            if not self._answer(event):
                return

    def _answer(self, event: Event) -> bool:
        machine = self.machine
        match event:
            case StartTls():
                if not self.answer_stls:
                    if machine.has_input:
                        self.events.append(machine.next_event())
                    return False
                machine.tls_started(("PLAIN", "LOGIN"))
            case PasswordLogin(_, password):
                machine.open_maildrop(_maildrop()) if password == "good" else machine.refuse_login(
                    "credentials"
                )
            case SaslStarted(_, None):
                machine.challenge(b"")
            case SaslStarted(_, octets) | Pop3SaslResponse(octets):
                machine.open_maildrop(_maildrop()) if octets == b"\0a\0good" else machine.refuse_login(
                    "failed"
                )
            case SaslAborted():
                machine.resume()
            case ScanListing(chunks):
                for chunk in chunks:
                    self.output += chunk
            case Retrieve(number):
                machine.message_follows(5) if number == 1 else machine.message_gone()
                self.output += machine.data_to_send() + b"12345\r\n.\r\n" if number == 1 else b""
            case Quit():
                machine.finish(is_done=True)
        return True


def _dialog(caller: Caller, *lines: str) -> list[str]:
    del caller.output[:]
    for line in lines:
        caller.feed(line.encode() + b"\r\n")
    return caller.output.decode().split("\r\n")[:-1]


def _logged_in() -> Caller:
    caller = Caller()
    _dialog(caller, "USER alice", "PASS good")
    return caller


def test_greeting_has_no_timestamp() -> None:
    assert Caller().output == b"+OK pop.example.test POP3 ready\r\n"


def test_a_session() -> None:
    caller = Caller()
    assert _dialog(caller, "user alice@example.test", "pass good") == [
        "+OK Send the password",
        "+OK maildrop has 3 messages (321 octets)",
    ]
    assert caller.events == [PasswordLogin("alice@example.test", "good")]
    assert _dialog(caller, "STAT", "LIST") == [
        "+OK 3 321",
        "+OK 3 messages (321 octets)",
        "1 120",
        "2 200",
        "3 1",
        ".",
    ]
    assert _dialog(caller, "LIST 2", "UIDL 2", "UIDL") == [
        "+OK 2 200",
        "+OK 2 77.5",
        "+OK unique ids follow",
        "1 77.3",
        "2 77.5",
        "3 77.9",
        ".",
    ]
    assert _dialog(caller, "DELE 2", "DELE 2", "STAT", "LIST 2") == [
        "+OK message 2 will be removed",
        "-ERR No such message",
        "+OK 2 121",
        "-ERR No such message",
    ]
    assert _dialog(caller, "LIST", "UIDL") == [
        "+OK 2 messages (121 octets)",
        "1 120",
        "3 1",
        ".",
        "+OK unique ids follow",
        "1 77.3",
        "3 77.9",
        ".",
    ]
    assert _dialog(caller, "RSET", "STAT", "DELE 1", "DELE 3", "NOOP") == [
        "+OK",
        "+OK 3 321",
        "+OK message 1 will be removed",
        "+OK message 3 will be removed",
        "+OK",
    ]
    assert _dialog(caller, "RETR 2", "RETR 1", "TOP 2 10", "QUIT") == [
        "-ERR [SYS/TEMP] The message cannot be read",
        "-ERR No such message",
        "-ERR [SYS/TEMP] The message cannot be read",
        "+OK Bye",
    ]
    assert caller.events[1:] == [
        Retrieve(2, 5, None),
        Retrieve(2, 5, 10),
        Quit((3, 9)),
        Pop3Closed("quit", True),
    ]


def test_capabilities_depend_on_the_state() -> None:
    before = _dialog(Caller(is_tls=False), "CAPA")
    assert "STLS" in before and "USER" not in before and not any(line.startswith("SASL") for line in before)
    inside = _dialog(Caller(), "CAPA")
    assert {"USER", "SASL PLAIN LOGIN", "UIDL", "TOP", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"} <= set(
        inside
    )
    assert "STLS" not in inside and inside[-1] == "."
    after = _dialog(_logged_in(), "CAPA")
    assert "USER" not in after and "STLS" not in after


def test_no_login_in_the_clear() -> None:
    caller = Caller(is_tls=False)
    answers = _dialog(caller, "USER alice", "PASS good", "AUTH PLAIN AGEAZ29vZA==")
    assert len(answers) == 3 and all(line.startswith("-ERR") for line in answers) and caller.events == []


def test_stls_forgets_the_name() -> None:
    caller = Caller(is_tls=False, answer_stls=True)
    assert _dialog(caller, "STLS", "PASS good", "STLS") == [
        "+OK Begin TLS",
        "-ERR Send USER first",
        "-ERR TLS is active already",
    ]


@pytest.mark.parametrize("behind", [b"\n", b"CAPA\r\n", b"USER alice\r\n", b"\0"])
def test_stls_injection_ends_the_session(behind: bytes) -> None:
    caller = Caller(is_tls=False)
    caller.feed(b"STLS\r\n" + behind)
    assert caller.events == [StartTls(), Pop3Closed("plaintext behind STLS")]
    assert caller.output.count(b"\r\n") == 2


def test_sasl_with_and_without_initial_response() -> None:
    initial = encode_base64(b"\0a\0good").decode()
    assert _dialog(Caller(), f"AUTH PLAIN {initial}")[-1].startswith("+OK maildrop")
    caller = Caller()
    assert _dialog(caller, "auth plain", initial) == ["+ ", "+OK maildrop has 3 messages (321 octets)"]
    assert caller.events == [SaslStarted("PLAIN", None), Pop3SaslResponse(b"\0a\0good")]
    caller = Caller()
    _dialog(caller, "AUTH PLAIN =")
    assert caller.events == [SaslStarted("PLAIN", b"")]


def test_sasl_that_breaks_off() -> None:
    caller = Caller()
    answers = _dialog(
        caller,
        "AUTH PLAIN",
        "*",
        "AUTH LOGIN",
        "no base64!",
        "AUTH PLAIN =Q",
        "AUTH CRAM-MD5",
        "AUTH",
        "NOOP",
    )
    assert [line[:4] for line in answers] == ["+ ", "-ERR", "+ ", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"]
    assert [type(event) for event in caller.events] == [
        SaslStarted,
        SaslAborted,
        SaslStarted,
        SaslAborted,
        SaslAborted,
    ]


def test_three_failed_logins_end_the_session() -> None:
    caller = Caller()
    answers = _dialog(caller, *["USER a", "PASS bad"] * 4)
    assert answers.count("-ERR [AUTH] The user name or the password is wrong") == 3 and len(answers) == 6
    assert caller.events[-1] == Pop3Closed("too many failed logins")


def test_a_password_may_have_spaces() -> None:
    caller = Caller()
    _dialog(caller, "USER a", "PASS  two  words ")
    assert caller.events == [PasswordLogin("a", " two  words ")]


def test_the_password_follows_its_name_only_once() -> None:
    assert _dialog(Caller(), "PASS good")[-1].startswith("-ERR")
    assert _dialog(Caller(), "USER a", "PASS bad", "PASS good")[-1] == "-ERR Send USER first"


def test_too_many_errors_end_the_session() -> None:
    caller = Caller()
    answers = _dialog(caller, *["FOO"] * 20)
    assert answers == ["-ERR Unknown command"] * 9 + ["-ERR Too many errors"]
    assert caller.events == [Pop3Closed("too many errors")]


@pytest.mark.parametrize("line", ["STAT", "LIST", "RETR 1", "DELE 1", "UIDL", "TOP 1 1", "RSET", "NOOP"])
def test_transaction_commands_need_a_login(line: str) -> None:
    assert _dialog(Caller(), line) == ["-ERR Not in this state"]


@pytest.mark.parametrize(
    "line",
    [
        "USER a",
        "PASS good",
        "AUTH PLAIN",
        "STLS",
        "APOP a b",
        "LAST",
        "XTND",
        "RETR",
        "RETR x",
        "RETR 1 2",
        "RETR -1",
    ],
)
@pytest.mark.parametrize("more", [["TOP 1", "DELE", "LIST a", "TOP 1 -1", "RETR 99999999999"]])
def test_what_is_wrong_after_login(line: str, more: list[str]) -> None:
    assert all(answer.startswith("-ERR") for answer in _dialog(_logged_in(), line, *more))


@pytest.mark.parametrize("number", ["0", "4", "9999999999"])
def test_numbers_that_name_nothing(number: str) -> None:
    assert _dialog(_logged_in(), f"RETR {number}", f"LIST {number}") == ["-ERR No such message"] * 2


def test_lines_are_bounded() -> None:
    caller = Caller()
    caller.feed(b"USER " + b"a" * MAX_LINE_OCTETS)
    assert caller.events == [Pop3Closed("line too long")]
    caller.feed(b"more\r\n")
    assert caller.events == [Pop3Closed("line too long")]
    caller = Caller()
    caller.feed(b"USER " + b"a" * (MAX_LINE_OCTETS - 7) + b"\r\n")
    assert caller.events == [] and caller.output.endswith(b"+OK Send the password\r\n")


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\0OP\r\n", b"CAPA\r\r\n", b"USER a\tb\r\n"])
def test_bare_ends_and_controls_are_refused(line: bytes) -> None:
    caller = Caller()
    del caller.output[:]
    caller.feed(line)
    assert caller.output.startswith(b"-ERR A line must end in CRLF")


def test_shutdown_removes_nothing() -> None:
    caller = _logged_in()
    _dialog(caller, "DELE 1")
    caller.machine.shut_down()
    caller.run()
    assert caller.events[-1] == Pop3Closed("shutdown") and b"[SYS/TEMP]" in caller.output
    assert not any(isinstance(event, Quit) for event in caller.events)


def test_replies_to_many_pipelined_commands_go_out_in_between() -> None:
    caller = _logged_in()
    del caller.output[:]
    caller.machine.receive_data(b"NOOP\r\n" * 1000)
    assert isinstance(caller.machine.next_event(), ScanListing)
    assert len(caller.machine.data_to_send()) < 10_000
    caller.run()
    assert caller.output.count(b"+OK") < 1000


def test_an_event_must_be_answered() -> None:
    machine = Pop3Machine("h", ("PLAIN",), is_tls=True, can_stls=False)
    machine.receive_data(b"USER a\r\nPASS b\r\n")
    assert isinstance(machine.next_event(), PasswordLogin)
    with pytest.raises(RuntimeError):
        machine.next_event()
    with pytest.raises(RuntimeError):
        machine.finish(is_done=True)


def test_a_big_maildrop_comes_in_pieces() -> None:
    maildrop = Maildrop(1)
    for uid in range(1, 5001):
        maildrop.add(uid, 10)
    chunks = list(maildrop.unique_id_listing())
    assert len(chunks) == 4 and b"".join(chunks).count(b"\r\n") == 5001 and chunks[-1] == b".\r\n"
    assert maildrop.octets == 50_000


COMMANDS = [
    b"USER a", b"PASS good", b"PASS bad", b"CAPA", b"STLS", b"AUTH PLAIN", b"AUTH PLAIN AGEAZ29vZA==",
    b"AGEAZ29vZA==", b"*", b"STAT",
    b"LIST", b"LIST 1", b"UIDL", b"RETR 1", b"RETR 3", b"TOP 1 0", b"DELE 1", b"RSET", b"NOOP", b"QUIT",
    b"\xff\0", b"", b" ",
    b"RETR", b"x" * 9000, b"\n", b"\r",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(COMMANDS) | st.binary(max_size=12), max_size=25), st.booleans(), st.booleans()
)
@example([b"STLS", b"CAPA"], False, True)
def test_whole_or_byte_by_byte(lines: list[bytes], is_tls: bool, by_crlf: bool) -> None:
    octets = b"".join(line + (b"\r\n" if by_crlf else b"\n") for line in lines)
    whole, single = Caller(is_tls=is_tls), Caller(is_tls=is_tls)
    whole.feed(octets)
    for index in range(len(octets)):
        if single.events and isinstance(single.events[-1], StartTls):
            single.machine.receive_data(octets[index : index + 1])
            single.run()
        else:
            single.feed(octets[index : index + 1])
    assert single.events == whole.events
    assert single.output == whole.output
