"""What a TOML text that does not fit its schema is told: sentences with a place, a line and an advice."""

import difflib
import json
import tomllib
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sekisho.config.lines import Location, line_of, toml_path
from sekisho.config.problems import Problem
from sekisho.config.secrets import MASK
from sekisho.config.section import SecretMark

# pydantic's error type -> (what is wrong, what to do); `{…}` come from the error's context and `value` from
# the input.
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
    "ip_any_address": (
        "{value} is not an IP address.",
        'Write for example "192.0.2.25" or "2001:db8::25", without a port.',
    ),
    "ip_any_network": (
        "{value} is not an IP network.",
        'Write for example "192.0.2.0/24" or "2001:db8::/32".',
    ),
    "tuple_type": ("{value} is not a list.", "Write it in square brackets."),
    "dict_type": (
        "{value} is not a table.",
        "Write a table: a header in square brackets, and name = value lines under it.",
    ),
    "model_type": (
        "{value} is not a table.",
        "Write a table: a header in square brackets, and name = value lines under it.",
    ),
}


def syntax_problem(error: tomllib.TOMLDecodeError, text: str) -> Problem:
    """What tomllib says, with its line."""
    reason, _, place = str(error).partition(" (at ")
    line: int | None = None
    if place.startswith("line "):
        line = int(place[5:].split(",")[0])
    elif place:
        line = text.count("\n") + 1
    return Problem(
        path="",
        text="This is not TOML: {reason}.",
        advice="Correct this line, or the one before it.",
        values={"reason": reason},
        line=line,
    )


def schema_problem(
    model: type[BaseModel],
    details: ErrorDetails,
    lines: Mapping[Location, int],
    texts: Mapping[str, tuple[str, str]] = TEXTS,
) -> Problem:
    """One error of pydantic in the words of `texts`."""
    location: Location = details["loc"]
    values = {"value": _shown(details["input"]), **details.get("ctx", {})}
    path, line = toml_path(location), line_of(lines, location)
    if details["type"] == "extra_forbidden":
        return _unknown_key(model, location, path, line)
    if _is_secret(model, location):
        values["value"] = MASK
    if details["type"] == "missing":
        line = line_of(lines, location[:-1])
    text, advice = texts.get(details["type"], TEXTS["other"])
    return Problem(
        path=path, text=text, advice=advice, values={**values, "reason": details["msg"]}, line=line
    )


def _unknown_key(model: type[BaseModel], location: Location, path: str, line: int | None) -> Problem:
    known = _keys_at(model, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=2, cutoff=0.6)
    values = {"names": ", ".join(close or sorted(known))}
    return Problem(
        path=path,
        text="There is no such setting.",
        advice="Did you mean {names}?" if close else "Possible here: {names}.",
        values=values,
        line=line,
    )


def _is_secret(model: type[BaseModel], location: Location) -> bool:
    """Then what stands there is not shown, not even when it is wrong."""
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        field = found.model_fields.get(part) if found is not None else None
        if field is None:
            return False
        if any(isinstance(mark, SecretMark) for mark in field.metadata):
            return True
        found = _model_in(field.annotation)
    return False


def _keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The settings that may stand in the table at this place."""
    for part in location:
        if isinstance(part, int):
            continue
        found = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
        if found is None:
            return []
        model = found
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The table's model inside `Model`, `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_model_in, typing.get_args(annotation)) if model is not None), None)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
