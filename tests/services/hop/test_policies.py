"""MTA-STS policies over time: fetched by one at a time, kept, refreshed, and never taken away by whoever
hides them."""

import asyncio

import pytest
from tests.services.hop.world import RECORD, PolicyHosts, policy

from sekisho.adapters.stores.memory.hoptls import MemoryStsPolicies
from sekisho.core.tlspolicy.stscache import RETRY_SECONDS
from sekisho.ports.content import StoreUnavailable
from sekisho.services.relay.stsdesk import StsDesk
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal
from sekisho.testing.zones import Zone, ZoneResolver

DAY = 86_400


class Desk:
    def __init__(self, zone: str = RECORD) -> None:
        self.clock, self.resolver, self.hosts = ManualClock(), ZoneResolver(zone), PolicyHosts()
        self.policies, self.journal = MemoryStsPolicies(), MemoryJournal()
        self.hosts.texts["example.com"] = policy("enforce")
        self.desk = self.anew()

    def anew(self) -> StsDesk:
        """Another worker, or the next one."""
        return StsDesk(self.resolver, self.policies, self.hosts, self.clock, self.journal)

    def zone(self, text: str) -> None:
        self.resolver.zone = Zone.from_text(text)

    async def mode(self) -> str | None:
        found = await self.desk.find("example.com")
        return found.policy.mode if found.policy is not None else None


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_it_is_fetched_once_and_outlives_the_worker(desk: Desk) -> None:
    assert [await desk.mode() for _ in range(3)] == ["enforce"] * 3
    desk.desk = desk.anew()
    assert await desk.mode() == "enforce" and desk.hosts.asked == ["example.com"]


async def test_one_fetch_at_a_time(desk: Desk) -> None:
    gate = asyncio.Event()
    fetch = desk.hosts.fetch

    async def slowly(domain: str) -> bytes:
        text = await fetch(domain)
        await gate.wait()
        return text

    desk.hosts.fetch = slowly  # type: ignore[method-assign]
    waiting = [asyncio.ensure_future(desk.mode()) for _ in range(20)]
    for _ in range(5):
        await asyncio.sleep(0)
    waiting[0].cancel()  # whoever began it gives up: the others wait on
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == ["enforce"] * 19 and desk.hosts.asked == ["example.com"]


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "$SERVFAIL _mta-sts.example.com TXT\n",
        "$BOGUS _mta-sts.example.com TXT\n",
        "$TIMEOUT _mta-sts.example.com TXT\n",
        '_mta-sts.example.com TXT "v=STSv1; id=not-one"\n',
        RECORD + RECORD.replace("id=1", "id=2"),
        RECORD.replace("id=1", "id=2"),  # and the policy host is unreachable
    ],
)
async def test_whoever_hides_it_gains_nothing(desk: Desk, zone: str) -> None:
    """RFC 8461 §3.3, §5.1."""
    assert await desk.mode() == "enforce"
    desk.zone(zone)
    desk.hosts.texts.clear()
    desk.clock.advance(6 * DAY)
    assert await desk.mode() == "enforce"
    desk.clock.advance(DAY)  # its max_age is over
    assert await desk.mode() is None


async def test_a_new_id_is_looked_at_and_five_minutes_lie_between(desk: Desk) -> None:
    assert await desk.mode() == "enforce"
    desk.zone(RECORD.replace("id=1", "id=2"))
    desk.hosts.texts["example.com"] = policy("testing")
    assert await desk.mode() == "enforce" and len(desk.hosts.asked) == 1
    desk.clock.advance(RETRY_SECONDS)
    assert await desk.mode() == "testing" and len(desk.hosts.asked) == 2
    desk.zone(RECORD.replace("id=1", "id=3"))
    desk.hosts.texts["example.com"] = policy("none")
    desk.clock.advance(RETRY_SECONDS)
    assert await desk.mode() == "none"


async def test_an_unreachable_host_is_left_alone_for_a_while(desk: Desk) -> None:
    desk.hosts.texts.clear()
    for _ in range(3):
        found = await desk.desk.find("example.com")
        assert found.policy is None and found.failure == "sts-policy-fetch-error"
    assert len(desk.hosts.asked) == 1
    desk.clock.advance(RETRY_SECONDS)
    desk.hosts.texts["example.com"] = b"version: STSv1\n"
    assert (await desk.desk.find("example.com")).failure == "sts-policy-invalid"
    assert desk.journal.kinds() == ["relay.policy_failed", "relay.policy_failed"]


async def test_no_record_no_question(desk: Desk) -> None:
    desk.zone("")
    assert await desk.mode() is None and not desk.hosts.asked


async def test_refreshed_before_it_ends(desk: Desk) -> None:
    assert await desk.mode() == "enforce"
    await desk.desk.refresh()
    assert len(desk.hosts.asked) == 1
    desk.clock.advance(DAY)
    desk.zone("")  # the record is hidden, the policy is fetched all the same
    await desk.desk.refresh()
    assert len(desk.hosts.asked) == 2
    desk.clock.advance(int(6.5 * DAY))
    assert await desk.mode() == "enforce"


async def test_what_nobody_uses_is_not_refreshed(desk: Desk) -> None:
    desk.hosts.texts["example.com"] = policy("enforce", max_age=31_557_600)
    assert await desk.mode() == "enforce"
    desk.clock.advance(61 * DAY)
    await desk.desk.refresh()
    assert len(desk.hosts.asked) == 1
    assert await desk.mode() == "enforce"  # but it holds, and from now on it is looked after
    await desk.desk.refresh()
    assert len(desk.hosts.asked) == 2


async def test_a_store_that_cannot_be_read_is_no_permission(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise StoreUnavailable("test")

    monkeypatch.setattr(desk.policies, "put", broken)
    monkeypatch.setattr(desk.policies, "touch", broken)
    assert await desk.mode() == "enforce"  # it cannot be kept, and holds
    monkeypatch.setattr(desk.policies, "find", broken)
    with pytest.raises(StoreUnavailable):
        await desk.mode()


async def test_closing_ends_what_is_under_way(desk: Desk) -> None:
    async def never(domain: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    desk.hosts.fetch = never  # type: ignore[method-assign]
    waiting = asyncio.ensure_future(desk.mode())
    for _ in range(3):
        await asyncio.sleep(0)
    await desk.desk.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
