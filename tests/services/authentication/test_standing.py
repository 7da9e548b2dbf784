"""One credential ends, others go on."""

import pytest
from tests.stores.opened import OpenStore

from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.credentials import Credential, StoredCredential
from sekisho.ports.directory import Account, Domain
from sekisho.services.authentication.standing import LoginStanding
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.testing.clock import ManualClock, SeededDice

ADDRESS = Address("alice", "example.test")
ALL = ["password", "app:1", "app:2", "token:me", "uid:1000"]


class World:
    async def fill(self) -> "World":
        self.clock = ManualClock()
        self.store = OpenStore(self.clock, SeededDice())
        await self.store.directory.add_domain(Domain("example.test", 0))
        self.account: Account = await self.store.directory.add_account(ADDRESS, "x", "")
        await self.add("app:1", "uid:0")
        await self.add("app:2", "uid:0")
        self.standing = LoginStanding(self.store.directory, self.store.credentials, self.clock)
        return self

    async def add(self, id_: str, maker: str) -> None:
        credential = Credential(
            account_id=self.account.id,
            id=id_,
            kind="app",
            label=id_,
            created_by=maker,
            created_at_us=self.clock.now_us(),
        )
        await self.store.credentials.add(StoredCredential(credential, b"", ""))

    async def is_disabled(self, id_: str) -> bool:
        credential = await self.store.credentials.credential(self.account.id, id_)
        assert credential is not None
        return bool(credential.disabled_at_us)

    async def valid(self, *more: Identity) -> list[str]:
        """Which sessions go on."""
        identities = [
            *(Identity(account_id=self.account.id, address=ADDRESS, credential_id=id_) for id_ in ALL),
            *more,
        ]
        return [
            identity.credential_id for identity in identities if await self.standing.still_valid(identity)
        ]


@pytest.fixture
async def world() -> World:
    return await World().fill()


async def test_a_disabled_credential_ends_only_what_it_opened(world: World) -> None:
    assert await world.valid() == ALL
    await world.store.credentials.set_disabled(world.account.id, ("app:1", "token:me"), 1)
    assert await world.valid() == ["password", "app:2", "uid:1000"]
    await world.store.credentials.remove(world.account.id, "app:2")
    assert await world.valid() == ["password", "uid:1000"]


async def test_a_new_password_ends_only_what_the_old_one_opened(world: World) -> None:
    await world.store.directory.set_password(world.account.id, "y", "")
    assert await world.valid(Identity(account_id=world.account.id, address=ADDRESS, version=2)) == [
        "app:1",
        "app:2",
        "token:me",
        "uid:1000",
        "password",
    ]


async def test_the_end_of_an_account_ends_all(world: World) -> None:
    await world.store.directory.set_state(world.account.id, "sending_held")
    assert await world.valid() == ALL
    await world.store.directory.set_expiry(world.account.id, world.clock.now_us() + 5)
    assert await world.valid() == ALL
    world.clock.advance(1)
    assert await world.valid() == []


async def test_a_token_has_its_time(world: World) -> None:
    token = Identity(
        account_id=world.account.id,
        address=ADDRESS,
        credential_id="token:you",
        valid_until_us=world.clock.now_us() + 1,
    )
    assert "token:you" in await world.valid(token)
    world.clock.advance(1)
    assert "token:you" not in await world.valid(token)


async def test_freezing_takes_along_what_was_made_with_it(world: World) -> None:
    freezer = CredentialFreezer(world.store.credentials, world.clock)
    before = world.clock.now_us()
    world.clock.advance(10)
    await world.add("app:3", "password")
    await world.add("app:4", "uid:0")
    done = await freezer.freeze(world.account.id, "password", before)
    assert "app passwords go on" in done[0] and "disabled too" in done[1]
    assert await freezer.freeze(world.account.id, "password", before) == ()
    assert await world.valid() == ["app:1", "app:2", "token:me", "uid:1000"]
    assert await world.is_disabled("app:3") and not await world.is_disabled("app:4")
    assert await freezer.thaw(world.account.id, "password") == ("The password works again.",)
    assert await freezer.thaw(world.account.id, "password") == ()
    assert await world.is_disabled("app:3")


async def test_freezing_what_is_no_credential_or_gone(world: World) -> None:
    freezer = CredentialFreezer(world.store.credentials, world.clock)
    assert "no password to freeze" in (await freezer.freeze(world.account.id, "uid:1000", 0))[0]
    assert await freezer.freeze(world.account.id, "app:9", 0) == ()
    assert await freezer.freeze(5, "password", 0) == ()
    assert "app password" in (await freezer.freeze(world.account.id, "app:1", 0))[0]
    assert "works again" in (await freezer.thaw(world.account.id, "app:1"))[0]
