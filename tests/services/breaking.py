"""Ports that break at one of their calls, numbered over all of them: for tests that try each."""

import asyncio
import functools
from typing import Any


class Breaker:
    """Counts the calls of the ports that it wraps. At the one numbered `at` (and the `times` - 1 next of the
    same name) it raises `error`: before the call, or `after` it was done. Names in `never_after` only break
    before."""

    def __init__(self) -> None:
        self.count = 0
        self.at = -1
        self.times = 1
        self.after = False
        self.error: BaseException = RuntimeError("injected")
        self.broke: list[str] = []
        self.never_after: frozenset[str] = frozenset()

    def wrap(self, port: Any) -> Any:
        return _Breaking(port, self)

    def arm(self, at: int, error: BaseException, *, after: bool = False, times: int = 1) -> None:
        self.count, self.at, self.error, self.after, self.times = 0, at, error, after, times
        self.broke.clear()

    def is_it(self, name: str) -> bool:
        self.count += 1
        again = bool(self.broke) and self.broke[0] == name and len(self.broke) < self.times
        if self.count != self.at and not again:
            return False
        self.broke.append(name)
        return True


class _Breaking:
    def __init__(self, port: Any, breaker: Breaker) -> None:
        self._port, self._breaker = port, breaker

    def __getattr__(self, name: str) -> Any:
        call, breaker = getattr(self._port, name), self._breaker
        if asyncio.iscoroutinefunction(call):

            @functools.wraps(call)
            async def broken(*values: Any, **named: Any) -> Any:
                is_it = breaker.is_it(name)
                after = breaker.after and name not in breaker.never_after
                if is_it and not after:
                    raise breaker.error
                result = await call(*values, **named)
                if is_it:
                    raise breaker.error
                return result

            return broken
        if not callable(call):
            return call

        @functools.wraps(call)
        def broken_now(*values: Any, **named: Any) -> Any:
            if breaker.is_it(name):
                raise breaker.error
            return call(*values, **named)

        return broken_now
