"""Records are built by keyword; a row of a database comes by position."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

Record = TypeVar("Record")


def by_position(kind: type[Record], *values: Any, **more: Any) -> Record:
    """A record from values in the order of its fields: for rows whose columns were asked for in that order.

    Raises TypeError for too many."""
    names = _names(kind)  # type: ignore[arg-type]  # classes are hashable
    if len(values) > len(names):
        raise TypeError(f"{kind.__name__} has {len(names)} fields, not {len(values)}")
    return kind(**dict(zip(names, values, strict=False)), **more)


@lru_cache(maxsize=256)
def _names(kind: type) -> tuple[str, ...]:
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind) if field.init)
    named: Iterable[str] = kind.__struct_fields__  # type: ignore[attr-defined]  # msgspec's
    return tuple(named)
