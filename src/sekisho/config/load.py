"""sekisho.toml → `Config`, or the full list of what is wrong with it.

`parse` is pure; `load` reads the file and everything that it names.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sekisho.config.checks import check_config
from sekisho.config.explain import schema_problem, syntax_problem
from sekisho.config.files import check_files, check_secrecy
from sekisho.config.lines import Location, scan_lines, toml_path
from sekisho.config.problems import ConfigError, Problem
from sekisho.config.schema import Config

# For settings without a default, while the rest is being checked.
_STAND_INS: Mapping[str, Any] = {
    "hostname": "mx.example.org",
    "data_dir": "/",
    "roles": {"postmaster": "postmaster@example.org", "abuse": "abuse@example.org"},
    "postmaster": "postmaster@example.org",
    "abuse": "abuse@example.org",
    "kind": "smtp",
    "address": "127.0.0.1",
    "port": 0,
    "cert_file": "/",
    "key_file": "/",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is still worth knowing about it."""

    config: Config
    warnings: tuple[Problem, ...]


def load(path: Path, *, with_files: bool = True, forgiving: tuple[str, ...] = ()) -> Loaded:
    """Read and check the file and, `with_files`, everything that it names; raises ConfigError with all
    problems.

    What a server needs (keys, users, folders), a command that asks it or its data does not: a certificate
    that is half written, or one that only root can read, must not keep anybody from the queue. `forgiving`:
    what is wrong with files named by settings whose paths begin so is no error; it stands among the warnings.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(path="", text="The file is not UTF-8 text.", advice="Save it as UTF-8.")]
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            [
                Problem(
                    path="",
                    text="The configuration file cannot be read: {reason}.",
                    advice="Name it with -c, or write a first one with: sekisho setup HOSTNAME -c {path}",
                    values={"reason": reason, "path": str(path)},
                )
            ]
        ) from error
    parsed = parse(text, path.absolute().parent)
    problems = parsed.problems
    if parsed.draft is not None and with_files:
        found = _with_lines(
            [*check_files(parsed.draft), *check_secrecy(path, parsed.draft)], scan_lines(text)
        )
        found = [
            replace(problem, severity="warning") if problem.path.startswith(forgiving) else problem
            for problem in found
        ]
        problems = problems + [problem for problem in found if not _lies_in(problem.path, parsed.mended)]
    if parsed.config is None or any(problem.is_error for problem in problems):
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return Loaded(parsed.config, tuple(problems))


@dataclass(frozen=True, slots=True)
class Parsed:
    """`config` is None when the text is no TOML or does not fit the schema.

    `draft` is then what is left when the faulty settings are taken out (at the paths `mended`), so that the
    other checks can still say what else is wrong; None if nothing could be saved.
    """

    config: Config | None
    draft: Config | None
    problems: list[Problem]
    mended: tuple[str, ...] = ()


def parse(text: str, folder: Path) -> Parsed:
    """Check the text alone, without touching any file. Relative paths in it are taken from `folder`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Parsed(None, None, [syntax_problem(error, text)])
    lines = scan_lines(text)
    try:
        config = _validate(raw, folder)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems = [schema_problem(Config, details, lines) for details in errors]
        mended = tuple(toml_path(details["loc"]) for details in errors)
        draft = _draft(raw, errors, folder)
        found = _with_lines(check_config(draft), lines) if draft is not None else []
        return Parsed(None, draft, problems + [p for p in found if not _lies_in(p.path, mended)], mended)
    return Parsed(config, config, _with_lines(check_config(config), lines))


def _validate(raw: dict[str, Any], folder: Path) -> Config:
    # Strict validation of JSON is what keeps "25" from being a number and true from being 1.
    return Config.model_validate_json(json.dumps(raw, default=str), strict=True, context={"folder": folder})


def _draft(raw: dict[str, Any], errors: list[ErrorDetails], folder: Path) -> Config | None:
    """The configuration without its faulty settings: their defaults, or a harmless stand-in where there is
    none."""
    for details in errors:
        *above, last = details["loc"]
        table: Any = raw
        for part in above:
            table = table[part] if isinstance(part, int) else table.setdefault(part, {})
        if isinstance(last, int) or last not in _STAND_INS:
            # A faulty list or table goes as a whole: taking one element out would shift the others.
            _drop(raw, details["loc"])
        else:
            table[last] = _STAND_INS[last]
    try:
        return _validate(raw, folder)
    except ValidationError:
        return None


def _drop(raw: dict[str, Any], location: Location) -> None:
    while location and isinstance(location[-1], int):
        location = location[:-1]
    table: Any = raw
    for part in location[:-1]:
        table = table[part]
    table.pop(location[-1], None)


def _lies_in(path: str, places: tuple[str, ...]) -> bool:
    """Is the path at or under one of the places, or the other way round (a list without its faulty
    element)?"""
    return any(path.startswith(place) or place.startswith(path) for place in places if path)


def _with_lines(problems: Iterable[Problem], lines: Mapping[Location, int]) -> list[Problem]:
    by_path = {toml_path(location): line for location, line in lines.items()}
    out = []
    for problem in problems:
        path = problem.path
        while path and path not in by_path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        out.append(replace(problem, line=by_path.get(path)))
    return out
