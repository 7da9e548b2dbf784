"""Directory rows in memory: never older than the last change that anybody was told of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sekisho.adapters.process.changes import DatagramChanges
from sekisho.adapters.process.versions import SharedVersion
from sekisho.adapters.remembering import (
    LOOK_AGAIN_SECONDS,
    MOST_ROWS,
    RememberedCredentials,
    RememberedKeys,
    RememberedNames,
    RememberedScripts,
)
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.credentials import PASSWORD, SecondFactor
from sekisho.ports.directory import Account, AccountState, Alias, Domain
from sekisho.ports.keys import DkimKey
from sekisho.ports.scripts import ScriptLimits
from sekisho.services.authentication.standing import LoginStanding
from sekisho.services.submission.sender import SenderRights
from sekisho.testing.clock import ManualClock, SeededDice

ANN = Address.from_text("ann@local.example")


class Rows:
    """A directory of one domain and one account, which notes what it is asked; `meanwhile` happens in the
    middle of an answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.quota = 0
        self.used = 0
        self.state: AccountState = "active"
        self.meanwhile: Callable[[], None] = lambda: None

    async def domain(self, name: str) -> Domain | None:
        self.asked.append(name)
        return Domain(name, 0) if name == "local.example" else None

    async def account_by_address(self, address: Address) -> Account | None:
        self.asked.append(str(address))
        quota, used = self.quota, self.used
        found = Account(id=1, address=str(address), state=self.state, quota_octets=quota, used_octets=used)
        self.meanwhile()
        return found

    async def alias(self, address: Address) -> Alias | None:
        self.asked.append(f"alias {address}")
        return None

    async def account(self, account_id: int) -> Account | None:
        self.asked.append(f"account {account_id}")
        return None

    async def sender_rights(self, account_id: int) -> tuple[str, ...]:
        self.asked.append(f"rights {account_id}")
        return ()


def remembered() -> tuple[Rows, RememberedNames, SharedVersion, ManualClock]:
    rows, version, clock = Rows(), SharedVersion(2), ManualClock()
    version.take_slot(0)
    return rows, RememberedNames(rows, version.now, clock), version, clock


async def ann(names: RememberedNames) -> Account:
    found = await names.account_by_address(ANN)
    assert found is not None
    return found


async def test_what_is_there_and_what_is_not_is_asked_once() -> None:
    rows, names, _, _ = remembered()
    for _ in range(3):
        assert await names.domain("local.example") == Domain("local.example", 0)
        assert await names.domain("foreign.example") is None
        await ann(names)
        assert await names.alias(ANN) is None
    assert rows.asked == ["local.example", "foreign.example", "ann@local.example", "alias ann@local.example"]


async def test_a_change_is_seen_as_soon_as_it_is_told() -> None:
    rows, names, version, _ = remembered()
    assert (await ann(names)).state == "active"
    rows.state = "deleted"
    assert (await ann(names)).state == "active"  # nobody was told yet
    version.raise_()
    assert (await ann(names)).state == "deleted"


async def test_a_row_that_was_read_before_a_change_is_not_kept_after_it() -> None:
    rows, names, version, _ = remembered()

    def change() -> None:
        rows.state, rows.meanwhile = "deleted", lambda: None
        version.raise_()

    rows.meanwhile = change
    assert (await ann(names)).state == "active"
    assert (await ann(names)).state == "deleted"


async def test_what_an_account_with_a_quota_uses_is_looked_at_each_time() -> None:
    rows, names, version, _ = remembered()
    rows.quota = 100
    version.raise_()
    for rows.used in (1, 2, 3):
        assert (await ann(names)).used_octets == rows.used


async def test_a_word_that_was_lost_is_made_up_for() -> None:
    rows, names, _, clock = remembered()
    await ann(names)
    rows.state = "deleted"
    clock.advance(LOOK_AGAIN_SECONDS)
    assert (await ann(names)).state == "deleted"


async def test_what_strangers_ask_for_is_bounded() -> None:
    rows, names, _, _ = remembered()
    for number in range(MOST_ROWS + 1):
        await names.domain(f"d{number}.example")
    rows.asked.clear()
    await names.domain("d0.example")
    assert rows.asked == ["d0.example"]  # it was forgotten when there were too many


async def test_a_change_by_another_worker_is_seen_once_its_caller_is_told(tmp_path: Path) -> None:
    """Two workers over one data folder; nothing of the loop's turns between them."""
    clock, version = ManualClock(), SharedVersion(2)
    stores = []
    for slot in range(2):
        changes = DatagramChanges(tmp_path / f"{slot}.sock", (), directory_changed=version.raise_)
        stores.append(SqliteStore(tmp_path / "data", clock, SeededDice(slot), changes))
    here, there = stores
    names = RememberedNames(here.directory, version.now, clock)
    try:
        assert await names.domain("local.example") is None
        await there.directory.add_domain(Domain("local.example", 0))
        assert await names.domain("local.example") is not None
        assert await names.account_by_address(ANN) is None
        account = await there.directory.add_account(ANN, "", "")
        assert (await ann(names)).state == "active"
        await there.directory.set_quota(account.id, 100)
        assert (await ann(names)).quota_octets == 100
        await there.directory.put_alias(Alias("team@local.example", ("ann@local.example",)))
        team = Address.from_text("team@local.example")
        assert await names.alias(team) is not None
        await there.directory.remove_alias(team)
        assert await names.alias(team) is None
        await there.directory.purge_account(account.id)
        assert await names.account_by_address(ANN) is None
        await there.directory.remove_domain("local.example")
        assert await names.domain("local.example") is None
    finally:
        for store in stores:
            await store.close()


async def test_a_script_that_another_worker_activates_runs_at_once(tmp_path: Path) -> None:
    clock, version = ManualClock(), SharedVersion(2)
    stores = []
    for slot in range(2):
        changes = DatagramChanges(tmp_path / f"{slot}.sock", (), scripts_changed=version.raise_)
        stores.append(SqliteStore(tmp_path / "data", clock, SeededDice(slot), changes))
    here, there = stores
    scripts = RememberedScripts(here.scripts, version.now, clock)
    try:
        await there.directory.add_domain(Domain("local.example", 0))
        account = await there.directory.add_account(ANN, "", "")
        assert await scripts.active(account.id) is None
        await there.scripts.put(account.id, "main", b"keep;", ScriptLimits())
        assert await scripts.active(account.id) is None
        await there.scripts.activate(account.id, "main")
        found = await scripts.active(account.id)
        assert found is not None and found.scripts == {"main": b"keep;"}
        await there.scripts.put(account.id, "main", b"stop;", ScriptLimits())
        found = await scripts.active(account.id)
        assert found is not None and found.scripts == {"main": b"stop;"}
        await there.scripts.activate(account.id, "")
        assert await scripts.active(account.id) is None
    finally:
        for store in stores:
            await store.close()


def identity_of(account: Account) -> Identity:
    return Identity(account_id=account.id, address=ANN, credential_id=PASSWORD, version=1)


class Worker:
    """What a worker asks its store at each message that somebody submits."""

    def __init__(self, store: SqliteStore, version: SharedVersion, clock: ManualClock) -> None:
        self.names = RememberedNames(store.directory, version.now, clock)
        credentials = RememberedCredentials(store.credentials, version.now, clock)
        self.standing = LoginStanding(self.names, credentials, clock)
        self.keys = RememberedKeys(store.keys, version.now, clock)
        self.rights = SenderRights(self.names)

    async def asks(self, identity: Identity, sender: Address = ANN) -> tuple[bool, bool, int]:
        """(does the login still count, may it send as this, how many keys are there)."""
        account = await self.names.account(identity.account_id)
        assert account is not None
        return (
            await self.standing.still_valid(identity),
            await self.rights.may_send_as(account, sender),
            len(await self.keys.dkim_keys("local.example")),
        )


async def test_the_second_message_of_somebody_asks_the_database_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, version = ManualClock(), SharedVersion(1)
    changes = DatagramChanges(tmp_path / "0.sock", (), directory_changed=version.raise_)
    store = SqliteStore(tmp_path / "data", clock, SeededDice(), changes)
    try:
        await store.directory.add_domain(Domain("local.example", 0))
        account = await store.directory.add_account(ANN, "", "")
        worker, identity = Worker(store, version, clock), identity_of(account)
        assert await worker.asks(identity) == (True, True, 0)
        monkeypatch.setattr(store.reader, "ask", None)
        monkeypatch.setattr(store.reader, "read", None)
        assert await worker.asks(identity) == (True, True, 0)
    finally:
        await store.close()


async def test_what_ends_a_login_a_right_or_a_key_in_another_worker_counts_at_once(tmp_path: Path) -> None:
    clock, version = ManualClock(1_800_000_000_000_000), SharedVersion(2)
    stores = []
    for slot in range(2):
        changes = DatagramChanges(tmp_path / f"{slot}.sock", (), directory_changed=version.raise_)
        stores.append(SqliteStore(tmp_path / "data", clock, SeededDice(slot), changes))
    here, there = stores
    try:
        await there.directory.add_domain(Domain("local.example", 0))
        account = await there.directory.add_account(ANN, "", "")
        worker, identity = Worker(here, version, clock), identity_of(account)
        chair = Address.from_text("chair@local.example")
        assert await worker.asks(identity, chair) == (True, False, 0)
        await there.directory.grant_sender(account.id, str(chair))
        assert await worker.asks(identity, chair) == (True, True, 0)
        key = DkimKey(
            domain="local.example",
            selector="s",
            algorithm="rsa",
            state="active",
            private_pem=b"",
            created_at_us=0,
            changed_at_us=0,
        )
        await there.keys.put_dkim_keys((key,))
        await there.directory.revoke_sender(account.id, str(chair))
        assert await worker.asks(identity, chair) == (True, False, 1)
        await there.keys.remove_dkim_keys((key,))
        await there.credentials.set_disabled(account.id, (PASSWORD,), 1)
        assert await worker.asks(identity) == (False, True, 0)
        await there.credentials.set_disabled(account.id, (PASSWORD,), 0)
        assert await worker.asks(identity) == (True, True, 0)
        await there.credentials.set_second_factor(account.id, SecondFactor(b"secret", confirmed_at_us=1))
        assert await worker.asks(identity) == (False, True, 0)
        await there.credentials.set_second_factor(account.id, None)
        await there.directory.set_expiry(account.id, clock.now_us() + 1_000_000)
        assert await worker.asks(identity) == (True, True, 0)
        clock.advance(2)  # the row is remembered, the time is not
        assert await worker.asks(identity) == (False, True, 0)
    finally:
        for store in stores:
            await store.close()
