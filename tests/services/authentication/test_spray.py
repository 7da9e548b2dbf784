"""One password at many accounts, seen by all workers of the host."""

from ipaddress import ip_address

import pytest
from tests.services.authentication.world import World

from sekisho.adapters.process.recent import SharedRecent
from sekisho.ports.authentication import PasswordProof
from sekisho.services.authentication.spray import SprayWatch
from sekisho.testing.clock import ManualClock


def test_one_password_at_many_accounts() -> None:
    clock = ManualClock()
    watch = SprayWatch(SharedRecent(1, 16).by(clock), 3, 60)
    for name in ("a", "b", "a", "a"):
        watch.note("sakura2024", name)
    assert not watch.is_sprayed("sakura2024")
    watch.note("sakura2024", "c")
    assert watch.is_sprayed("sakura2024") and not watch.is_sprayed("sakura2025")
    clock.advance(61)
    assert not watch.is_sprayed("sakura2024")
    watch.note("sakura2024", "a")
    assert not watch.is_sprayed("sakura2024")


def test_it_can_be_off() -> None:
    off = SprayWatch(SharedRecent(1, 16).by(ManualClock()), 0, 60)
    off.note("x", "a")
    assert not off.is_sprayed("x")
    on = SprayWatch(SharedRecent(1, 16).by(ManualClock()), 1, 60)
    on.note("", "a")
    assert not on.is_sprayed("")


@pytest.mark.parametrize("workers", [2, 4])
async def test_a_spray_over_all_workers_is_one(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Each of them sees fewer accounts than it takes."""
    recent = SharedRecent(workers, 16)
    worlds = [World(monkeypatch, recent, sprayed_accounts=workers) for _ in range(workers)]
    for slot, world in enumerate(worlds):
        recent.take_slot(slot)
        await world.login(
            PasswordProof(f"member{slot}@example.test", "correct horse"), ip_address(f"203.0.{slot}.1")
        )
    recent.take_slot(0)
    await worlds[0].login(client=ip_address("198.51.100.9"))
    assert worlds[0].cause() == "password tried at many accounts"
