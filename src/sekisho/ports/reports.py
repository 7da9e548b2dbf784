"""Reports: those that others sent about our domains, and what we count to send reports of our own."""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from sekisho.core.reports.aggregate import AggregateRow, PublishedPolicy

ReportKind = Literal["dmarc", "tls", "failure", "complaint"]


class KeptReport(Struct, frozen=True, kw_only=True):
    """One report about one domain of ours. `reporter`: the domain that the mail came from; `proven`: DMARC
    showed that it did. `body`: JSON of what it says (`core.reports`)."""

    kind: ReportKind
    domain: str
    reporter: str
    report_id: str
    begins_s: int
    ends_s: int
    received_us: int
    proven: bool
    body: str


class SeenMail(Struct, frozen=True, kw_only=True):
    """One message from a domain that wants to hear of it. `day`: days since 1970 (UTC); `rua`: where to."""

    day: int
    policy: PublishedPolicy
    rua: tuple[str, ...]
    row: AggregateRow


class SeenDay(Struct, frozen=True, kw_only=True):
    """All that was seen of a policy domain in a day. `policy` and `rua` as they were last."""

    day: int
    policy: PublishedPolicy
    rua: tuple[str, ...]
    rows: tuple[AggregateRow, ...]


class SentReport(Struct, frozen=True, kw_only=True):
    """A report of ours. `message_id`: what the queue and the ledger know it by."""

    day: int
    domain: str
    destination: str
    message_id: str
    sent_us: int


class ReportBook(Protocol):
    """Kept in hints.db or memory. All but `count` raise StoreUnavailable."""

    async def keep(self, report: KeptReport) -> bool:
        """False: it was there already."""
        ...

    async def kept(self, kind: ReportKind, *, since_us: int = 0, limit: int = 1000) -> list[KeptReport]:
        """The latest first."""
        ...

    def count(self, mail: SeenMail) -> None:
        """Never blocks, never raises; written by the next `flush`, lost with a crash before it."""
        ...

    async def flush(self) -> None: ...

    async def days(self, before_day: int) -> list[tuple[int, str]]:
        """(day, policy domain) that are over and not reported, the oldest first."""
        ...

    async def day(self, day: int, domain: str, limit: int) -> SeenDay | None:
        """With at most `limit` rows, the largest."""
        ...

    async def forget_day(self, day: int, domain: str) -> None:
        """It was reported, or nobody wants to know it."""
        ...

    async def sent(self, report: SentReport) -> None: ...

    async def sent_to(self, destination: str, since_us: int) -> Sequence[SentReport]:
        """The latest first."""
        ...

    async def trim(self, before_us: int, keep: int) -> None:
        """Forget what is older, and of each kind what is more than `keep`: first what nothing proves."""
        ...
