"""What can be wrong with a configuration, as data: faces translate and print it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong at one place of the file.

    `path` is the TOML path ("listeners[2].port", "" for the file as a whole). `text` (what is wrong) and
    `advice` (what to do, may be empty) are English sentences with `{name}` places that `values` fills; they
    are also the keys of their translations.
    """

    path: str
    text: str
    advice: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    line: int | None = None
    severity: Literal["error", "warning"] = "error"

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    def __str__(self) -> str:
        """One line in English, for logs."""
        place = f"line {self.line}: " if self.line else ""
        path = f"{self.path}: " if self.path else ""
        advice = f" {self.advice.format(**self.values)}" if self.advice else ""
        return f"{place}{path}{self.text.format(**self.values)}{advice}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` is the full list, warnings included; at least one is an
    error."""

    def __init__(self, problems: Sequence[Problem], file: Path | None = None) -> None:
        super().__init__("; ".join(str(problem) for problem in problems if problem.is_error))
        self.problems = tuple(problems)
        self.file = file  # where they are, if it is not the one that was named
