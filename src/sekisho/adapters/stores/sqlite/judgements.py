"""Who judged which message how, in hints.db."""

from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.ports.clock import Clock
from sekisho.ports.learning import Standing


class SqliteJudgements:
    """Implements `ports.learning.Judgements`."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer, self._clock = writer, clock

    async def note(self, account_id: int, content_id: str, *, is_junk: bool) -> Standing:
        now_us = self._clock.now_us()

        def step(tx: WriteTransaction) -> Standing:
            sql = "SELECT is_junk FROM judgement WHERE account_id = ? AND content_id = ?"
            known = {bool(value) for (value,) in tx.execute(sql, (account_id, content_id))}
            if is_junk in known:
                return "again"
            tx.execute(
                "INSERT INTO judgement (account_id, content_id, is_junk, at_us) VALUES (?, ?, ?, ?)",
                (account_id, content_id, is_junk, now_us),
            )
            return "changed" if known else "first"

        return await self._writer.write(step)

    async def trim(self, keep: int) -> None:
        sql = (
            "DELETE FROM judgement WHERE (account_id, content_id, is_junk) IN (SELECT account_id, "
            "content_id, is_junk FROM judgement "
            "ORDER BY at_us LIMIT max(0, (SELECT count(*) FROM judgement) - ?))"
        )
        await self._writer.write(lambda tx: tx.execute(sql, (keep,)), is_long=True)
