"""Domains, accounts, aliases, passwords."""

from typing import Any

import pytest
from tests.stores.making import appended

from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.changes import DirectoryChanged
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Account, Alias, DirectoryError, Domain, StoredPassword
from sekisho.testing.clock import ManualClock


async def test_domains(store: Any) -> None:
    await store.directory.add_domain(Domain("b.test", 5, "-", "all@b.test"))
    await store.directory.add_domain(Domain("a.test", 6))
    assert await store.directory.domain("b.test") == Domain("b.test", 5, "-", "all@b.test")
    assert await store.directory.domain("B.test") is None
    assert [domain.name for domain in await store.directory.domains()] == ["a.test", "b.test"]
    with pytest.raises(DirectoryError, match="exists already"):
        await store.directory.add_domain(Domain("a.test", 6))
    for bad in ("Upper.test", "日本.test", "a..b", "", "[192.0.2.1]", "a.test."):
        with pytest.raises(DirectoryError):
            await store.directory.add_domain(Domain(bad, 0))
    await store.directory.change_domain(Domain("b.test", 5, ""))
    assert await store.directory.domain("b.test") == Domain("b.test", 5, "")
    with pytest.raises(DirectoryError):
        await store.directory.change_domain(Domain("c.test", 5))
    await store.directory.remove_domain("b.test")
    assert await store.directory.domain("b.test") is None
    with pytest.raises(DirectoryError):
        await store.directory.remove_domain("b.test")


async def test_accounts_are_found_by_folded_address(store: Any, clock: ManualClock, alice: Account) -> None:
    assert (alice.address, alice.state, alice.created_at_us, alice.credential_version) == (
        "alice@example.test",
        "active",
        clock.now_us(),
        1,
    )
    assert await store.directory.account_by_address(Address("ALICE", "example.test")) == alice
    assert await store.directory.account(alice.id) == alice
    assert await store.directory.account(1) is None
    assert await store.directory.account_by_address(Address("alice", "other.test")) is None
    with pytest.raises(DirectoryError, match="exists already"):
        await store.directory.add_account(Address("Alice", "example.test"), "", "")
    with pytest.raises(DirectoryError, match="no domain"):
        await store.directory.add_account(Address("x", "other.test"), "", "")
    carol = await store.directory.add_account(
        Address("Cafe\u0301 user", "example.test"), "", "", "Carol", 1000
    )
    assert (carol.address, carol.display_name, carol.quota_octets) == (
        '"caf\u00e9 user"@example.test',
        "Carol",
        1000,
    )
    assert await store.directory.account_by_address(Address("CAF\u00c9 USER", "example.test")) == carol
    await store.directory.add_domain(Domain("other.test", 0))
    assert [account.address for account in await store.directory.accounts("example.test")] == [
        carol.address,
        alice.address,
    ]
    assert await store.directory.accounts("other.test") == []
    assert len(await store.directory.accounts()) == 2


async def test_passwords_and_versions(store: Any, alice: Account) -> None:
    assert await store.directory.password(alice.id) == StoredPassword(alice.id, "argon2", "scram", 1)
    await store.directory.set_password(alice.id, "new", "")
    assert await store.directory.password(alice.id) == StoredPassword(alice.id, "new", "", 2)
    assert (await store.directory.account(alice.id)).credential_version == 2
    assert await store.directory.password(5) is None


async def test_states_and_grace(store: Any, clock: ManualClock, alice: Account) -> None:
    await store.directory.set_state(alice.id, "sending_held")
    assert (await store.directory.account(alice.id)).state == "sending_held"
    await store.directory.set_state(alice.id, "deleted")
    since = clock.now_us()
    clock.advance(5)
    await store.directory.set_state(alice.id, "deleted")
    account = await store.directory.account_by_address(Address("alice", "example.test"))
    assert (account.state, account.deleted_at_us) == ("deleted", since)
    await store.directory.set_state(alice.id, "active")
    assert (await store.directory.account(alice.id)).deleted_at_us == 0


async def test_unknown_accounts_are_refused(store: Any) -> None:
    for step in (
        store.directory.set_state(5, "active"),
        store.directory.set_password(5, "", ""),
        store.directory.set_quota(5, 1),
        store.directory.purge_account(5),
    ):
        with pytest.raises(DirectoryError, match="5"):
            await step


async def test_purge_takes_everything_along(store: Any, alice: Account, bob: Account) -> None:
    await store.mail.append(alice.id, "INBOX", [appended(store, b"x" * size) for size in (1, 20_000)])
    inbox = await store.mail.mailbox(alice.id, "INBOX")
    await store.mail.copy(inbox.id, UidSet(((2, 2),)), bob.id, "INBOX")
    await store.directory.purge_account(alice.id)
    assert await store.directory.account(alice.id) is None
    assert await store.mail.mailboxes(alice.id) == []
    assert await store.mail.subscriptions(alice.id) == []
    assert await store.mail.rows(inbox.id, UidSet(((1, 2),))) == []
    other = await store.mail.mailbox(bob.id, "INBOX")
    assert (await (await store.mail.open(other.id, 1)).read(0, 30_000)) == b"x" * 20_000
    with pytest.raises(StoreUnavailable):
        await store.mail.create_mailbox(alice.id, "a")
    again = await store.directory.add_account(Address("alice", "example.test"), "", "")
    assert again.id != alice.id


async def test_aliases(store: Any, alice: Account) -> None:
    alias = Alias("sales@example.test", ("alice@example.test", "far@elsewhere.test"), False)
    await store.directory.put_alias(alias)
    assert await store.directory.alias(Address("SALES", "example.test")) == alias
    assert await store.directory.aliases_to("alice@example.test") == [alias]
    assert await store.directory.aliases_to("bob@example.test") == []
    changed = Alias("sales@example.test", ("bob@example.test",))
    await store.directory.put_alias(changed)
    assert await store.directory.aliases() == await store.directory.aliases("example.test") == [changed]
    assert await store.directory.aliases("other.test") == []
    for bad in (
        Alias("alice@example.test", ("b@c.test",)),
        Alias("x@nowhere.test", ("b@c.test",)),
        Alias("y@example.test", ()),
    ):
        with pytest.raises(DirectoryError):
            await store.directory.put_alias(bad)
    with pytest.raises(DirectoryError):
        await store.directory.add_account(Address("sales", "example.test"), "", "")
    with pytest.raises(DirectoryError, match="1 accounts and 1 aliases"):
        await store.directory.remove_domain("example.test")
    await store.directory.remove_alias(Address("Sales", "example.test"))
    assert await store.directory.alias(Address("sales", "example.test")) is None
    assert await store.directory.aliases_to("bob@example.test") == []
    with pytest.raises(DirectoryError):
        await store.directory.remove_alias(Address("sales", "example.test"))


async def test_sender_rights(store: Any, alice: Account, bob: Account) -> None:
    await store.directory.add_domain(Domain("other.test", 0))
    assert await store.directory.sender_rights(alice.id) == ()
    for sender in ("chair@example.test", "@other.test", "chair@example.test"):
        await store.directory.grant_sender(alice.id, sender)
    assert await store.directory.sender_rights(alice.id) == ("@other.test", "chair@example.test")
    assert await store.directory.sender_rights(bob.id) == ()
    for account_id, sender in ((alice.id, "x@nowhere.test"), (12345, "chair@example.test")):
        with pytest.raises(DirectoryError):
            await store.directory.grant_sender(account_id, sender)
    await store.directory.remove_domain("other.test")
    assert await store.directory.sender_rights(alice.id) == ("chair@example.test",)
    await store.directory.revoke_sender(alice.id, "chair@example.test")
    with pytest.raises(DirectoryError):
        await store.directory.revoke_sender(alice.id, "chair@example.test")
    await store.directory.grant_sender(alice.id, "chair@example.test")
    await store.directory.purge_account(alice.id)
    assert await store.directory.sender_rights(alice.id) == ()


async def test_changes_are_published(store: Any, alice: Account) -> None:
    for step in (
        store.directory.set_password(alice.id, "", ""),
        store.directory.set_state(alice.id, "active"),
        store.directory.set_quota(alice.id, 9),
        store.directory.put_alias(Alias("s@example.test", ("a@b.test",))),
        store.directory.remove_alias(Address("s", "example.test")),
        store.directory.add_domain(Domain("more.test", 0)),
    ):
        store.changes.published.clear()
        await step
        assert store.changes.published == [DirectoryChanged()]
