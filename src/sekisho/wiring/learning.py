"""What a worker learns from its users, and the cleaning up after it."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.services.teaching import Teacher, TeacherPorts

_JUDGEMENTS = 500_000  # that are remembered; 60 octets each
_TRIM_SECONDS = 3600.0


class LearningLink:
    """`teacher` is what IMAP tells of moves to and from Junk; whoever wants to learn joins `teacher.learners`."""

    def __init__(self, store: SqliteStore, clock: Clock, journal: Journal, metrics: Metrics) -> None:
        self._store, self._clock = store, clock
        self._trimmed_at = float("-inf")
        self.teacher = Teacher(TeacherPorts(store.mail, store.judgements, journal, metrics))

    async def keep_house(self) -> None:
        """A chore of the maintenance; raises StoreUnavailable."""
        if self._clock.monotonic() - self._trimmed_at >= _TRIM_SECONDS:
            self._trimmed_at = self._clock.monotonic()
            await self._store.judgements.trim(_JUDGEMENTS)
