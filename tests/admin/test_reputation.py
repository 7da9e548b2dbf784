"""What an operator sees of this server's experience, and what is forgotten."""

import re

import pytest
from tests.admin.test_operations import PASSWORD, ask, refusal
from tests.stores.opened import OpenStore

from sekisho.admin.context import Context
from sekisho.core.policy.reputation import DAY_US, Event, of_event, pair_key
from sekisho.ports.reputation import Known
from sekisho.testing.records import MemoryJournal

FRIEND = "friend@there.example"


def learn(store: OpenStore, context: Context, key: str, *events: Event) -> None:
    store.reputation.learn([Known(key, of_event(event, context.clock.now_us() - DAY_US)) for event in events])


@pytest.fixture
async def met(context: Context, store: OpenStore) -> Context:
    """A bad host, a good domain, and a friend of taro's whom he wrote to."""
    await ask(context, "domain.add", name="example.org")
    taro = await ask(context, "account.add", address="taro@example.org", password=PASSWORD)
    learn(store, context, "client:192.0.2.7", *["refused"] * 8)
    learn(store, context, "network:192.0.2.0/24", *["refused"] * 8)
    learn(store, context, "domain:there.example", *["accepted"] * 12)
    learn(store, context, pair_key(FRIEND, taro.id), "written", "accepted")
    learn(store, context, f"written:{FRIEND}", "written")
    await store.reputation.flush()  # as a duty does
    return context


@pytest.mark.parametrize(
    ("subject", "keys"),
    [
        ("192.0.2.7", {"client:192.0.2.7", "network:192.0.2.0/24"}),
        ("192.0.2.99/24", {"network:192.0.2.0/24"}),
        ("There.Example", {"domain:there.example"}),
        ("Friend@There.example", {f"written:{FRIEND}", f"pair:{FRIEND} 1"}),
        ("domain:there.example", {"domain:there.example"}),
        ("unmet.example", set()),
    ],
)
async def test_people_name_senders_as_they_know_them(met: Context, subject: str, keys: set[str]) -> None:
    details = await ask(met, "reputation.show", subject=subject)
    assert {re.sub(r" [0-9]+$", " 1", row.key) for row in details.rows} == keys


async def test_the_numbers_are_those_that_count(met: Context) -> None:
    (row,) = (await ask(met, "reputation.show", subject="client:192.0.2.7")).rows
    assert (row.judged, row.messages, row.refused, row.good) == ("bad", 8, 8, 0.0)
    assert row.bad == pytest.approx(8 * 2 ** (-1 / 30), abs=0.001)
    assert row.score == pytest.approx(1 / (row.bad + 2), abs=0.001)
    (row,) = (await ask(met, "reputation.show", subject="there.example")).rows
    assert (row.judged, row.account) == ("good", "")
    rows = (await ask(met, "reputation.show", subject=FRIEND)).rows
    assert [row.account for row in rows if row.key.startswith("pair:")] == ["taro@example.org"]


async def test_lists_are_by_kind(met: Context) -> None:
    assert len(await ask(met, "reputation.list")) == 5
    assert [row.key for row in await ask(met, "reputation.list", prefix="domain:")] == [
        "domain:there.example"
    ]
    assert len(await ask(met, "reputation.list", limit=2)) == 2


async def test_forgetting_makes_strangers_of_them(met: Context, journal: MemoryJournal) -> None:
    forgotten = await ask(met, "reputation.forget", subject="192.0.2.7")
    assert set(forgotten.keys) == {"client:192.0.2.7", "network:192.0.2.0/24"}
    assert (await ask(met, "reputation.show", subject="192.0.2.7")).rows == []
    assert "Nothing is known" in await refusal(met, "reputation.forget", subject="192.0.2.7")
    assert journal.entries[-1].kind == "admin.reputation.forget"
    assert "no key" in await refusal(met, "reputation.show", subject="not a name")
