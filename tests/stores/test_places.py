"""Places that accounts log in from: new ones wait to be told once there is a history, days are counted
once."""

from typing import Any

import pytest

from sekisho.ports.places import LoginPlace

DAY_US = 86_400_000_000
HOME, AWAY = "192.0.2.0/24", "2001:db8:1::/48"
NOON = 20_000 * DAY_US + DAY_US // 2


def place(at_us: int, network: str = HOME, credential: str = "password", account_id: int = 1) -> LoginPlace:
    return LoginPlace(
        account_id=account_id,
        network=network,
        credential_id=credential,
        first_us=at_us,
        last_us=at_us,
        days=1,
        client="192.0.2.7",
        service="imap",
        mechanism="PLAIN",
        tls="TLSv1.3",
    )


async def test_the_first_day_is_nobodys_news(store: Any) -> None:
    assert await store.places.note(place(NOON)) is True
    assert await store.places.note(place(NOON + 1)) is False
    assert await store.places.note(place(NOON + 2, AWAY)) is True
    assert await store.places.untold() == []


async def test_later_what_is_new_waits_to_be_told(store: Any) -> None:
    await store.places.note(place(NOON))
    later = NOON + DAY_US
    assert await store.places.note(place(later)) is False
    assert await store.places.note(place(later + 5, AWAY)) is True
    assert await store.places.note(place(later, HOME, "app:1")) is True
    assert (
        await store.places.note(place(later, AWAY, account_id=2)) is True
    )  # the first day of another account
    untold = await store.places.untold()
    assert [(found.network, found.credential_id) for found in untold] == [(HOME, "app:1"), (AWAY, "password")]
    assert await store.places.untold(1) == untold[:1]
    await store.places.told(untold[:1])
    assert await store.places.untold() == untold[1:]


async def test_days_are_counted_once(store: Any) -> None:
    for at_us in (NOON, NOON + 1, NOON + DAY_US, NOON + DAY_US + 1, NOON + 5 * DAY_US):
        await store.places.note(place(at_us))
    (found,) = await store.places.of_account(1)
    assert (found.days, found.first_us, found.last_us, found.tls) == (3, NOON, NOON + 5 * DAY_US, "TLSv1.3")


@pytest.mark.parametrize(("today", "days"), [(5, 2), (6, 3)])
async def test_today_is_not_over(store: Any, today: int, days: int) -> None:
    for day in (0, 1, 5):
        await store.places.note(place(NOON + day * DAY_US))
    await store.places.note(place(NOON, HOME, "app:1"))
    assert await store.places.days_at(1, HOME, NOON + today * DAY_US) == days
    assert await store.places.days_at(1, AWAY, NOON) == 0 and await store.places.days_at(2, HOME, NOON) == 0


async def test_the_last_used_comes_first_and_old_ones_are_forgotten(store: Any) -> None:
    await store.places.note(place(NOON))
    await store.places.note(place(NOON + DAY_US, AWAY))
    assert [found.network for found in await store.places.of_account(1)] == [AWAY, HOME]
    await store.places.sweep(NOON + 1)
    assert [found.network for found in await store.places.of_account(1)] == [AWAY]
    await store.places.sweep(NOON + 2 * DAY_US)
    assert await store.places.of_account(1) == [] and await store.places.untold() == []
