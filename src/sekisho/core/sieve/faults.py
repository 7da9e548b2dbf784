"""What can be wrong with a Sieve script, as data: faces translate and print it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """One thing that is wrong at one line. `text` is an English sentence with `{name}` places that `values`
    fills: what, and what to do.

    `script`: the included script that it is in, "" for the script itself.
    """

    line: int
    text: str
    values: Mapping[str, object] = field(default_factory=dict)
    script: str = ""

    def __str__(self) -> str:
        """One line in English."""
        place = f"script {self.script}, line {self.line}" if self.script else f"line {self.line}"
        return f"{place}: {self.text.format(**self.values)}"


def sentence(text: str) -> str:
    """Marks a text that people read, for the catalogue of translations."""
    return text


class SieveError(Exception):
    """A script that cannot be used. `faults` are all that were found, at least one, in the order of their
    lines."""

    def __init__(self, faults: Sequence[ScriptFault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


class SieveRunError(Exception):
    """A script that stopped while it ran. The message is kept, and the owner told (RFC 5228 §2.10.6)."""

    def __init__(self, fault: ScriptFault) -> None:
        super().__init__(str(fault))
        self.fault = fault
