"""The classifier's lessons and knowledge, in memory."""

from collections.abc import Sequence

import msgspec

from sekisho.ports.classifier import BookState, Tally, Taught
from sekisho.ports.clock import Clock


class MemoryLessonBook:
    """Implements `ports.classifier.LessonBook`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lessons: dict[tuple[int, str], Taught] = {}  # the oldest first
        self._state = BookState()
        self._knowledge = b""

    async def teach(self, lessons: Sequence[Taught]) -> int:
        changed = 0
        for lesson in lessons:
            key = (lesson.account_id, lesson.key)
            known = self._lessons.get(key)
            if known is not None and (known.is_spam, known.is_private) == (lesson.is_spam, lesson.is_private):
                continue
            if known is not None:
                del self._lessons[key]
            serial = self._state.serial + 1
            self._change(serial=serial, withdrawn=self._state.withdrawn + (known is not None))
            self._lessons[key] = msgspec.structs.replace(lesson, serial=serial, at_us=self._clock.now_us())
            changed += 1
        return changed

    def _change(self, **values: int) -> None:
        self._state = msgspec.structs.replace(self._state, **values)

    async def forget(self, account_id: int | None = None, key: str | None = None) -> int:
        gone = [
            known for known in self._lessons if account_id in (None, known[0]) and key in (None, known[1])
        ]
        for known in gone:
            del self._lessons[known]
        if gone:
            self._change(generation=self._state.generation + 1, withdrawn=self._state.withdrawn + len(gone))
            if not self._lessons:
                self._knowledge = b""
                self._change(fitted=self._state.serial, withdrawn=0)
        return len(gone)

    def state(self) -> BookState:
        return self._state

    async def after(self, serial: int, limit: int) -> list[Taught]:
        return [lesson for lesson in self._lessons.values() if lesson.serial > serial][:limit]

    async def knowledge(self) -> bytes:
        return self._knowledge

    async def keep(self, knowledge: bytes, fitted: int) -> None:
        self._knowledge = knowledge
        self._change(
            fitted=fitted,
            fitted_at_us=self._clock.now_us(),
            withdrawn=0,
            generation=self._state.generation + 1,
        )

    async def trim(self, most: int) -> int:
        gone = []
        for is_spam in (False, True):
            side = [key for key, lesson in self._lessons.items() if lesson.is_spam is is_spam]
            gone += side[: max(0, len(side) - most)]
        for key in gone:
            del self._lessons[key]
        self._change(withdrawn=self._state.withdrawn + len(gone))
        return len(gone)

    async def tally(self) -> list[Tally]:
        found = []
        for account_id in sorted({key[0] for key in self._lessons}):
            own = [lesson for lesson in self._lessons.values() if lesson.account_id == account_id]
            spam = sum(lesson.is_spam for lesson in own)
            private = sum(lesson.is_private for lesson in own)
            found.append(
                Tally(
                    account_id=account_id,
                    ham=len(own) - spam,
                    spam=spam,
                    private=private,
                    latest_at_us=max(lesson.at_us for lesson in own),
                )
            )
        return found
