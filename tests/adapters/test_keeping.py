"""What goes to the log alone, and what into the ledger too."""

import pytest

from sekisho.adapters.keeping import KeepingJournal
from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.ports.journal import Entry
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.parametrize(
    ("kind", "is_kept"),
    [
        ("reception.refused", True),
        ("relay.attempt", True),
        ("relay.connected", False),
        ("authentication.refused", True),
        ("admin.account.add", True),
        ("access.imap", False),
        ("worker.died", False),
        ("resolver.probed", False),
        ("a.new_kind", True),
    ],
)
async def test_everything_goes_to_the_log_and_the_rest_into_the_ledger(
    kind: str, is_kept: bool, clock: ManualClock
) -> None:
    log, ledger = MemoryJournal(), MemoryLedger(clock)
    journal = KeepingJournal(log, clock, ledger)
    for _ in range(2):
        journal.record(Entry(kind, "x", {"a": 1}))
    assert log.kinds() == [kind, kind]
    assert [entry.kind for entry in await ledger.find("x")] == [kind, kind] * is_kept


async def test_own_bugs_are_found_by_the_id_that_the_peer_was_told(clock: ManualClock) -> None:
    log, ledger = MemoryJournal(), MemoryLedger(clock)
    told = KeepingJournal(log, clock, ledger).fault("reception", ValueError("x"))
    (entry,) = await ledger.find(told)
    assert (entry.kind, entry.fields["where"], len(log.faults)) == ("fault", "reception", 1)


def test_without_a_ledger_there_is_the_log(clock: ManualClock) -> None:
    log = MemoryJournal()
    journal = KeepingJournal(log, clock)
    journal.record(Entry("reception.refused", "x"))
    assert journal.fault("x", ValueError()) == "fault-1"
    assert log.kinds() == ["reception.refused"]
