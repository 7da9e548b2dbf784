"""What a running server takes from a new configuration: all but the settings that are marked AT_START.
Pure."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic.fields import FieldInfo

from sekisho.config.schema import Config, ListenerSettings
from sekisho.config.section import AtStartMark, SettingsSection

S = TypeVar("S", bound=SettingsSection)


def is_at_start(field: FieldInfo) -> bool:
    """Does it want a restart?"""
    return any(isinstance(mark, AtStartMark) for mark in field.metadata)


def in_force(running: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """`new` as far as the server that started with `running` can follow it, and the TOML paths of what wants
    a restart."""
    left: list[str] = []
    config = _merged(running, new, "", left)
    listeners, is_same = _listeners(running.listeners, new.listeners)
    if not is_same:
        left.append("listeners")
    return config.model_copy(update={"listeners": listeners}), tuple(left)


def _merged(running: S, new: S, path: str, left: list[str]) -> S:
    kept: dict[str, object] = {}
    for name, field in type(new).model_fields.items():
        old, value = getattr(running, name), getattr(new, name)
        if is_at_start(field):
            if old != value:
                kept[name] = old
                left.append(f"{path}{name}")
        elif isinstance(value, SettingsSection):
            kept[name] = _merged(old, value, f"{path}{name}.", left)
    return new.model_copy(update=kept)


def _listeners(
    running: Sequence[ListenerSettings], new: Sequence[ListenerSettings]
) -> tuple[tuple[ListenerSettings, ...], bool]:
    """Those that run, each with what it can take from the new one at its place; and whether these are all."""
    waiting = list(new)
    found = []
    for old in running:
        same = next((one for one in waiting if _place(one) == _place(old)), None)
        if same is not None:
            waiting.remove(same)
        found.append(same or old)
    is_same = not waiting and all(any(one is each for each in new) for one in found)
    return tuple(found), is_same


def _place(listener: ListenerSettings) -> tuple[object, ...]:
    return tuple(
        getattr(listener, name) for name, field in ListenerSettings.model_fields.items() if is_at_start(field)
    )
