"""Dovecot's authentication protocol: whole or byte by byte the same, and nothing but its own errors for
garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.sasl.dovecot import (
    MAX_LINE_OCTETS,
    AuthServerMachine,
    Begun,
    Broken,
    Cancelled,
    Continued,
    Event,
)

HELLO = b"VERSION\t1\t1\nCPID\t4711\n"


def machine() -> AuthServerMachine:
    return AuthServerMachine(("SCRAM-SHA-256", "PLAIN", "XOAUTH2"), 42, 7, "0" * 32)


def events(made: AuthServerMachine, octets: bytes, *, bytewise: bool = False) -> list[Event]:
    found = []
    for piece in [octets[n : n + 1] for n in range(len(octets))] if bytewise else [octets]:
        made.receive_data(piece)
        while (event := made.next_event()) is not None and event not in found[-1:]:
            found.append(event)
    return found


def test_the_greeting() -> None:
    assert machine().data_to_send() == (
        b"VERSION\t1\t2\nMECH\tSCRAM-SHA-256\tmutual-auth\nMECH\tPLAIN\tplaintext\nMECH\tXOAUTH2\n"
        b"SPID\t42\nCUID\t7\n"
        b"COOKIE\t" + b"0" * 32 + b"\nDONE\n"
    )


@pytest.mark.parametrize("bytewise", [False, True])
def test_an_exchange(bytewise: bool) -> None:
    made = machine()
    made.data_to_send()
    begun = events(
        made,
        HELLO + b"AUTH\t1\tplain\tservice=smtp\tnologin\trip=192.0.2.1\tsecured\tsession=a\x01tb\x011\n",
        bytewise=bytewise,
    )
    facts = {"service": "smtp", "nologin": "", "rip": "192.0.2.1", "secured": "", "session": "a\tb\x01"}
    assert begun == [Begun(1, "PLAIN", facts, None)]
    made.challenge(1, b"")
    assert made.data_to_send() == b"CONT\t1\t\n"
    assert events(made, b"CONT\t1\tAGEAYg==\n", bytewise=bytewise) == [Continued(1, b"\0a\0b")]
    made.accept(1, "a\tb")
    assert made.data_to_send() == b"OK\t1\tuser=a\x01tb\n"
    made.refuse(1)  # too late
    assert made.data_to_send() == b""


def test_exchanges_run_side_by_side() -> None:
    made = machine()
    made.data_to_send()
    found = events(
        made,
        HELLO + b"AUTH\t1\tPLAIN\tresp=AGEAYg==\r\nAUTH\t4294967295\tPLAIN\tservice=imap\tresp=\n"
        b"AUTH\t3\tPLAIN\tresp==\n",
    )
    assert [(e.number, e.initial) for e in found if isinstance(e, Begun)] == [
        (1, b"\0a\0b"),
        (4294967295, b""),
        (3, b""),
    ]
    made.refuse(4294967295)
    made.refuse(1, temporarily=True)
    assert made.data_to_send() == b"FAIL\t4294967295\nFAIL\t1\ttemp\tcode=temp_fail\n"
    assert events(made, b"CANCEL\t3\n") == [Cancelled(3)]
    made.accept(3, "a")
    assert made.data_to_send() == b""
    assert [e.number for e in events(made, b"AUTH\t3\tPLAIN\n") if isinstance(e, Begun)] == [3]  # free again


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"AUTH\t1\tCRAM-MD5\n", b"FAIL\t1\n"),
        (b"AUTH\t1\tPLAIN\tresp=!\n", b"FAIL\t1\n"),
        (b"AUTH\t1\tPLAIN\tresp=AA\tAA\n", b"FAIL\t1\n"),
        (b"AUTH\t1\n", b"FAIL\t1\n"),
        (b"AUTH\t1\tPLAIN\tresp=" + b"A" * MAX_LINE_OCTETS + b"\nAUTH\t2\tNONE\n", b"FAIL\t1\nFAIL\t2\n"),
        (b"CONT\t7\tAA==\n", b"FAIL\t7\n"),
        (b"CONT\t7\n", b"FAIL\t7\n"),
        (b"LATER\t7\tx\n", b"FAIL\t7\n"),
    ],
)
def test_what_fails_by_itself(line: bytes, answer: bytes) -> None:
    made = machine()
    made.data_to_send()
    assert events(made, HELLO + line) == [] and made.data_to_send() == answer


def test_a_response_that_is_not_base64() -> None:
    made = machine()
    events(made, HELLO + b"AUTH\t1\tPLAIN\n")
    made.challenge(1, b"")
    made.data_to_send()
    assert events(made, b"CONT\t1\t?\n") == [Cancelled(1)] and made.data_to_send() == b"FAIL\t1\n"
    assert events(made, b"CONT\t1\tAA==\n") == [] and made.data_to_send() == b"FAIL\t1\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"CONT\t1\tAA==\n", b"FAIL\t1\n"),
        (b"AUTH\t1\tPLAIN\n", b"FAIL\t1\nFAIL\t1\n"),
        (b"CONT\t1\t" + b"A" * 3 * MAX_LINE_OCTETS + b"\n", b"FAIL\t1\n"),
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_what_ends_an_exchange_and_no_other(line: bytes, answer: bytes, bytewise: bool) -> None:
    made = machine()
    events(made, HELLO + b"AUTH\t1\tPLAIN\nAUTH\t2\tPLAIN\n")
    made.data_to_send()
    assert events(made, line, bytewise=bytewise) == [Cancelled(1)] and made.data_to_send() == answer
    made.accept(2, "a")
    assert made.data_to_send() == b"OK\t2\tuser=a\n"


def test_a_long_line_is_not_kept() -> None:
    made = machine()
    events(made, HELLO + b"AUTH\t1\tPLAIN\tresp=")
    for _ in range(100):
        assert events(made, b"A" * MAX_LINE_OCTETS) == [] and len(made._input) < MAX_LINE_OCTETS


def test_what_is_asked_before_the_greeting_is_answered_too() -> None:
    made = machine()
    made.data_to_send()
    assert isinstance(events(made, b"AUTH\t5\tPLAIN\n")[-1], Broken) and made.data_to_send() == b"FAIL\t5\n"


@pytest.mark.parametrize(
    "octets",
    [
        b"AUTH\t1\tPLAIN\n",
        b"VERSION\t2\t0\n",
        b"VERSION\n",
        HELLO + b"AUTH\n",
        HELLO + b"AUTH\tx\tPLAIN\n",
        HELLO + b"AUTH\t4294967296\tPLAIN\n",
        HELLO + b"CANCEL\t\n",
        HELLO + b"x" * MAX_LINE_OCTETS,
        b"EHLO there\r\n",
    ],
)
def test_another_protocol_ends_the_connection(octets: bytes) -> None:
    found = events(machine(), octets)
    assert isinstance(found[-1], Broken)


def test_what_later_versions_say_is_passed_over() -> None:
    assert events(machine(), HELLO + b"SERVICE\tSMTP\nLATER\tx\n") == []


@given(st.binary(max_size=200))
def test_garbage(octets: bytes) -> None:
    assert events(machine(), HELLO + octets) == events(machine(), HELLO + octets, bytewise=True)
