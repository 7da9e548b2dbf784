"""Who judged which message how, in memory."""

from sekisho.ports.learning import Standing


class MemoryJudgements:
    """Implements `ports.learning.Judgements`."""

    def __init__(self) -> None:
        self._noted: dict[tuple[int, str, bool], None] = {}  # the oldest first

    async def note(self, account_id: int, content_id: str, *, is_junk: bool) -> Standing:
        key = (account_id, content_id, is_junk)
        if key in self._noted:
            return "again"
        self._noted[key] = None
        return "changed" if (account_id, content_id, not is_junk) in self._noted else "first"

    async def trim(self, keep: int) -> None:
        for key in list(self._noted)[: max(0, len(self._noted) - keep)]:
            del self._noted[key]
