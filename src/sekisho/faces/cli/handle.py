"""What the command line asks of the composition root: `app` implements `AppHandle`, the commands only call
it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:  # pydantic takes 50 ms to import, and the sendmail shim does without
    from sekisho.config.schema import Config, ResolverSettings
    from sekisho.core.terms.dns import Resolver
    from sekisho.ports.lab import Rehearsal, SceneInfo, SceneResult, Watcher

T = TypeVar("T")
# (what is done in one word, done so far, all or 0 when unknown), in octets
Progress = Callable[[str, int, int], None]
# One request of admin.operations in, its answer out.
OperatorLink = Callable[[bytes], bytes]


class CommandError(Exception):
    """A command cannot do its work. `text` is an English sentence with `{name}` places; `exit_code` is one of
    faces/cli/exits.py."""

    def __init__(self, text: str, exit_code: int = 1, /, **values: object) -> None:
        super().__init__(text.format(**values) if values else text)
        self.text = text
        self.exit_code = exit_code
        self.values = values


class TryAccount(Struct, frozen=True):
    address: str
    password: str


class TryReady(Struct, frozen=True, kw_only=True):
    """What a try-out server tells once every port listens."""

    ready: bool
    ports: dict[str, int]  # smtp, submission, submissions, imap, imaps, pop3, pop3s, sieve
    accounts: tuple[TryAccount, ...]
    ca_file: str
    dir: str
    pid: int


class AppHandle(Protocol):
    """Each method runs to its end; what goes wrong in a way a person can mend is CommandFailed."""

    def serve(self, config_file: Path) -> int:
        """Run the server in the foreground until it is told to stop; returns the exit code. Loads the file
        itself; raises ConfigError."""
        ...

    def try_out(self, folder: Path, base_port: int | None, announce: Callable[[TryReady], None]) -> int:
        """Prepare the folder (adapters.tryout.prepare), start the same server, call `announce` once all ports
        listen."""
        ...

    def operator(self, config: "Config") -> AbstractContextManager[OperatorLink]:
        """The running server's control socket; with the server down, the store opened here after taking the
        data folder's lock.

        Raises CommandFailed with exits.UNREACHABLE when neither is possible (locked, no permission).
        """
        ...

    def lab_scenes(self, language: str) -> "list[SceneInfo]":
        """The scenes that come with the program."""
        ...

    def lab(self, asked: "Rehearsal", watcher: "Watcher") -> "list[SceneResult]":
        """Play scenes against servers of their own; raises ConfigError for a broken scene file."""
        ...

    def look_up(self, settings: "ResolverSettings", work: "Callable[[Resolver], Awaitable[T]]") -> "T":
        """What `work` finds out from the DNS, in an event loop of its own."""
        ...

    def backup(self, config: "Config", target: Path, progress: Progress) -> dict[str, Any]:
        """A consistent copy into the new folder `target`, hot; returns numbers for people and machines
        ("messages", "octets", …)."""
        ...

    def verify(self, config: "Config", backup: Path | None, progress: Progress) -> dict[str, Any]:
        """Check a backup, or the live data (`backup` None): databases, contents, counters; "problems" is a
        list of sentences."""
        ...

    def restore(self, config: "Config", backup: Path, progress: Progress) -> dict[str, Any]:
        """Fill an empty data folder from a backup; refuses while a server runs or anything is there."""
        ...
