"""Bounds of alias expansion (the forms of addresses are tested through reception)."""

from tests.stores.opened import OpenStore

from sekisho.core.terms.address import Address
from sekisho.ports.directory import Alias, Domain
from sekisho.probes.recipient import MAX_ALIAS_TARGETS, RecipientProbe
from sekisho.testing.clock import ManualClock, SeededDice


async def probe() -> tuple[OpenStore, RecipientProbe]:
    store = OpenStore(ManualClock(), SeededDice())
    await store.directory.add_domain(Domain("local.example", 0, subaddress_separators="+-"))
    await store.directory.add_account(Address.from_text("user@local.example"), "x", "")
    return store, RecipientProbe(
        store.directory, "mx.example", {"postmaster": "user@local.example", "abuse": "user@local.example"}
    )


async def test_a_long_chain_of_aliases_ends() -> None:
    store, recipients = await probe()
    for n in range(30):
        await store.directory.put_alias(Alias(f"a{n}@local.example", (f"a{n + 1}@local.example",)))
    await store.directory.put_alias(Alias("a30@local.example", ("user@local.example",)))
    assert (await recipients.resolve(Address.from_text("a0@local.example"))).status == "unknown"
    found = await recipients.resolve(Address.from_text("a25@local.example"))
    assert found.status == "local" and len(found.accounts) == 1


async def test_a_wide_alias_is_cut_and_said_so() -> None:
    store, recipients = await probe()
    targets = tuple(f"t{n}@away.example" for n in range(2 * MAX_ALIAS_TARGETS))
    await store.directory.put_alias(Alias("all@local.example", targets))
    found = await recipients.resolve(Address.from_text("all@local.example"))
    assert len(found.remotes) == MAX_ALIAS_TARGETS and "beyond the bounds" in found.alias_trouble


async def test_a_malformed_target_leads_nowhere() -> None:
    store, recipients = await probe()
    await store.directory.put_alias(Alias("odd@local.example", ("|/bin/sh", "user@local.example")))
    found = await recipients.resolve(Address.from_text("odd@local.example"))
    assert [account.address for account in found.accounts] == ["user@local.example"] and found.remotes == ()


async def test_any_listed_separator_sets_off_a_detail() -> None:
    _, recipients = await probe()
    for address in ("user-x@local.example", "user+x-y@local.example"):
        assert (await recipients.resolve(Address.from_text(address))).status == "local"
    assert (await recipients.resolve(Address.from_text("+x@local.example"))).status == "unknown"
