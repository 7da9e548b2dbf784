"""sekisho.toml → `Config`, or the full list of what is wrong with it.

`parse` is pure; `load` reads the file and everything that it names.
"""

import difflib
import json
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sekisho.config.checks import check_config
from sekisho.config.files import check_files
from sekisho.config.lines import Location, line_of, scan_lines, toml_path
from sekisho.config.problems import ConfigError, Problem
from sekisho.config.schema import Config

# pydantic's error type -> (what is wrong, what to do); `{…}` come from the error's context and `value` from the input.
TEXTS: Mapping[str, tuple[str, str]] = {
    "other": ("{value} is not possible here: {reason}.", ""),
    "missing": ("This setting is required.", "Add it; 'sekisho config reference' explains each setting."),
    "int_type": ("{value} is not a whole number.", "Write a number without quotes."),
    "int_from_float": ("{value} is not a whole number.", "Write a number without a fraction."),
    "float_type": ("{value} is not a number.", "Write a number without quotes."),
    "finite_number": ("{value} is not a finite number.", ""),
    "string_type": ("{value} is not text.", "Put it in quotes."),
    "bool_type": ("{value} is neither true nor false.", "Write true or false without quotes."),
    "path_type": ("{value} is not a path.", "Write a path in quotes."),
    "greater_than": ("{value} is too small.", "It must be more than {gt}."),
    "greater_than_equal": ("{value} is too small.", "It must be at least {ge}."),
    "less_than_equal": ("{value} is too large.", "It must be at most {le}."),
    "literal_error": ("{value} is none of the possible values.", "Write one of: {expected}."),
    "ip_any_address": ("{value} is not an IP address.", 'Write for example "192.0.2.25" or "2001:db8::25", without a port.'),
    "ip_any_network": ("{value} is not an IP network.", 'Write for example "192.0.2.0/24" or "2001:db8::/32".'),
    "tuple_type": ("{value} is not a list.", "Write it in square brackets."),
    "dict_type": ("{value} is not a table.", "Write a table: a header in square brackets, and name = value lines under it."),
    "model_type": ("{value} is not a table.", "Write a table: a header in square brackets, and name = value lines under it."),
}

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


def load(path: Path) -> Loaded:
    """Read and check the file and everything that it names; raises ConfigError with all problems."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem("", "The file is not UTF-8 text.", "Save it as UTF-8.")]) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            [
                Problem(
                    "",
                    "The configuration file cannot be read: {reason}.",
                    "Name it with -c, or write a first one with: sekisho setup HOSTNAME -c {path}",
                    {"reason": reason, "path": str(path)},
                )
            ]
        ) from error
    parsed = parse(text, path.absolute().parent)
    problems = parsed.problems
    if parsed.draft is not None:
        found = _with_lines(check_files(parsed.draft), scan_lines(text))
        problems = problems + [problem for problem in found if not _lies_in(problem.path, parsed.mended)]
    if parsed.config is None or any(problem.is_error for problem in problems):
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return Loaded(parsed.config, tuple(problems))


@dataclass(frozen=True, slots=True)
class Parsed:
    """`config` is None when the text is no TOML or does not fit the schema.

    `draft` is then what is left when the faulty settings are taken out (at the paths `mended`), so that the other checks can
    still say what else is wrong; None if nothing could be saved.
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
        return Parsed(None, None, [_syntax_problem(error, text)])
    lines = scan_lines(text)
    try:
        config = _validate(raw, folder)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems = [_schema_problem(details, lines) for details in errors]
        mended = tuple(toml_path(details["loc"]) for details in errors)
        draft = _draft(raw, errors, folder)
        found = _with_lines(check_config(draft), lines) if draft is not None else []
        return Parsed(None, draft, problems + [p for p in found if not _lies_in(p.path, mended)], mended)
    return Parsed(config, config, _with_lines(check_config(config), lines))


def _validate(raw: dict[str, Any], folder: Path) -> Config:
    # Strict validation of JSON is what keeps "25" from being a number and true from being 1.
    return Config.model_validate_json(json.dumps(raw, default=str), strict=True, context={"folder": folder})


def _draft(raw: dict[str, Any], errors: list[ErrorDetails], folder: Path) -> Config | None:
    """The configuration without its faulty settings: their defaults, or a harmless stand-in where there is none."""
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
    """Is the path at or under one of the places, or the other way round (a list without its faulty element)?"""
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


def _syntax_problem(error: tomllib.TOMLDecodeError, text: str) -> Problem:
    reason, _, place = str(error).partition(" (at ")
    line: int | None = None
    if place.startswith("line "):
        line = int(place[5:].split(",")[0])
    elif place:
        line = text.count("\n") + 1
    return Problem("", "This is not TOML: {reason}.", "Mend the line, or the one before it.", {"reason": reason}, line)


def _schema_problem(details: ErrorDetails, lines: Mapping[Location, int]) -> Problem:
    location: Location = details["loc"]
    values = {"value": _shown(details["input"]), **details.get("ctx", {})}
    path, line = toml_path(location), line_of(lines, location)
    if details["type"] == "extra_forbidden":
        return _unknown_key(location, path, line)
    if details["type"] == "missing":
        line = line_of(lines, location[:-1])
    text, advice = TEXTS.get(details["type"], TEXTS["other"])
    return Problem(path, text, advice, {**values, "reason": details["msg"]}, line)


def _unknown_key(location: Location, path: str, line: int | None) -> Problem:
    known = _keys_at(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=2, cutoff=0.6)
    values = {"names": ", ".join(close or sorted(known))}
    return Problem(path, "There is no such setting.", "Did you mean {names}?" if close else "Possible here: {names}.", values, line)


def _keys_at(location: Location) -> list[str]:
    """The settings that may stand in the table at this place."""
    model: type[BaseModel] = Config
    for part in location:
        if isinstance(part, int):
            continue
        found = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
        if found is None:
            return []
        model = found
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The table's model inside `Model`, `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_model_in, typing.get_args(annotation)) if model is not None), None)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
