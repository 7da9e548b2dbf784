"""What an operator sees of banned networks, and does about them."""

from dataclasses import replace

import pytest
from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.admin.bans import AddBan, LiftBans, ListBans, ShowBans, add_ban, lift_bans, list_bans, show_bans
from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.why.question import Why, why
from sekisho.ports.bans import Ban
from sekisho.ports.journal import Entry
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal


async def test_add_show_lift(context: Context, store: OpenStore, journal: MemoryJournal) -> None:
    ban = await add_ban(context, AddBan("198.51.100.7/24", seconds=3600, note="guesses"))
    assert (ban.network, ban.reason, ban.by, ban.note) == ("198.51.100.0/24", "operator", "uid:0", "guesses")
    assert ban.until_us - ban.since_us == 3_600_000_000
    other = await add_ban(context, AddBan("2001:db8::/48", "Taro@example.org"))
    assert other.until_us == 0 and other.account == "taro@example.org"
    assert {found.network for found in await list_bans(context, ListBans())} == {
        "198.51.100.0/24",
        "2001:db8::/48",
    }
    details = await show_bans(context, ShowBans("198.51.100.9"))
    assert details.bans == [ban] and [tally.network for tally in details.tallies] == [
        "198.51.100.0/24",
        "198.51.0.0/16",
    ]
    assert await lift_bans(context, LiftBans("198.51.0.0/16")) == [ban]
    with pytest.raises(AdminRefused, match=r"There is no ban on 198\.51\.100\.9/32"):
        await lift_bans(context, LiftBans("198.51.100.9"))
    with pytest.raises(AdminRefused, match="There is no ban on"):
        await lift_bans(context, LiftBans("2001:db8::/48", "hanako@example.org"))
    assert await lift_bans(context, LiftBans("2001:db8::1", "taro@example.org")) == [other]
    assert journal.kinds() == ["admin.bans.add", "admin.bans.add", "admin.bans.lift", "admin.bans.lift"]


@pytest.mark.parametrize(
    ("network", "sentence"), [("10.0.0.0/7", "too large"), ("::/0", "too large"), ("example.org", "neither")]
)
async def test_what_cannot_be_banned(context: Context, network: str, sentence: str) -> None:
    with pytest.raises(AdminRefused, match=sentence):
        await add_ban(context, AddBan(network))


async def test_lifting_forgets_what_was_counted(context: Context, store: OpenStore) -> None:
    await store.counters.add("login:192.0.2.0/24:all", 30, 900)
    await store.counters.add("login:192.0.2.0/24:unknown", 4, 900)
    now_us = context.clock.now_us()
    await store.bans.put(
        Ban(
            network="192.0.2.0/24",
            account="",
            reason="guesses",
            since_us=now_us,
            until_us=now_us + 900_000_000,
            failures=30,
        )
    )
    tally = (await show_bans(context, ShowBans("192.0.2.0/24"))).tallies[0]
    assert (tally.failures, tally.unknown_names) == (30, 4)
    await lift_bans(context, LiftBans("192.0.2.5"))
    assert (await show_bans(context, ShowBans("192.0.2.0/24"))).tallies[0].failures == 0


async def test_what_was_tried_and_why_it_is_banned_can_be_asked(context: Context) -> None:
    ledger = MemoryLedger(ManualClock())
    context = replace(context, ledger=ledger)
    about = ("192.0.2.7", "192.0.2.0/24", "guess@example.org")
    fields = {
        "service": "imap",
        "username": "guess@example.org",
        "client": "192.0.2.7",
        "cause": "no such account",
    }
    ledger.keep(1, Entry("authentication.refused", "", fields, about))
    banned = {
        "network": "192.0.2.0/24",
        "account": "",
        "reason": "unknown-names",
        "failures": 6,
        "client": "192.0.2.7",
    }
    ledger.keep(2, Entry("authentication.banned", "", banned, about))
    for network in ("192.0.2.7", "192.0.2.0/24"):
        (tried,) = (await show_bans(context, ShowBans(network))).tried
        assert (tried.username, tried.cause) == ("guess@example.org", "no such account")
        story = (await why(context, Why(network))).stories[0]
        assert story.what.text.format(**story.what.values).startswith("The network 192.0.2.0/24 was banned")
        assert story.why is not None and "6 account names that do not exist" in story.why.text.format(
            **story.why.values
        )
        assert story.remedy is not None and "sekisho bans lift 192.0.2.0/24" in story.remedy.text.format(
            **story.remedy.values
        )
