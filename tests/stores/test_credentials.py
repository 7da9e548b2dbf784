"""App passwords, service credentials, second factors, and what is known of an account's own password."""

from typing import Any

import msgspec
import pytest

from sekisho.core.terms.address import Address
from sekisho.ports.changes import DirectoryChanged
from sekisho.ports.credentials import Credential, SecondFactor, StoredCredential, kind_of
from sekisho.ports.directory import Account, DirectoryError, StoredPassword


def phone(account: Account, id_: str = "app:1", label: str = "phone", **fields: Any) -> StoredCredential:
    credential = Credential(
        account_id=account.id,
        id=id_,
        kind="app",
        label=label,
        scopes=("imap", "smtp"),
        networks=("192.0.2.0/24", "2001:db8::/32"),
        created_at_us=5,
    )
    return StoredCredential(msgspec.structs.replace(credential, **fields), b"digest", "scram")


async def test_credentials_are_kept_as_they_are(store: Any, alice: Account, bob: Account) -> None:
    first = phone(alice)
    second = phone(
        alice,
        "service:2",
        "printer",
        kind="service",
        created_at_us=9,
        sender="alice@example.test",
        expires_at_us=77,
    )
    await store.credentials.add(second)
    await store.credentials.add(first)
    await store.credentials.add(phone(bob))
    assert await store.credentials.of_account(alice.id) == [first, second]
    assert await store.credentials.credential(alice.id, "service:2") == second.credential
    assert await store.credentials.credential(bob.id, "service:2") is None
    assert await store.credentials.of_account(5) == []
    await store.credentials.remove(alice.id, "app:1")
    assert await store.credentials.of_account(alice.id) == [second]
    assert len(await store.credentials.of_account(bob.id)) == 1
    await store.directory.purge_account(alice.id)
    assert await store.credentials.of_account(alice.id) == []


async def test_what_cannot_be_is_refused(store: Any, alice: Account, bob: Account) -> None:
    await store.credentials.add(phone(alice))
    stray = msgspec.structs.replace(phone(alice), credential=Credential(account_id=5, id="app:1", kind="app"))
    for stored in (phone(alice, "app:2"), phone(alice, label="other"), stray):
        with pytest.raises(DirectoryError):
            await store.credentials.add(stored)
    for account_id, credential_id in (
        (alice.id, "app:2"),
        (bob.id, "app:1"),
        (5, "app:1"),
        (alice.id, "password"),
    ):
        with pytest.raises(DirectoryError):
            await store.credentials.remove(account_id, credential_id)
    for account_id, ids in ((alice.id, ("password", "app:2")), (alice.id, ("uid:0",)), (5, ("password",))):
        with pytest.raises(DirectoryError):
            await store.credentials.set_disabled(account_id, ids, 1)
    assert await store.credentials.credential(alice.id, "password") is None


async def test_disabling(store: Any, alice: Account) -> None:
    await store.credentials.add(phone(alice))
    await store.credentials.add(phone(alice, "app:2", "tablet"))
    store.changes.published.clear()
    await store.credentials.set_disabled(alice.id, ("app:1", "password", "token:me"), 40)
    assert store.changes.published == [DirectoryChanged()]
    found = {
        stored.credential.id: stored.credential for stored in await store.credentials.of_account(alice.id)
    }
    assert {id_: c.disabled_at_us for id_, c in found.items()} == {
        "app:1": 40,
        "app:2": 0,
        "password": 40,
        "token:me": 40,
    }
    assert (found["password"].kind, found["token:me"].kind, found["app:1"].label) == (
        "account",
        "token",
        "phone",
    )
    assert not found["app:1"].is_usable(50) and found["app:2"].is_usable(50)
    await store.credentials.set_disabled(alice.id, ("app:1",), 0)
    assert (await store.credentials.credential(alice.id, "app:1")).disabled_at_us == 0
    await store.directory.set_password(alice.id, "new", "")
    assert (
        await store.credentials.credential(alice.id, "password")
    ).disabled_at_us == 0  # the new one is not the one that was disabled
    assert (await store.credentials.credential(alice.id, "token:me")).disabled_at_us == 40


async def test_ends(store: Any, alice: Account) -> None:
    assert phone(alice, expires_at_us=100).credential.is_usable(99)
    assert not phone(alice, expires_at_us=100).credential.is_usable(100)
    await store.directory.set_expiry(alice.id, 100)
    account = await store.directory.account(alice.id)
    assert account.expires_at_us == 100 and account.may_log_in(99) and not account.may_log_in(100)
    await store.directory.set_expiry(alice.id, 0)
    assert (await store.directory.account_by_address(Address("alice", "example.test"))).may_log_in(2**62)


async def test_use_is_noted_and_wakes_nobody(store: Any, alice: Account) -> None:
    await store.credentials.add(phone(alice))
    store.changes.published.clear()
    await store.credentials.note_use(alice.id, "app:1", 70, "192.0.2.0/24")
    await store.credentials.note_use(alice.id, "app:1", 60, "198.51.100.0/24")
    await store.credentials.note_use(alice.id, "password", 80, "192.0.2.0/24")
    used = [
        (s.credential.last_used_at_us, s.credential.last_used_from)
        for s in await store.credentials.of_account(alice.id)
    ]
    assert sorted(used) == [(70, "198.51.100.0/24"), (80, "192.0.2.0/24")]
    assert store.changes.published == []
    with pytest.raises(DirectoryError):
        await store.credentials.note_use(alice.id, "app:9", 70, "192.0.2.0/24")


async def test_server_keys_are_made_once(store: Any) -> None:
    first = await store.credentials.server_key("secrets")
    assert len(first) == 32 and await store.credentials.server_key("secrets") == first
    assert await store.credentials.server_key("salts") != first


async def test_a_time_step_is_used_once(store: Any, alice: Account, bob: Account) -> None:
    assert await store.credentials.second_factor(alice.id) is None
    assert not await store.credentials.use_step(alice.id, 3)
    await store.credentials.set_second_factor(alice.id, SecondFactor(b"secret", 4, 2))
    assert await store.credentials.second_factor(alice.id) == SecondFactor(b"secret", 4, 2)
    assert [await store.credentials.use_step(alice.id, step) for step in (2, 3, 3, 1, 4)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert not await store.credentials.use_step(bob.id, 9)
    with_codes = SecondFactor(b"secret", 4, 4, (b"a" * 32, b"b" * 32))
    await store.credentials.set_second_factor(alice.id, with_codes)
    assert await store.credentials.second_factor(alice.id) == with_codes
    digests = (b"b" * 32, b"b" * 32, b"c" * 32)
    assert [await store.credentials.use_recovery(alice.id, digest) for digest in digests] == [
        True,
        False,
        False,
    ]
    assert await store.credentials.second_factor(alice.id) == SecondFactor(b"secret", 4, 4, (b"a" * 32,))
    assert not await store.credentials.use_recovery(bob.id, b"a" * 32)
    await store.credentials.set_second_factor(alice.id, None)
    assert await store.credentials.second_factor(alice.id) is None
    with pytest.raises(DirectoryError):
        await store.credentials.set_second_factor(5, SecondFactor(b"secret"))


async def test_a_hash_is_replaced_only_if_it_is_still_the_same(store: Any, alice: Account) -> None:
    store.changes.published.clear()
    await store.directory.upgrade_password(alice.id, "argon2", "better", "keys")
    await store.directory.upgrade_password(alice.id, "argon2", "too late", "")
    await store.directory.upgrade_password(5, "argon2", "nobody", "")
    assert await store.directory.password(alice.id) == StoredPassword(alice.id, "better", "keys", 1)
    assert store.changes.published == []


def test_ids_say_what_they_name() -> None:
    ids = ("password", "app:7", "service:7", "token:x", "certificate:a", "uid:0", "")
    assert [kind_of(id_) for id_ in ids] == ["account", "app", "service", "token", "certificate", None, None]
