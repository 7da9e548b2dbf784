"""Reports of others and counts for our own, in hints.db."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.reports.aggregate import AggregateRow, PublishedPolicy
from sekisho.core.terms.records import by_position
from sekisho.ports.reports import KeptReport, ReportKind, SeenDay, SeenMail, SentReport

MOST_WAITING = 20_000  # different rows between two flushes: beyond them nothing is counted
DAY_US = 86_400_000_000
_KEPT = "kind, domain, reporter, report_id, begins_s, ends_s, received_us, proven, body"
_SENT = "day, domain, destination, message_id, sent_us"
_PUT = f"INSERT INTO report ({_KEPT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_DAY = (
    "INSERT INTO dmarc_day (day, domain, policy, rua) VALUES (?1, ?2, ?3, ?4) "
    "ON CONFLICT (day, domain) DO UPDATE SET policy = ?3, rua = ?4"
)
_ROW = (
    "INSERT INTO dmarc_row (day, domain, said, messages) VALUES (?1, ?2, ?3, ?4) "
    "ON CONFLICT (day, domain, said) DO UPDATE SET messages = messages + ?4"
)
_PUT_SENT = (
    f"INSERT INTO report_sent ({_SENT}) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (day, domain, destination) DO UPDATE SET message_id = ?4, sent_us = ?5"
)
_TOO_MANY = (
    "DELETE FROM report WHERE kind = ?1 AND (proven, received_us) < (SELECT proven, received_us FROM report "
    "WHERE kind = ?1 ORDER BY proven DESC, received_us DESC LIMIT 1 OFFSET ?2)"
)


class SqliteReportBook:
    """Implements `ports.reports.ReportBook`. One per worker."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer
        self._counts: Counter[tuple[int, str, str]] = Counter()
        self._days: dict[tuple[int, str], tuple[str, str]] = {}

    async def keep(self, report: KeptReport) -> bool:
        def step(tx: WriteTransaction) -> bool:
            tx.execute(_PUT, tuple(getattr(report, name) for name in _KEPT.split(", ")))
            return tx.touched() > 0

        return await self._writer.write(step)

    async def kept(self, kind: ReportKind, *, since_us: int = 0, limit: int = 1000) -> list[KeptReport]:
        sql = (
            f"SELECT {_KEPT} FROM report WHERE kind = ? AND received_us >= ? "
            "ORDER BY received_us DESC, report_id LIMIT ?"
        )
        rows = await self._reader.scan(lambda db: db.execute(sql, (kind, since_us, limit)).fetchall())
        return [by_position(KeptReport, *row[:7], bool(row[7]), row[8]) for row in rows]

    def count(self, mail: SeenMail) -> None:
        said = msgspec.json.encode(mail.row).decode()
        key = (mail.day, mail.policy.domain, said)
        if key not in self._counts and len(self._counts) >= MOST_WAITING:
            return
        self._counts[key] += mail.row.count
        self._days[key[:2]] = (
            msgspec.json.encode(mail.policy).decode(),
            msgspec.json.encode(mail.rua).decode(),
        )

    async def flush(self) -> None:
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        days, self._days = self._days, {}

        def step(tx: WriteTransaction) -> None:
            tx.executemany(_DAY, [(*key, *value) for key, value in days.items()])
            tx.executemany(_ROW, [(*key, messages) for key, messages in counts.items()])

        try:
            await self._writer.write(step, is_long=len(counts) > 1000)
        except BaseException:
            self._counts.update(counts)
            self._days = days | self._days
            raise

    async def days(self, before_day: int) -> list[tuple[int, str]]:
        sql = "SELECT day, domain FROM dmarc_day WHERE day < ? ORDER BY day, domain LIMIT 10000"
        rows = await self._reader.scan(lambda db: db.execute(sql, (before_day,)).fetchall())
        return [(day, domain) for day, domain in rows]

    async def day(self, day: int, domain: str, limit: int) -> SeenDay | None:
        found = self._reader.ask(
            "SELECT policy, rua FROM dmarc_day WHERE day = ? AND domain = ?", (day, domain)
        )
        if not found:
            return None
        sql = (
            "SELECT said, messages FROM dmarc_row WHERE day = ? AND domain = ? "
            "ORDER BY messages DESC, said LIMIT ?"
        )
        rows = await self._reader.scan(lambda db: db.execute(sql, (day, domain, limit)).fetchall())
        return SeenDay(
            day=day,
            policy=msgspec.json.decode(found[0][0], type=PublishedPolicy),
            rua=msgspec.json.decode(found[0][1], type=tuple[str, ...]),
            rows=tuple(_row(said, messages) for said, messages in rows),
        )

    async def forget_day(self, day: int, domain: str) -> None:
        def step(tx: WriteTransaction) -> None:
            tx.execute("DELETE FROM dmarc_day WHERE day = ? AND domain = ?", (day, domain))
            tx.execute("DELETE FROM dmarc_row WHERE day = ? AND domain = ?", (day, domain))

        await self._writer.write(step)

    async def sent(self, report: SentReport) -> None:
        values = tuple(getattr(report, name) for name in _SENT.split(", "))
        await self._writer.write(lambda tx: tx.execute(_PUT_SENT, values))

    async def sent_to(self, destination: str, since_us: int) -> Sequence[SentReport]:
        sql = (
            f"SELECT {_SENT} FROM report_sent WHERE destination = ? AND sent_us >= ? "
            "ORDER BY sent_us DESC LIMIT 1000"
        )
        return [by_position(SentReport, *row) for row in self._reader.ask(sql, (destination, since_us))]

    async def trim(self, before_us: int, keep: int) -> None:
        def step(tx: WriteTransaction) -> None:
            tx.execute("DELETE FROM report WHERE received_us < ?", (before_us,))
            for kind in ("dmarc", "tls", "failure", "complaint"):
                tx.execute(_TOO_MANY, (kind, keep - 1))
            tx.execute("DELETE FROM report_sent WHERE sent_us < ?", (before_us,))
            tx.execute("DELETE FROM dmarc_day WHERE day < ?", (before_us // DAY_US,))
            tx.execute("DELETE FROM dmarc_row WHERE day < ?", (before_us // DAY_US,))

        await self._writer.write(step, is_long=True)


def _row(said: str, messages: int) -> AggregateRow:
    return replace(msgspec.json.decode(said, type=AggregateRow), count=messages)
