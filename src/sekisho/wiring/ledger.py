"""The ledger of one process, as its settings want it."""

import asyncio

from sekisho.adapters.keeping import KeepingJournal
from sekisho.adapters.stores.sqlite.ledger import LedgerLimits, SqliteLedger
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.config.schema import Config
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.metrics import Metrics


class LedgerKeeper:
    """`journal` is what everybody writes to; `ledger` is None while it is switched off or cannot be opened.
    Make it inside the loop."""

    def __init__(
        self, log: Journal, clock: Clock, metrics: Metrics | None = None, *, alone: bool = False
    ) -> None:
        self.journal = KeepingJournal(log, clock)
        self.ledger: SqliteLedger | None = None
        self._log, self._clock, self._metrics, self._alone = log, clock, metrics, alone
        self._loop = asyncio.get_running_loop()

    def use(self, config: Config) -> None:
        """Open, close or bound it. Whatever is wrong with the ledger, mail goes on without it. It outlives
        settings: it is a database, and has a thread."""
        limits = LedgerLimits(
            config.ledger.keep_days, config.ledger.keep_octets, config.limits.free_disk_octets
        )
        if not config.ledger.enabled:
            self.close()
        elif self.ledger is not None:
            self.ledger.use(limits)
        else:
            try:
                self.ledger = SqliteLedger(
                    config.data_dir, self._clock, limits, self._lost, alone=self._alone
                )
            except (StoreUnavailable, SchemaTooNew) as error:
                self._log.record(Entry("ledger.unavailable", fields={"error": str(error), "alarm": True}))
        self.journal.recorder = self.ledger

    async def keep_house(self) -> None:
        """A duty; raises StoreUnavailable."""
        if self.ledger is not None:
            await self.ledger.keep_house()

    def close(self) -> None:
        ledger, self.ledger, self.journal.recorder = self.ledger, None, None
        if ledger is not None:
            ledger.close()

    def _lost(self, count: int, why: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, count, why)

    def _tell(self, count: int, why: str) -> None:
        self._log.record(Entry("ledger.lost", fields={"entries": count, "error": why}))
        if self._metrics is not None:
            self._metrics.count("sekisho_ledger_lost_total", count)
