"""The rest of the port Guard of the memory store: what an operator does with held mail."""

from msgspec.structs import replace

from sekisho.adapters.stores.memory.content import MemoryOctets
from sekisho.adapters.stores.memory.guard import MemoryGuardRecords, MemoryGuardSteps
from sekisho.adapters.stores.memory.spool import MemorySpool
from sekisho.adapters.stores.memory.state import MemoryState
from sekisho.ports.changes import QueueChanged
from sekisho.ports.content import MessageOctets
from sekisho.ports.guard import Release


class MemoryGuard(MemoryGuardRecords):
    def __init__(self, everything: MemoryState, steps: MemoryGuardSteps, spool: MemorySpool) -> None:
        super().__init__(everything, steps)
        self._spool = spool

    async def open_content(self, message_id: str) -> MessageOctets | None:
        message = self._all.queue.get(message_id)
        return MemoryOctets(message.octets[message.prefix_octets :]) if message else None

    async def release(self, message_id: str, release: Release) -> tuple[int, int]:
        released, full = self._spool.release(message_id, release)
        if released and not full and message_id in self._all.sent:
            self._all.sent[message_id] = replace(self._all.sent[message_id], case_id=0)
        return released, full

    async def purge(self, account_id: int) -> tuple[int, int]:
        self._all.check_available()
        removed = recipients = 0
        for sent in await self.held(account_id):
            message = self._all.queue.pop(sent.message_id, None)
            recipients += (
                sum(row.state not in ("delivered", "failed") for row in message.rows) if message else 0
            )
            removed += 1
            self._all.sent[sent.message_id] = replace(sent, case_id=0)
        self._all.changes.publish(QueueChanged())
        return removed, recipients
