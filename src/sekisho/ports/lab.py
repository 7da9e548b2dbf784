"""What a rehearsal needs of a running server, and what it tells: the records between lab, faces and the
composition root."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct


class RunningServer(Protocol):
    """A `sekisho serve` in a process of its own."""

    ports: Mapping[str, int]  # by kind of listener
    ca_file: Path
    journal_file: Path  # JSON lines

    def move_clock(self, offset_us: int) -> None:
        """How far its time is ahead of the system's; never less than before."""
        ...

    async def ask(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """One operator's action over the control socket, plain data in and out; raises RehearsalFailed when
        it is refused."""
        ...

    async def command(self, arguments: Sequence[str], stdin: str = "") -> tuple[int, str]:
        """`sekisho ARGUMENTS`: its exit code and all that it printed."""
        ...


class ServerOrder(Struct, frozen=True, kw_only=True):
    """What to start: in `folder`, on `host` (of 127/8), by these tables of sekisho.toml, its time ahead by
    `offset_us`."""

    folder: Path
    host: str
    hostname: str
    tables: dict[str, Any]
    offset_us: int
    language: str = "en"  # of what it says to people


StartServer = Callable[[ServerOrder], AbstractAsyncContextManager[RunningServer]]


class RehearsalFailed(Exception):
    """The lab itself could not go on. `text` is an English sentence with `{name}` places."""

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values) if values else text)
        self.text = text
        self.values = values


class Complaint(Struct, frozen=True):
    """What did not go as the scene says, or why something happened: an English sentence with `{name}` places
    and what fills them."""

    text: str
    values: dict[str, str] = {}

    def __str__(self) -> str:
        return self.text.format(**self.values)


class Fate(Struct, frozen=True, kw_only=True):
    """What became of one message for one recipient, or of one login, dialog or command."""

    number: int
    step: str
    actor: str
    side: str  # honest, attack, house
    title: str
    do: str
    recipient: str
    outcome: str
    tries: int
    delay_seconds: float
    at_us: int
    reply: str  # the server's, the one that decided
    rule: str  # what spoke at the door, "" if nothing did
    because: str  # the server's own reason, from its journal
    why: Complaint | None  # the sentence of `sekisho why`
    authentication_results: str  # what it found about the sender: "iprev=pass spf=pass …"
    expected: str  # "" when the scene expects nothing in particular
    ok: bool
    problem: Complaint | None  # what is wrong when it is not ok
    was_held: bool = False
    copies: int = 1  # how often it arrived
    count: int = 1  # guesses stand together
    hits: int = 0


class TotalResult(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    measure: str
    value: float
    at_most: float | None
    at_least: float | None
    ok: bool


class LabRates(Struct, frozen=True, kw_only=True):
    """The errors in both directions. Messages are counted per recipient."""

    honest: int = 0
    honest_stopped: int = 0  # refused, held at the end, given up or lost
    honest_junk: int = 0
    honest_delayed: int = 0  # arrived, but later than at once
    longest_delay_seconds: float = 0.0
    attacks: int = 0
    attacks_let_in: int = 0  # in an inbox, or out in the world
    attacks_junk: int = 0


class SceneResult(Struct, frozen=True, kw_only=True):
    scene: str
    title: str
    seed: int
    ok: bool
    fates: list[Fate]
    totals: list[TotalResult]
    rates: LabRates
    faults: list[str]  # own bugs of the server that came to light
    numbers: dict[str, float]
    seconds: float  # that it took
    lab_seconds: float  # that passed in it


class SceneInfo(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    about: str
    steps: int
    file: str


class Rehearsal(Struct, frozen=True, kw_only=True):
    """What a person asked for: names of shipped scenes (none and no files: the usual ones) and files of their
    own."""

    names: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    seed: int = 1
    full: bool = False
    keep: Path | None = None
    language: str = "en"


class Watcher(Protocol):
    """Told while it happens."""

    def scene_begins(self, info: SceneInfo) -> None: ...

    def fate(self, fate: Fate, lab_us: int) -> None: ...

    def scene_ends(self, result: SceneResult) -> None: ...
