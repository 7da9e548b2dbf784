"""What a worker learns from its users, and the cleaning up after it."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.services.teaching import Teacher, TeacherPorts

_JUDGEMENTS = 500_000  # that are remembered; 60 octets each


class LearningLink:
    """`teacher` is what IMAP tells of moves to and from Junk; whoever wants to learn joins `teacher.learners`."""

    def __init__(self, store: SqliteStore, journal: Journal, metrics: Metrics) -> None:
        self._store = store
        self.teacher = Teacher(TeacherPorts(store.mail, store.judgements, journal, metrics))

    async def trim(self) -> None:
        """A duty; raises StoreUnavailable."""
        await self._store.judgements.trim(_JUDGEMENTS)
