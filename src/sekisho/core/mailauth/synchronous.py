"""The synchronous entry of everything here that is `async` only to wait for a Resolver."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sekisho.core.terms.dns import Answer, RecordType

T = TypeVar("T")


class LookupResolver:
    """A `Resolver` over a plain function that returns the answer at once."""

    def __init__(self, lookup: Callable[[str, RecordType], Answer]) -> None:
        self._lookup = lookup

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        return self._lookup(name, rtype)


def run_synchronously(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. Its resolver must answer without waiting, as `LookupResolver` does; else
    RuntimeError."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration.value is untyped; it is the coroutine's T
    coroutine.close()
    raise RuntimeError("the resolver waited; use the asynchronous entry or a LookupResolver")
