"""Reports of others and counts for our own, in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sekisho.core.reports.aggregate import AggregateRow, PublishedPolicy
from sekisho.ports.reports import KeptReport, ReportKind, SeenDay, SeenMail, SentReport

DAY_US = 86_400_000_000


class MemoryReportBook:
    """Implements `ports.reports.ReportBook`; what was counted is there at once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str, str], KeptReport] = {}
        self._rows: dict[tuple[int, str], Counter[AggregateRow]] = {}
        self._days: dict[tuple[int, str], tuple[PublishedPolicy, tuple[str, ...]]] = {}
        self._sent: dict[tuple[int, str, str], SentReport] = {}

    async def keep(self, report: KeptReport) -> bool:
        key = (report.kind, report.domain, report.reporter, report.report_id)
        if key in self._kept:
            return False
        self._kept[key] = report
        return True

    async def kept(self, kind: ReportKind, *, since_us: int = 0, limit: int = 1000) -> list[KeptReport]:
        found = [one for one in self._kept.values() if one.kind == kind and one.received_us >= since_us]
        return sorted(found, key=lambda one: (-one.received_us, one.report_id))[:limit]

    def count(self, mail: SeenMail) -> None:
        key = (mail.day, mail.policy.domain)
        self._rows.setdefault(key, Counter())[replace(mail.row, count=1)] += mail.row.count
        self._days[key] = (mail.policy, mail.rua)

    async def flush(self) -> None:
        return None

    async def days(self, before_day: int) -> list[tuple[int, str]]:
        return sorted(key for key in self._days if key[0] < before_day)

    async def day(self, day: int, domain: str, limit: int) -> SeenDay | None:
        found = self._days.get((day, domain))
        if found is None:
            return None
        rows = [replace(row, count=messages) for row, messages in self._rows[day, domain].most_common(limit)]
        return SeenDay(day=day, policy=found[0], rua=found[1], rows=tuple(rows))

    async def forget_day(self, day: int, domain: str) -> None:
        self._days.pop((day, domain), None)
        self._rows.pop((day, domain), None)

    async def sent(self, report: SentReport) -> None:
        self._sent[report.day, report.domain, report.destination] = report

    async def sent_to(self, destination: str, since_us: int) -> Sequence[SentReport]:
        found = [
            one for one in self._sent.values() if one.destination == destination and one.sent_us >= since_us
        ]
        return sorted(found, key=lambda one: -one.sent_us)

    async def trim(self, before_us: int, keep: int) -> None:
        kept = [one for one in self._kept.items() if one[1].received_us >= before_us]
        kept.sort(key=lambda one: (not one[1].proven, -one[1].received_us))
        numbers: Counter[str] = Counter()
        self._kept = {}
        for key, report in kept:
            numbers[report.kind] += 1
            if numbers[report.kind] <= keep:
                self._kept[key] = report
        self._sent = {key: one for key, one in self._sent.items() if one.sent_us >= before_us}
        for day, domain in [key for key in self._days if key[0] < before_us // DAY_US]:
            await self.forget_day(day, domain)
