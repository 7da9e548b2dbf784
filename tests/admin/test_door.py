"""What an operator says about mail that is expected."""

import pytest
from tests.admin.test_operations import PASSWORD, ask, refusal
from tests.stores.opened import OpenStore

from sekisho.admin.context import Context
from sekisho.core.policy.greylist import GreylistTry
from sekisho.testing.records import MemoryJournal

MINUTE_US = 60_000_000


@pytest.fixture
async def people(context: Context) -> Context:
    await ask(context, "domain.add", name="example.org")
    for name in ("taro", "hanako"):
        await ask(context, "account.add", address=f"{name}@example.org", password=PASSWORD)
    await ask(
        context, "alias.add", address="sales@example.org", targets=["taro@example.org", "hanako@example.org"]
    )
    return context


async def test_an_account_waits_for_ten_minutes_or_as_long_as_one_says(
    people: Context, journal: MemoryJournal
) -> None:
    now_us = people.clock.now_us()
    (row,) = await ask(people, "door.expect", address="Taro@example.org")
    assert (row.account, row.sender, row.until_us) == ("taro@example.org", "", now_us + 10 * MINUTE_US)
    (row,) = await ask(people, "door.expect", address="taro@example.org", minutes=60, sender="Shop.example")
    assert (row.sender, row.until_us) == ("@shop.example", now_us + 60 * MINUTE_US)
    await ask(people, "door.expect", address="taro@example.org", minutes=5, sender="A@Shop.Example")
    assert [row.sender for row in await ask(people, "door.expected")] == [
        "a@shop.example",
        "",
        "@shop.example",
    ]
    await ask(people, "door.expect", address="taro@example.org", minutes=0)
    assert [row.sender for row in await ask(people, "door.expected")] == ["a@shop.example", "@shop.example"]
    assert journal.entries[-1].kind == "admin.door.expect" and journal.entries[-1].fields["minutes"] == 0


async def test_an_alias_means_all_behind_it(people: Context, store: OpenStore) -> None:
    rows = await ask(people, "door.expect", address="sales@example.org")
    assert {row.account for row in rows} == {"taro@example.org", "hanako@example.org"}
    assert len(await store.reputation.expected()) == 2


async def test_what_makes_no_sense_is_said(people: Context) -> None:
    assert "No account here" in await refusal(people, "door.expect", address="nobody@example.org")
    assert "No account here" in await refusal(people, "door.expect", address="taro@elsewhere.example")
    assert "not a domain" in await refusal(
        people, "door.expect", address="taro@example.org", sender="no domain"
    )
    assert "from 0 to" in await refusal(people, "door.expect", address="taro@example.org", minutes=-1)
    assert await ask(people, "door.expected") == []


async def test_the_greylist_is_told_in_numbers(people: Context, store: OpenStore) -> None:
    now_us = people.clock.now_us()
    rows = {
        "back": GreylistTry(now_us - 600 * 10**6, now_us, now_us, 3),
        "waits": GreylistTry(now_us - 60, now_us - 60),
        "gone": GreylistTry(1, 2, 0, 2),
    }
    for name, tried in rows.items():
        await store.greylist.change(f"domain:{name}.example", lambda known, tried=tried: tried)
    report = await ask(people, "door.greylist", limit=5)
    assert (report.delayed, report.came_back, report.waiting, report.never, report.tries) == (3, 1, 1, 1, 6)
    assert dict(report.within)[900] == 1 and report.within[-1] == (0, 0)
    assert [row.key for row in report.open] == ["domain:waits.example", "domain:gone.example"]
    recent = await ask(people, "door.greylist", since_us=now_us - 10**6)
    assert (recent.delayed, recent.waiting, recent.open) == (1, 1, [])
