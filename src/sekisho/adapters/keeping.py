"""A journal in two places: a line in the log, and what people may ask about later in the ledger."""

from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import Recorder

# What tells of the machine and not of mail, clients or accounts stays in the log alone, and so does what
# others tell better: relay.attempt names the host that relay.connected reached, authentication.accepted the
# login behind access.
_LOG_ONLY = frozenset(
    {
        "access",
        "auth_socket",
        "authentication.malformed",
        "authentication.upgraded",
        "classifier",
        "crowd",
        "config",
        "duty",
        "ledger",
        "log",
        "loop",
        "python",
        "relay.connected",
        "report",
        "reputation",
        "resolver",
        "server",
        "store",
        "tls",
        "worker",
    }
)


class KeepingJournal:
    """Implements `ports.journal.Journal`. `recorder` None: there is no ledger now."""

    def __init__(self, log: Journal, clock: Clock, recorder: Recorder | None = None) -> None:
        self.recorder = recorder
        self._log, self._clock = log, clock
        self._kept: dict[str, bool] = {}

    def record(self, entry: Entry) -> None:
        self._log.record(entry)
        if self.recorder is not None and self._is_kept(entry.kind):
            self.recorder.keep(self._clock.now_us(), entry)

    def fault(self, where: str, error: BaseException) -> str:
        fault_id = self._log.fault(where, error)
        if self.recorder is not None:
            self.recorder.keep(
                self._clock.now_us(), Entry("fault", fault_id, {"where": where, "error": repr(error)})
            )
        return fault_id

    def _is_kept(self, kind: str) -> bool:
        kept = self._kept.get(kind)
        if kept is None:
            kept = self._kept[kind] = kind not in _LOG_ONLY and kind.partition(".")[0] not in _LOG_ONLY
        return kept
