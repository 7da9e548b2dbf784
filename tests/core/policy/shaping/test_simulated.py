"""A provider with limits, by seed, in virtual time: blocks provoked, and what people wait."""

import heapq
import random
from dataclasses import dataclass

import pytest

from sekisho.core.policy.shaping.pace import FREE, Pace, admitted, eased, slowed
from sekisho.core.policy.shaping.recognise import recognise_text
from sekisho.core.policy.shaping.warmup import DAY_US, HOUR_US, Trouble, WarmupRules, cold, granted, troubled

T0 = 20_000 * DAY_US
MINUTE_US = HOUR_US // 60
HOST = "aspmx.l.google.com"
RATE, BLOCKED = "421 4.7.28 unusual rate of mail", "550 5.7.28 unusual rate of unsolicited mail"
RULES = WarmupRules()


@dataclass
class Provider:
    """Trusts a new address with so much an hour, slows it then, and blocks it for a day if it goes on."""

    dice: random.Random
    trusts: tuple[float, float] = (40, 90)
    hour: int = 0
    used: int = 0
    ignored: int = 0
    slowed_until_us: int = 0
    blocked_until_us: int = 0
    blocks: int = 0

    def __post_init__(self) -> None:
        self.trust = self.dice.uniform(*self.trusts)

    def answer(self, now_us: int) -> str:
        if now_us < self.blocked_until_us:
            return BLOCKED
        if now_us < self.slowed_until_us:
            self.ignored += 1
            if self.ignored <= 30:
                return RATE
            self.blocks, self.blocked_until_us, self.ignored = self.blocks + 1, now_us + DAY_US, 0
            return BLOCKED
        hour = now_us // HOUR_US
        if hour != self.hour:
            self.hour, self.used, self.ignored = hour, 0, 0
        self.used += 1
        if self.used > self.trust * 1.3 ** ((now_us - T0) // DAY_US):
            self.slowed_until_us = now_us + 10 * MINUTE_US
            return RATE
        return "250 2.0.0 OK"


@dataclass
class World:
    provider: Provider
    governed: bool
    pace: Pace = FREE

    def __post_init__(self) -> None:
        self.warmth = cold(T0, RULES)
        self.waits: list[float] = []
        self.bounced = 0

    def try_one(self, now_us: int, *, bulk: bool) -> int:
        """0: gone or bounced; else when again."""
        if self.governed:
            self.pace, at_us = admitted(self.pace, now_us, bulk=bulk)
            if at_us > now_us:
                return at_us
            result = granted(self.warmth, now_us, 1, RULES, bulk=bulk)
            self.warmth = result.warmth
            if not result.amount:
                return result.at_us
        answer = self.provider.answer(now_us)
        if answer.startswith("2"):
            self.pace = eased(self.pace, now_us, 5) or self.pace
            return 0
        if self.governed:
            self._complained(answer, now_us)
        if answer.startswith("5"):
            self.bounced += 1
            return 0
        return now_us + 5 * MINUTE_US

    def _complained(self, answer: str, now_us: int) -> None:
        found = recognise_text(answer, HOST)
        assert found is not None
        trouble: Trouble = "blocked" if answer.startswith("5") else "slowed"
        pace = slowed(self.pace, now_us, found, answer)
        if pace is not None:
            self.pace, self.warmth = pace, troubled(self.warmth, now_us, trouble, RULES)


def play(seed: int, *, governed: bool, newsletter: int, trusts: tuple[float, float] = (40, 90)) -> World:
    """Five days: thirty letters of people a day, and a newsletter each noon."""
    dice = random.Random(seed)
    world = World(Provider(dice, trusts), governed)
    coming: list[tuple[int, int, bool, int]] = []
    for day in range(5):
        for _ in range(30):
            born_us = T0 + day * DAY_US + int(dice.uniform(7, 22) * HOUR_US)
            coming.append((born_us, len(coming), False, born_us))
        for _ in range(newsletter):
            born_us = T0 + day * DAY_US + 12 * HOUR_US
            coming.append((born_us, len(coming), True, born_us))
    heapq.heapify(coming)
    while coming and coming[0][0] < T0 + 9 * DAY_US:
        now_us, number, bulk, born_us = heapq.heappop(coming)
        again_us = world.try_one(now_us, bulk=bulk)
        if again_us:
            heapq.heappush(coming, (again_us, number, bulk, born_us))
        elif not bulk:
            world.waits.append((now_us - born_us) / MINUTE_US)
    assert governed is False or not coming or all(entry[2] for entry in coming)
    return world


@pytest.mark.parametrize("seed", range(8))
def test_no_block_is_provoked_and_people_hardly_wait(seed: int) -> None:
    world = play(seed, governed=True, newsletter=300)
    assert (world.provider.blocks, world.bounced) == (0, 0)
    waits = sorted(world.waits)
    assert len(waits) == 150
    assert waits[int(len(waits) * 0.95)] <= 60


@pytest.mark.parametrize("seed", range(8))
def test_the_same_without_us_is_blocked(seed: int) -> None:
    world = play(seed, governed=False, newsletter=300)
    assert world.provider.blocks >= 1
    assert world.bounced > 100


@pytest.mark.parametrize("seed", range(4))
def test_a_server_without_newsletters_is_never_put_off(seed: int) -> None:
    assert max(play(seed, governed=True, newsletter=0).waits) == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_provider_that_trusts_less_than_we_begin_with_is_not_provoked(seed: int) -> None:
    """It complains, bulk waits for days, and people go ahead of it."""
    world = play(seed, governed=True, newsletter=300, trusts=(8, 18))
    assert (world.provider.blocks, world.bounced) == (0, 0)
    waits = sorted(world.waits)
    assert len(waits) == 150
    assert waits[len(waits) // 2] <= 15
    assert waits[int(len(waits) * 0.95)] <= 240
