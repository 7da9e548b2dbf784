"""Answers kept for as long as their TTL allows, the least recently used given up first."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sekisho.core.terms.dns import Answer, DnsStatus, RecordType

Question = tuple[str, RecordType]


@dataclass(frozen=True, slots=True)
class TtlBounds:
    """Seconds. `failure` is for what could not be known: RFC 9520 §3.2 wants 1 second to 5 minutes."""

    least: int = 1
    most: int = 86_400
    most_negative: int = 3_600  # RFC 2308 §5: one to three hours are sensible
    failure: int = 3


class AnswerCache:
    """Bounded by entries. An answer comes back with the time it still has to live."""

    def __init__(
        self, max_entries: int, monotonic: Callable[[], float], bounds: TtlBounds | None = None
    ) -> None:
        self._max_entries = max_entries
        self._monotonic = monotonic
        self._bounds = bounds or TtlBounds()
        self._entries: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, question: Question) -> Answer | None:
        found = self._entries.get(question)
        if found is None:
            return None
        expires_at, answer = found
        left = expires_at - self._monotonic()
        if left <= 0:
            del self._entries[question]
            return None
        self._entries.move_to_end(question)
        seconds = int(left)
        if seconds < answer.ttl_seconds:
            answer = _aged(answer, seconds)
            self._entries[question] = (expires_at, answer)
        return answer

    def put(self, question: Question, answer: Answer) -> None:
        seconds = self._seconds_to_keep(answer)
        if seconds <= 0 or self._max_entries <= 0:
            return
        self._entries[question] = (self._monotonic() + seconds, answer)
        self._entries.move_to_end(question)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        self._entries.clear()

    def _seconds_to_keep(self, answer: Answer) -> int:
        bounds = self._bounds
        if answer.is_unknown:
            return bounds.failure
        if answer.status is DnsStatus.NOERROR:
            return max(bounds.least, min(answer.ttl_seconds, bounds.most))
        # RFC 2308 §5: a negative answer without an SOA (TTL 0) is kept only for the shortest time.
        return max(bounds.least, min(answer.ttl_seconds, bounds.most_negative))


def _aged(answer: Answer, seconds: int) -> Answer:
    """Spelled out: `dataclasses.replace` costs three times as much, and each answer is aged once a second."""
    return Answer(
        name=answer.name,
        rtype=answer.rtype,
        status=answer.status,
        records=answer.records,
        ttl_seconds=seconds,
        secure=answer.secure,
        canonical_name=answer.canonical_name,
    )
