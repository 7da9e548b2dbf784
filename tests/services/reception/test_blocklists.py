"""Blocklists are believed only while their canaries live."""

from sekisho.core.policy.dnsbl import Blocklist, CodeRange
from sekisho.services.reception.blocklists import FIT_SECONDS, UNFIT_SECONDS, BlocklistWatch
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.zones import ZoneResolver

CODES = (CodeRange.parse("127.0.0.2"),)
GOOD, WILD, REFUSING = (
    Blocklist(zone=f"{name}.example", codes=CODES) for name in ("good", "wild", "refusing")
)
ZONE = """
2.0.0.127.good.example       A 127.0.0.2
*.wild.example               A 127.0.0.2
2.0.0.127.refusing.example   A 127.255.255.254
"""


def _watch(zone: str, *blocklists: Blocklist) -> tuple[BlocklistWatch, MemoryJournal, MemoryMetrics]:
    journal, metrics = MemoryJournal(), MemoryMetrics()
    return BlocklistWatch(blocklists, ZoneResolver(zone), journal, metrics), journal, metrics


async def test_only_fit_lists_are_asked() -> None:
    watch, journal, metrics = _watch(ZONE, GOOD, WILD, REFUSING)
    assert not watch.fit  # nothing is proven yet
    await watch.look()
    assert watch.fit == (GOOD,)
    assert sorted((entry.kind, entry.fields["zone"]) for entry in journal.entries) == [
        ("blocklist.fit", "good.example"),
        ("blocklist.unfit", "refusing.example"),
        ("blocklist.unfit", "wild.example"),
    ]
    assert metrics.values["sekisho_blocklist_fit", (("zone", "good.example"),)] == 1.0
    assert metrics.values["sekisho_blocklist_fit", (("zone", "wild.example"),)] == 0.0
    await watch.look()
    assert len(journal.entries) == 3  # only changes are told


async def test_a_list_goes_and_comes_back_by_itself() -> None:
    watch, journal, _ = _watch(ZONE, GOOD)
    waits: list[float] = []
    for zone in (
        ZONE,
        ZONE.replace("good", "gone"),
        "$SERVFAIL good.example\n$SERVFAIL 2.0.0.127.good.example",
        ZONE,
    ):
        watch._resolver = ZoneResolver(zone)
        await watch.look()
        waits.append(watch.pause_seconds)
    # there, dead, silent (so still dead), there again
    assert waits == [FIT_SECONDS, UNFIT_SECONDS, UNFIT_SECONDS, FIT_SECONDS]
    assert [entry.kind for entry in journal.entries] == ["blocklist.fit", "blocklist.unfit", "blocklist.fit"]
    assert watch.fit == (GOOD,)


async def test_a_silent_dns_takes_no_list_away() -> None:
    watch, journal, _ = _watch(ZONE, GOOD)
    await watch.look()
    watch._resolver = ZoneResolver("$TIMEOUT 2.0.0.127.good.example\n$TIMEOUT 1.0.0.127.good.example")
    await watch.look()
    assert watch.fit == (GOOD,)
    assert journal.kinds() == ["blocklist.fit"]
