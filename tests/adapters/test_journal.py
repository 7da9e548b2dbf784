import asyncio
import json
import os
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.adapters.journal import StructlogJournal, catch_strays, escape
from sekisho.ports.journal import Entry
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal

Written = Callable[[], list[bytes]]


@pytest.fixture
def pipe():
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    yield write_end, lambda: os.read(read_end, 1_000_000).splitlines(keepends=True)
    os.close(read_end)
    os.close(write_end)


def test_json(pipe) -> None:
    descriptor, written = pipe
    journal = StructlogJournal(ManualClock(1_800_000_000_123_456), descriptor=descriptor, worker=3)
    journal.record(Entry("reception.accepted", "abc", {"size": 5, "spf": "pass", "tls": True, "note": None}))
    assert [json.loads(line) for line in written()] == [
        {
            "time": "2027-01-15T08:00:00.123Z",
            "kind": "reception.accepted",
            "worker": 3,
            "size": 5,
            "spf": "pass",
            "tls": True,
            "note": None,
            "id": "abc",
        }
    ]


def test_text(pipe) -> None:
    descriptor, written = pipe
    journal = StructlogJournal(ManualClock(), form="text", descriptor=descriptor, worker=3)
    journal.record(
        Entry(
            "reception.refused",
            "abc",
            {"helo": 'a "b" c', "empty": "", "tls": False, "none": None, "pair": "a=b"},
        )
    )
    assert written() == [
        (
            b'2027-01-15T08:00:00.000Z reception.refused worker=3 helo="a \\"b\\" c" empty="" tls=false '
            b'pair="a=b" id=abc\n'
        )
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_peer_cannot_forge_a_line(pipe, form) -> None:
    descriptor, written = pipe
    journal = StructlogJournal(ManualClock(), form=form, descriptor=descriptor)
    journal.record(
        Entry(
            "x", "id\nid", {"helo": 'a\r\n2027 forged\x1b[31m\x85\u2028\u202e\udc80"', "long": "x" * 10_000}
        )
    )
    (line,) = written()
    assert line.count(b"\n") == 1
    assert b"\\x0d\\x0a" in line.replace(b"\\\\", b"\\")
    assert not any(octet < 32 for octet in line[:-1])
    assert len(line) < 1000


@given(st.text())
def test_escape(text: str) -> None:
    escaped = escape(text)
    assert escaped.encode("utf-8").decode() == escaped
    assert escaped.isprintable() or not any(
        ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u2028\u2029" for c in escaped
    )


def test_a_fault_has_its_traceback_in_one_line(pipe) -> None:
    descriptor, written = pipe
    journal = StructlogJournal(ManualClock(), descriptor=descriptor)
    try:
        raise ValueError("broken\nhere")
    except ValueError as error:
        fault_id = journal.fault("smtp", error)
    (line,) = written()
    said = json.loads(line)
    assert (said["kind"], said["where"], said["id"]) == ("fault", "smtp", fault_id)
    assert said["error"] == "ValueError('broken\\nhere')"
    assert "test_journal.py" in said["traceback"]
    assert "ValueError: broken" in said["traceback"]


def test_a_value_of_no_known_type_is_told_and_raises_nothing(pipe) -> None:
    descriptor, written = pipe
    journal = StructlogJournal(ManualClock(), descriptor=descriptor)
    journal.record(Entry("x", fields={"bad": object()}))  # type: ignore[dict-item]  # the mistake under test
    journal.record(Entry("x", fields={"big": 1 << 70}))
    kinds = [json.loads(line)["kind"] for line in written()]
    assert kinds[0] == "journal.unwritable"
    assert len(kinds) == 2


def test_names_of_fields_are_free(pipe) -> None:
    descriptor, written = pipe
    StructlogJournal(ManualClock(), descriptor=descriptor).record(
        Entry("x", fields={"event": "e", "self": "s", "method_name": "m"})
    )
    said = json.loads(written()[0])
    assert (said["kind"], said["event"], said["self"], said["method_name"]) == ("x", "e", "s", "m")


def test_a_closed_descriptor_loses_lines_only() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    journal = StructlogJournal(ManualClock(), descriptor=write_end)
    journal.record(Entry("x"))
    os.close(write_end)
    journal.record(Entry("x"))


def test_a_rotated_file_is_written_to_anew(pipe) -> None:
    descriptor, written = pipe
    old, new = os.pipe()
    journal = StructlogJournal(ManualClock(), descriptor=new)
    journal.record(Entry("before"))
    journal.redirect(descriptor)
    journal.record(Entry("after"))
    assert [json.loads(line)["kind"] for line in (*os.read(old, 1000).splitlines(), *written())] == [
        "before",
        "after",
    ]
    os.close(old)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(new)  # the old one is closed


async def test_lines_of_one_turn_go_out_together(pipe) -> None:
    descriptor, written = pipe
    journal = StructlogJournal(ManualClock(), descriptor=descriptor)
    for number in range(3):
        journal.record(Entry("x", fields={"n": number}))
    with pytest.raises(BlockingIOError):
        written()
    await asyncio.sleep(0)
    assert [json.loads(line)["n"] for line in written()] == [0, 1, 2]
    journal.record(Entry("last"))
    journal.flush()
    assert len(written()) == 1


async def test_strays_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    journal, loop = MemoryJournal(), asyncio.get_running_loop()
    catch_strays(journal, loop)
    loop.call_soon(lambda: 1 // 0)
    await asyncio.sleep(0)
    loop.call_exception_handler({"message": "something odd"})
    assert [where for where, _ in journal.faults] == ["loop"]
    assert journal.entries[0].fields == {"message": "something odd"}

    class Awkward:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    Awkward()
    assert "in a destructor" in str(journal.entries[1].fields["error"])
