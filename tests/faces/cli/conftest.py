"""A composition root for tests: the real operations over the memory store, and a record of everything
else."""

import asyncio
import io
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.services.door_kit import door_kit
from tests.services.guard.kit import guard_kit
from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.adapters.tryout import prepare
from sekisho.admin.context import Context
from sekisho.admin.operations import answer
from sekisho.config.schema import Config, ResolverSettings
from sekisho.core.terms.dns import Resolver
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError, OperatorLink, Progress, TryAccount, TryReady
from sekisho.faces.cli.main import run
from sekisho.ports.lab import Rehearsal, SceneInfo, SceneResult, Watcher
from sekisho.services.authentication.bandesk import BanDesk
from sekisho.services.classifier import LiveClassifier
from sekisho.services.sieve.desk import ScriptDesk
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal
from sekisho.testing.zones import ZoneResolver

T = TypeVar("T")


class FakeApp:
    def __init__(self) -> None:
        self.store = OpenStore(ManualClock(), SeededDice())
        self.journal = MemoryJournal()
        self.ledger = MemoryLedger(ManualClock())
        self.calls: list[tuple[Any, ...]] = []
        self.reachable = True
        self.problems: list[str] = []
        self.zone = ""
        self.scenes: list[Callable[[Watcher], SceneResult]] = []

    def serve(self, config_file: Path) -> int:
        self.calls.append(("serve", config_file))
        return 7

    def try_out(self, folder: Path, base_port: int | None, announce: Callable[[TryReady], None]) -> int:
        tryout = prepare(folder, base_port)
        accounts = tuple(TryAccount(address, password) for address, password in tryout.passwords.items())
        announce(
            TryReady(
                ready=True,
                ports=tryout.ports,
                accounts=accounts,
                ca_file=str(tryout.ca_file),
                dir=str(tryout.folder),
                pid=4242,
            )
        )
        return 0

    @contextmanager
    def operator(self, config: Config) -> Iterator[OperatorLink]:
        if not self.reachable:
            raise CommandError(
                "No server runs and {path} is locked.", exits.UNREACHABLE, path=str(config.data_dir)
            )
        context = Context(
            directory=self.store.directory,
            spool=self.store.spool,
            keys=self.store.keys,
            journal=self.journal,
            clock=ManualClock(),
            roles=config.roles,
            actor="uid:0",
            ledger=self.ledger,
            guard_kit=guard_kit(self.store),
            classifier=LiveClassifier(self.store.lessons, ManualClock(), self.journal),
            door_kit=door_kit(self.store),
            ban_desk=BanDesk(self.store.bans, self.store.counters, config.login),
            credentials=self.store.credentials,
            places=self.store.places,
            script_desk=ScriptDesk(self.store.scripts, config.sieve),
        )
        yield lambda request: asyncio.run(answer(context, request))

    def lab_scenes(self, language: str) -> list[SceneInfo]:
        return [
            SceneInfo(
                name="door",
                title={"en": "The door", "ja": "門"}[language],
                about="",
                steps=3,
                file="/scenes/door.toml",
            )
        ]

    def lab(self, asked: Rehearsal, watcher: Watcher) -> list[SceneResult]:
        self.calls.append(("lab", asked))
        return [play(watcher) for play in self.scenes]

    def look_up(self, settings: ResolverSettings, work: Callable[[Resolver], Coroutine[Any, Any, T]]) -> T:
        self.calls.append(("look_up", settings.servers))
        return asyncio.run(work(ZoneResolver(self.zone)))

    def backup(self, config: Config, target: Path, progress: Progress) -> dict[str, Any]:
        progress("contents", 1, 2)
        self.calls.append(("backup", target))
        return {"messages": 3, "octets": 2048}

    def verify(self, config: Config, backup: Path | None, progress: Progress) -> dict[str, Any]:
        self.calls.append(("verify", backup))
        return {"messages": 3, "problems": self.problems}

    def restore(self, config: Config, backup: Path, progress: Progress) -> dict[str, Any]:
        self.calls.append(("restore", backup))
        return {"messages": 3}


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class Cli:
    """`cli("domain", "list")` gives (exit code, standard output, standard error)."""

    def __init__(
        self,
        app: FakeApp,
        config_file: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.app, self.config_file, self._capsys, self._monkeypatch = app, config_file, capsys, monkeypatch

    def __call__(self, *words: str, stdin: str = "", on_terminal: bool = False) -> tuple[int, str, str]:
        stream = Terminal if on_terminal else io.TextIOWrapper
        self._monkeypatch.setattr(sys, "stdin", stream(io.BytesIO(stdin.encode()), "utf-8"))
        self._capsys.readouterr()
        code = run(self.app, ["sekisho", *words])
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def app() -> FakeApp:
    return FakeApp()


@pytest.fixture
def cli(
    app: FakeApp, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """The command line in English, with the configuration of a try-out server in SEKISHO_CONFIG."""
    for name in ("LC_ALL", "LC_MESSAGES", "SEKISHO_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    config_file = prepare(tmp_path / "server", 20000).config_file
    monkeypatch.setenv("SEKISHO_CONFIG", str(config_file))
    return Cli(app, config_file, capsys, monkeypatch)
