"""Who gives way among the connections of a worker, without sockets and by a manual clock."""

from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.adapters.net.crowd import DESCRIPTORS, Crowd, CrowdTools, Guest
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.core.policy.crowd import HOLD_SECONDS, CrowdRules
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, MemoryMetrics


class House:
    """One worker."""

    def __init__(
        self,
        counts: SharedConnectionCounts,
        *,
        slot: int = 0,
        descriptors: int = 100_000,
        clock: ManualClock | None = None,
    ) -> None:
        self.counts, self.slot = counts, slot
        self.journal, self.metrics, self.clock = MemoryJournal(), MemoryMetrics(), clock or ManualClock()
        self.crowd = Crowd(
            CrowdTools(
                counts=counts,
                journal=self.journal,
                metrics=self.metrics,
                clock=self.clock,
                descriptors=descriptors,
            ),
            CrowdRules(),
        )

    def come(self, address: str, kind: str = "smtp", *, busy: bool = False) -> Guest | str:
        """A guest, or the cap that refused it."""
        self.counts.take_slot(self.slot)
        self.crowd.open += 1
        stream: Any = SimpleNamespace(
            peer=SimpleNamespace(address=ip_address(address)), give_way=lambda reason: not busy
        )
        guest = Guest(self.crowd, kind, kind, stream, lambda: None)
        if busy:
            guest.moved()
        cap = self.crowd.enter(guest)
        if cap is not None:
            self.crowd.open -= 1
        return cap or guest

    def let_in(self, addresses: Iterable[str], kind: str = "smtp") -> list[Guest]:
        guests = [self.come(address, kind) for address in addresses]
        assert all(isinstance(guest, Guest) for guest in guests)
        return guests  # type: ignore[return-value]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House(SharedConnectionCounts(1, 1000, 50))
    yield made
    made.crowd.close()


def here(guests: Iterable[Guest]) -> int:
    return sum(not guest.gone for guest in guests)


async def test_without_a_crowd_nobody_gives_way(house: House) -> None:
    guests = house.let_in(f"192.0.2.{n % 16}" for n in range(590))
    house.clock.advance(3000)
    house.crowd.tick()
    assert here(guests) == 590 and house.journal.entries == [] and not house.crowd.is_stressed("smtp")


async def test_the_networks_with_the_most_give_way(house: House) -> None:
    honest = house.let_in(f"{n + 11}.18.0.9" for n in range(100))
    house.clock.advance(15)
    flood = house.let_in(f"203.0.{n % 20}.{n % 3}" for n in range(2000))
    late = house.let_in(f"{n + 11}.19.0.9" for n in range(100))
    assert here(honest) == here(late) == 100 and 600 < here(flood) <= 700
    assert house.counts.open_connections("smtp") <= 900


async def test_who_floods_again_and_again_takes_his_own_places(house: House) -> None:
    honest = house.let_in(f"{n + 11}.18.0.9" for n in range(50))
    for _ in range(40):
        house.let_in(f"203.0.{n % 20}.{n % 3}" for n in range(200))
        house.clock.advance(0.2)
    assert here(honest) == 50


@pytest.mark.parametrize("form", ["2001:db8:{:x}::1", "2001:db8:0:{:x}::1", "203.0.{}.1"])
async def test_one_from_each_network_of_a_site_is_a_flood_too(house: House, form: str) -> None:
    honest = house.let_in(f"2a00:{n:x}::1" for n in range(50))
    house.clock.advance(5)
    for turn in range(10):
        house.let_in(form.format(turn + n % 240) for n in range(250))
        house.clock.advance(0.1)
    assert here(honest) == 50


async def test_from_everywhere_the_silent_give_way(house: House) -> None:
    guests = house.let_in(f"{n % 200 + 1}.18.{n // 200}.1" for n in range(850))
    house.clock.advance(10)
    for guest in guests[:400]:
        guest.moved()
    house.clock.advance(1)
    house.let_in(f"{n % 200 + 1}.20.{n // 200}.1" for n in range(300))
    assert here(guests[:400]) == 400 and here(guests[400:]) < 300


async def test_who_is_vouched_for_stays(house: House) -> None:
    vouched = house.let_in(f"198.18.0.{n}" for n in range(200))
    for guest in vouched:
        guest.vouch()
        guest.vouch()
    house.clock.advance(1000)
    house.let_in(f"{n % 200 + 1}.20.{n // 200}.1" for n in range(2000))
    assert (
        here(vouched) == 200 == house.counts.vouched("smtp") and house.counts.open_connections("smtp") <= 900
    )
    for guest in vouched:
        house.crowd.leave(guest)
        house.crowd.leave(guest)
        guest.vouch()  # too late
    assert house.counts.vouched("smtp") == 0


async def test_who_is_known_for_good_mail_stays_in_a_flood_but_does_not_fill_the_house(house: House) -> None:
    known = house.let_in(f"198.18.0.{n % 10}" for n in range(100))
    for guest in known:
        guest.know()
    house.clock.advance(15)
    house.let_in(f"203.0.{n % 20}.{n % 3}" for n in range(1000))
    house.clock.advance(15)
    house.crowd.tick()
    assert here(known) == 100
    crowd = []
    for number in range(2000):
        crowd += house.let_in([f"198.19.0.{number % 100}"])
        crowd[-1].know()
    honest = house.let_in(f"{n + 11}.18.0.1" for n in range(50))
    house.clock.advance(15)
    house.let_in(f"198.19.0.{n % 100}" for n in range(500))
    assert here(honest) == 50 and house.counts.open_connections("smtp") <= 900


async def test_a_house_full_of_people_refuses(house: House) -> None:
    for number in range(1000):
        guest = house.come(f"198.18.{number % 200}.{number // 200}")
        assert isinstance(guest, Guest), number
        guest.vouch()
    assert house.come("192.0.2.1") == "total" and house.journal.kinds() == ["crowd.stress_began"]


async def test_whoever_we_work_for_is_not_cut_off(house: House) -> None:
    busy = [house.come(f"203.0.113.{n % 100}", busy=True) for n in range(890)]
    house.clock.advance(100)
    honest = house.let_in(f"{n + 11}.18.0.1" for n in range(100))
    assert all(isinstance(guest, Guest) for guest in busy) and here(busy) == 890  # type: ignore[arg-type]
    assert here(honest) >= 1


async def test_under_stress_the_silent_must_go(house: House) -> None:
    guests = house.let_in(f"{n % 200 + 1}.18.{n // 200}.1" for n in range(601))
    assert house.crowd.is_stressed("smtp") and not house.crowd.is_stressed("imap")
    assert house.metrics.values["sekisho_stress", (("kind", "smtp"),)] == 1
    guests[0].vouch()
    house.clock.advance(19)
    guests[1].moved()
    house.crowd.tick()
    assert here(guests) == 601
    house.clock.advance(2)
    guests[2].excuse(10.0)  # we kept it waiting
    house.crowd.tick()
    assert [guest.gone for guest in guests[:4]] == [False, False, False, True] and here(guests) == 3
    assert (
        house.metrics.values[
            "sekisho_connections_given_way_total", (("listener", "smtp"), ("reason", "silence"))
        ]
        == 598
    )
    for _ in range(int(HOLD_SECONDS) - 1):
        house.clock.advance(1)
        house.crowd.tick()
        assert house.crowd.is_stressed("smtp")
    house.clock.advance(1)
    house.crowd.tick()
    assert (
        not house.crowd.is_stressed("smtp")
        and house.metrics.values["sekisho_stress", (("kind", "smtp"),)] == 0
    )
    assert house.journal.kinds() == [
        "crowd.stress_began",
        "crowd.gave_way",
        "crowd.stress_ended",
        "crowd.gave_way",
    ]
    assert house.journal.entries[1].fields == {"listeners": "smtp", "connections": 598}


async def test_many_behind_one_address_are_not_shut_out_by_a_silent_one(house: House) -> None:
    house.let_in(["192.0.2.1"] * 50)
    assert house.come("192.0.2.1") == "per_ip"
    house.clock.advance(21)
    guests = house.let_in(["192.0.2.1"])
    assert house.come("192.0.2.1") == "per_ip"  # at most one a second
    assert here(guests) == 1 and house.counts.open_connections("smtp") == 50


async def test_few_descriptors_are_shared_by_all_kinds() -> None:
    house = House(SharedConnectionCounts(1, 4000, 50), descriptors=100)
    readers = house.let_in([f"198.18.{n}.1" for n in range(20)], "imaps")
    for guest in readers[:10]:
        guest.vouch()
    flood = []
    for number in range(1000):
        flood += house.let_in([f"203.0.{number % 100}.{number // 100}"])
        house.crowd.open -= sum(guest.gone for guest in flood)  # closed
        flood = [guest for guest in flood if not guest.gone]
        assert house.crowd.open <= 101 and house.crowd.has_descriptors
    assert here(readers) == 20 and house.crowd.is_stressed("pop3")
    house.let_in(["198.18.1.1"], "imaps")
    house.crowd.close()


async def test_no_kind_takes_all_descriptors() -> None:
    house = House(SharedConnectionCounts(1, 4000, 1000), descriptors=80)
    for guest in house.let_in(["198.18.0.1"] * 80, "imaps"):
        guest.vouch()
    assert house.come("198.18.0.1", "imaps") == DESCRIPTORS
    house.crowd.relieve()
    assert house.crowd.is_stressed("imaps")
    house.crowd.close()


async def test_who_has_few_of_them_leaves_it_to_the_other_worker() -> None:
    counts, clock = SharedConnectionCounts(2, 1000, 50), ManualClock()
    full, empty = House(counts, slot=0, clock=clock), House(counts, slot=1, clock=clock)
    flood = full.let_in(f"203.0.{n % 20}.{n % 3}" for n in range(890))
    clock.advance(2)
    honest = empty.let_in(f"{n + 11}.18.0.1" for n in range(30))
    clock.advance(2)
    counts.take_slot(0)
    full.crowd.tick()
    assert here(honest) == 30 and 860 <= here(flood) <= 880
    counts.forget_worker(0)
    assert counts.open_connections("smtp") == 30
    assert counts.crowding("smtp", ip_address("203.0.1.1")) == 1.0
    full.crowd.close()
    empty.crowd.close()
