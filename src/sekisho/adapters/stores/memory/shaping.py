"""How providers are treated, in memory."""

from collections.abc import Callable
from typing import TypeVar

from sekisho.core.policy.shaping.shape import UNKNOWN, Shape
from sekisho.ports.shaping import KnownShape

T = TypeVar("T")


class MemoryShapes:
    """Implements `ports.shaping.Shapes`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Shape] = {}
        self.established = False

    async def listing(self) -> list[KnownShape]:
        return [
            KnownShape(source=source, group=group, shape=shape)
            for (source, group), shape in sorted(self._known.items())
        ]

    async def change(self, source: str, group: str, step: Callable[[Shape], tuple[Shape, T]]) -> T:
        shape, answer = step(self._known.get((source, group), UNKNOWN))
        if shape == UNKNOWN:
            self._known.pop((source, group), None)
        else:
            self._known[source, group] = shape
        return answer

    async def is_established(self) -> bool:
        return self.established
