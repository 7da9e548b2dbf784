"""Backups of a server that is being killed, and what is in them."""

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.clients import NUMBER
from tests.crash.load import LOCAL, Load
from tests.system.server import Server, sekisho

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet

DATA_DIR = re.compile(r'^data_dir = ".*"$', re.MULTILINE)


@dataclass
class Copies:
    """Backs up again and again until `stop`, at least once; each with what had been promised when it
    began."""

    server: Server
    load: Load
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    made: list[tuple[Path, set[tuple[int, str]]]] = field(default_factory=list)

    def live(self) -> None:
        while not (self.stop.is_set() and self.made):
            here = {self.server.accounts[name].address for name in LOCAL}
            promised = {
                (number, who)
                for number, taken in list(self.load.promised.items())
                for who in taken
                if who in here
            }
            target = self.folder / f"copy{len(self.made)}"
            self.server.command("backup", str(target))
            self.made.append((target, promised))
            assert self.server.command("verify", str(target)) == {"problems": []}
            self.stop.wait(1.0)

    async def judge(self) -> None:
        """The last one, restored: sound, and with everything that was promised before it."""
        target, promised = self.made[-1]
        restored = self.folder / "restored"
        restored.mkdir(mode=0o700)
        config = self.folder / "restored.toml"
        text, count = DATA_DIR.subn(f'data_dir = "{restored}"', self.server.config_file.read_text())
        assert count == 1
        config.write_text(text)
        sekisho("restore", str(target), "-c", str(config), "--json")
        assert sekisho("verify", "-c", str(config), "--json") == {"problems": []}
        store = SqliteStore(
            restored, SystemClock(), SystemDice(), LocalChanges(), StoreSettings(free_disk_octets=0)
        )
        try:
            found: Counter[tuple[int, str]] = Counter()
            for name in LOCAL:
                found += await _numbers(store, self.server.accounts[name].address)
        finally:
            await store.close()
        assert promised <= found.keys(), f"not in the backup: {sorted(promised - found.keys())}"
        assert [which for which, times in found.items() if times > 1] == []


async def _numbers(store: SqliteStore, address: str) -> Counter[tuple[int, str]]:
    account = await store.directory.account_by_address(Address.from_text(address))
    assert account is not None
    inbox = await store.mail.mailbox(account.id, "INBOX")
    found: Counter[tuple[int, str]] = Counter()
    for row in await store.mail.rows(inbox.id, UidSet.of(range(1, inbox.uidnext))):
        octets = await store.mail.open(inbox.id, row.uid)
        assert octets is not None
        if number := NUMBER.search((await octets.read(0, 4000)).partition(b"\r\n\r\n")[0]):
            found[int(number[1]), address] += 1
    return found
