"""The ledger: what was kept is found by every key, newest first, and goes when its time is over."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.adapters.stores.sqlite.ledger import LedgerLimits, SqliteLedger
from sekisho.ports.journal import Entry
from sekisho.ports.ledger import LedgerEntry, normal_key
from sekisho.testing.clock import ManualClock

DAY = 86_400


def open_memory(directory: Path, clock: ManualClock) -> MemoryLedger:
    return MemoryLedger(clock, keep_days=7)


def open_sqlite(directory: Path, clock: ManualClock) -> SqliteLedger:
    return SqliteLedger(
        directory,
        clock,
        LedgerLimits(keep_days=7, free_disk_octets=0),
        lambda count, why: pytest.fail(why),
        alone=True,
    )


BACKENDS: dict[str, Callable[[Path, ManualClock], Any]] = {"memory": open_memory, "sqlite": open_sqlite}


@pytest.fixture(params=BACKENDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Any]:
    ledger = BACKENDS[request.param](tmp_path, clock)
    yield ledger
    ledger.close()


def refused(number: int, *about: str) -> Entry:
    return Entry(
        "reception.refused",
        f"id{number}",
        {"client": "192.0.2.1", "octets": number, "held": None, "tls": True, "s": 0.5},
        about,
    )


async def test_an_entry_comes_back_as_it_was(ledger: Any, clock: ManualClock) -> None:
    entry = refused(1, "a@example.org", "<x.y@example.org>", "192.0.2.1", "example.org")
    ledger.keep(clock.now_us(), entry)
    await ledger.settle()
    for key in (
        "id1",
        "a@example.org",
        "x.y@example.org",
        "<X.Y@example.org>",
        " A@EXAMPLE.ORG ",
        "192.0.2.1",
        "example.org",
    ):
        (found,) = await ledger.find(key)
        assert found == LedgerEntry(
            at_us=clock.now_us(), kind=entry.kind, id=entry.id, fields=dict(entry.fields), about=entry.about
        )
    assert await ledger.find("b@example.org") == []
    assert await ledger.find("") == []


async def test_newest_first_bounded_and_since(ledger: Any, clock: ManualClock) -> None:
    for number in range(20):
        ledger.keep(clock.now_us(), refused(number, "a@example.org", f"{number}@example.org"))
        clock.advance(60)
        if number % 6 == 0:
            await ledger.settle()
    await ledger.settle()
    assert [entry.id for entry in await ledger.find("a@example.org", limit=3)] == ["id19", "id18", "id17"]
    assert len(await ledger.find("a@example.org")) == 20
    since_us = clock.now_us() - 5 * 60 * 1_000_000
    assert [entry.id for entry in await ledger.find("a@example.org", since_us=since_us)] == [
        "id19",
        "id18",
        "id17",
        "id16",
        "id15",
    ]
    assert [entry.id for entry in await ledger.find("3@example.org")] == ["id3"]


async def test_the_span_tells_how_far_it_reaches(ledger: Any, clock: ManualClock) -> None:
    assert (await ledger.span()).oldest_at_us == 0
    began_us = clock.now_us()
    for number in range(3):
        ledger.keep(clock.now_us(), refused(number))
        clock.advance(DAY)
    await ledger.settle()
    span = await ledger.span()
    assert (span.entries, span.oldest_at_us) == (3, began_us)


async def test_what_is_too_old_goes(ledger: Any, clock: ManualClock) -> None:
    for number in range(12):
        ledger.keep(clock.now_us(), refused(number, "a@example.org"))
        await ledger.settle()
        clock.advance(DAY)
    while ledger.trim():
        pass
    kept = [entry.id for entry in await ledger.find("a@example.org")]
    assert kept[:7] == [f"id{number}" for number in range(11, 4, -1)] and len(kept) <= 8
    assert await ledger.find("id0") == []


async def test_what_no_store_can_hold_is_kept_as_text(ledger: Any, clock: ManualClock) -> None:
    ledger.keep(
        clock.now_us(), Entry("reception.refused", "id1", {"hello": "\udc80" * 50_000}, ("a@example.org",))
    )
    await ledger.settle()
    assert [entry.id for entry in await ledger.find("a@example.org")] == ["id1"]


@pytest.mark.parametrize(
    ("text", "key"),
    [("<A@B.Example>", "a@b.example"), ("Ｋ", "ｋ"), ("e\u0301@x", "é@x"), (" <1> ", "1"), ("<", "<")],
)
def test_normal_key(text: str, key: str) -> None:
    assert normal_key(text) == key
