"""The power goes at a random operation: whatever was acknowledged is there afterwards, and nothing is there
twice."""

import asyncio
import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.crash.powerloss import Disk, DiskFiles, DiskVfs
from tests.stores.conftest import open_sqlite
from tests.stores.making import acceptance, appended, delivery, relay

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.adapters.stores.sqlite.verify import verify
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Account, Domain
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Outcome
from sekisho.testing.clock import SeededDice

OWNER = Owner("host", 0, 1)
ALL = UidSet(((1, 100_000),))
_numbers = itertools.count()


async def set_up(folder: Path) -> None:
    store = open_sqlite(folder, SystemClock())
    await store.directory.add_domain(Domain("example.test", 0))
    await store.directory.add_account(Address("alice", "example.test"), "", "")
    await store.close()


class Workload:
    """Random operations; what was acknowledged, and what was tried, by the token each content begins with."""

    def __init__(self, store: SqliteStore, account: Account, seed: int) -> None:
        self.store, self.account, self.random = store, account, random.Random(seed)
        self.tokens = itertools.count(1)
        self.kept: set[str] = set()  # acknowledged in INBOX or Archive
        self.queued: set[str] = set()
        self.maybe_gone: set[str] = set()  # an expunge or a settle of it was begun
        self.gone: set[str] = set()  # and acknowledged
        self.delivery_ids: list[str] = []

    async def run(self) -> None:
        """Until the power is cut, or long enough."""
        for _ in range(14):
            lanes = [self.random.choice(self.steps())() for _ in range(self.random.randint(1, 4))]
            for result in await asyncio.gather(*lanes, return_exceptions=True):
                if isinstance(result, BaseException) and not isinstance(result, StoreUnavailable):
                    raise result

    def steps(self) -> list[Any]:
        return [
            self.append,
            self.append,
            self.accept,
            self.accept,
            self.relay,
            self.repeat,
            self.expunge,
            self.settle,
            self.checkpoint,
        ]

    def octets(self) -> tuple[str, bytes]:
        token = f"t{next(self.tokens)}"
        return token, f"{token}\n".encode().ljust(self.random.choice((50, 5_000, 20_000, 120_000)), b"x")

    async def append(self) -> None:
        items = [self.octets() for _ in range(self.random.randint(1, 3))]
        await self.store.mail.append(
            self.account.id, "INBOX", [appended(self.store, octets) for _, octets in items]
        )
        self.kept |= {token for token, _ in items}

    async def accept(self) -> None:
        token, octets = self.octets()
        self.delivery_ids.append(token)
        await self.store.spool.accept(
            acceptance(
                self.store, octets, deliveries=(delivery(self.account, delivery_id=token, prefix=b""),)
            )
        )
        self.kept.add(token)

    async def repeat(self) -> None:
        """As a client does that heard no 250: the same delivery again, with the same content."""
        if self.delivery_ids:
            token = self.random.choice(self.delivery_ids)
            item = delivery(self.account, delivery_id=token, prefix=b"")
            await self.store.spool.accept(
                acceptance(self.store, f"{token}\n".encode().ljust(20_000), deliveries=(item,))
            )
            self.kept.add(token)

    async def relay(self) -> None:
        token, octets = self.octets()
        item = acceptance(self.store, octets, relays=(relay("x", "a.test", 0),), message_id=token, prefix=b"")
        await self.store.spool.accept(item)
        self.queued.add(token)

    async def settle(self) -> None:
        for job in await self.store.spool.claim(OWNER, 2):
            self.maybe_gone.add(job.message_id)
            await self.store.spool.settle(
                job, tuple(Outcome(recipient_id=r.id, result="delivered", reply=None) for r in job.recipients)
            )
            self.gone.add(job.message_id)

    async def expunge(self) -> None:
        view = await self.store.mail.view(self.account.id, "INBOX", claim_recent=False)
        if not view.uids:
            return
        uid = view.uids.uid_at(self.random.randint(1, len(view.uids)))
        octets = await self.store.mail.open(view.info.id, uid)
        if octets is None:
            return
        token = (await octets.read(0, 20)).split(b"\n")[0].decode()
        self.maybe_gone.add(token)
        await self.store.mail.expunge(view.info.id, UidSet(((uid, uid),)), only_deleted=False)
        self.gone.add(token)

    async def checkpoint(self) -> None:
        await self.store.maintenance.checkpoint(truncate=self.random.random() < 0.3)


def open_on(disk: Disk, seed: int) -> SqliteStore:
    """A store whose every write goes over the disk."""
    name = f"disk-{next(_numbers)}"
    vfs = DiskVfs(name, disk)
    disk.trace.append(("open", "."))
    settings = StoreSettings(free_disk_octets=1, vfs=name)
    store = SqliteStore(
        disk.root, SystemClock(), SeededDice(1000 + seed), LocalChanges(), settings, files=DiskFiles(disk)
    )
    store._vfs_kept_alive = vfs  # type: ignore[attr-defined]  # it must live as long as the connections
    return store


async def cut_once(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    await set_up(folder)
    disk = Disk(folder / "data")
    disk.adopt()
    store = open_on(disk, seed)
    account = await store.directory.account_by_address(Address("alice", "example.test"))
    assert account
    workload = Workload(store, account, seed)
    disk.cut_at = disk.operations + dice.randint(1, 900)
    await workload.run()
    await store.close()
    (folder / "after").mkdir()
    disk.rebuild(folder / "after/data", dice)
    await check(folder / "after", account, workload)


async def check(folder: Path, account: Account, workload: Workload) -> None:
    store = open_sqlite(folder, SystemClock(), 5)
    assert verify(folder / "data") == []
    await store.leases.free_host(OWNER.host)
    found: Counter[str] = Counter()
    inbox = await store.mail.mailbox(account.id, "INBOX")
    for row in await store.mail.rows(inbox.id, ALL):
        octets = await store.mail.open(inbox.id, row.uid)
        assert octets is not None
        read = await octets.read(0, 1_000_000)
        assert len(read) == row.size_octets
        found[read.split(b"\n")[0].decode()] += 1
    queued = Counter(message.message_id for message in await store.spool.queue())
    for message_id in queued:
        waiting = await store.spool.open_queued(message_id)
        assert waiting is not None
        assert (await waiting.read(0, 1_000_000)).startswith(f"{message_id}\n".encode())
    await store.close()
    assert workload.kept - workload.maybe_gone <= set(found), "acknowledged mail is missing"
    assert workload.queued - workload.maybe_gone <= set(queued), "acknowledged mail is missing from the queue"
    assert [token for token, count in (found + queued).items() if count > 1] == []
    assert not workload.gone & (set(found) | set(queued)), "what was expunged or settled is back"


@pytest.mark.parametrize("seed", range(12))
async def test_what_was_acknowledged_survives(tmp_path: Path, seed: int) -> None:
    await cut_once(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 250))
async def test_what_was_acknowledged_survives_many_cuts(tmp_path: Path, seed: int) -> None:
    await cut_once(tmp_path, seed)


async def test_everything_is_synced_before_the_answer(tmp_path: Path) -> None:
    await set_up(tmp_path)
    disk = Disk(tmp_path / "data")
    disk.adopt()
    store = open_on(disk, 1)
    account = await store.directory.account_by_address(Address("alice", "example.test"))
    assert account
    disk.trace.clear()
    await store.spool.accept(acceptance(store, b"x" * 60_000, deliveries=(delivery(account),)))
    kinds = [(kind, Path(path).parts[0] if kind != "sync_folder" else path) for kind, path in disk.trace]
    (place,) = [path for kind, path in disk.trace if kind == "rename"]
    file_synced = disk.trace.index(("sync", next(path for kind, path in disk.trace if kind == "create")))
    renamed = disk.trace.index(("rename", place))
    folder_synced = disk.trace.index(("sync_folder", str(Path(place).parent)))
    first_of_log = kinds.index(("write", "mail.db-wal"))
    last_write = max(n for n, (kind, _) in enumerate(disk.trace) if kind == "write")
    last_sync = max(n for n, (kind, _) in enumerate(disk.trace) if kind == "sync")
    last_of_file = max(
        n for n, (kind, path) in enumerate(disk.trace) if kind == "write" and path.startswith("content")
    )
    assert last_of_file < file_synced < renamed < folder_synced < first_of_log
    assert disk.trace[last_write][1] == disk.trace[last_sync][1] == "mail.db-wal"
    assert last_write < last_sync == len(disk.trace) - 1
    disk.trace.clear()
    await store.mail.append(account.id, "INBOX", [appended(store, b"small")])
    assert {path for _, path in disk.trace} == {"mail.db-wal"}
    assert disk.trace[-1] == ("sync", "mail.db-wal")
    await store.close()


async def test_the_disk_loses_what_was_not_synced(tmp_path: Path) -> None:
    """The shim itself: an unsynced file can be gone, a synced one never is."""
    root = tmp_path / "root"
    root.mkdir()
    disk = Disk(root)
    disk.adopt()
    files = DiskFiles(disk)
    synced, loose = files.create(root / "synced"), files.create(root / "loose")
    for descriptor in (synced, loose):
        files.write(descriptor, b"x" * 2000)
    files.sync(synced)
    outcomes = set()
    for seed in range(30):
        disk.rebuild(tmp_path / "after", random.Random(seed))
        outcomes.add((tmp_path / "after/synced").exists())
    assert outcomes == {True, False}
    files.sync_folder(root)
    sizes = set()
    for seed in range(30):
        disk.rebuild(tmp_path / "after", random.Random(seed))
        assert (tmp_path / "after/synced").read_bytes() == b"x" * 2000
        sizes.add((tmp_path / "after/loose").stat().st_size)
    assert {0, 2000} <= sizes
    for descriptor in (synced, loose):
        files.close(descriptor)
