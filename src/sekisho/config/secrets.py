"""Which settings are secrets, and the configuration without them."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from sekisho.config.lines import Location, toml_path
from sekisho.config.section import SecretMark

MASK = "********"


def secret_settings(config: BaseModel) -> list[str]:
    """The paths of those that are set, as they stand in sekisho.toml."""
    return [toml_path(location) for location in _secrets(config, ())]


def masked(config: BaseModel) -> dict[str, Any]:
    """All settings as plain data, with MASK instead of each secret."""
    shown: dict[str, Any] = json.loads(config.model_dump_json())
    for *above, last in _secrets(config, ()):
        table: Any = shown
        for part in above:
            table = table[part]
        table[last] = MASK
    return shown


def _secrets(value: object, place: Location) -> Iterator[Location]:
    if isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _secrets(each, (*place, index))
    if not isinstance(value, BaseModel):
        return
    for name, field in type(value).model_fields.items():
        inner = getattr(value, name)
        if inner and any(isinstance(mark, SecretMark) for mark in field.metadata):
            yield (*place, name)
        else:
            yield from _secrets(inner, (*place, name))
