"""Reports of others, counts for our own, and what was sent."""

from dataclasses import replace
from typing import Any

import msgspec

from sekisho.core.reports.aggregate import AggregateRow, DkimSaid, PublishedPolicy
from sekisho.ports.reports import KeptReport, SeenMail, SentReport

POLICY = PublishedPolicy(domain="far.example", p="reject")
ROW = AggregateRow(
    source_ip="192.0.2.1",
    count=1,
    disposition="none",
    dkim="pass",
    spf="fail",
    header_from="far.example",
    signatures=(DkimSaid("far.example", "s1", "pass"),),
)
DAY_US = 86_400_000_000


def kept(report_id: str, received_us: int = 5, kind: str = "dmarc") -> KeptReport:
    return KeptReport(
        kind=kind,  # type: ignore[arg-type]
        domain="example.org",
        reporter="far.example",
        report_id=report_id,
        begins_s=1,
        ends_s=2,
        received_us=received_us,
        proven=True,
        body="{}",
    )


def seen(day: int = 7, row: AggregateRow = ROW, policy: PublishedPolicy = POLICY) -> SeenMail:
    return SeenMail(day=day, policy=policy, rua=("mailto:d@far.example",), row=row)


async def test_a_report_is_kept_once(store: Any) -> None:
    assert await store.reports.keep(kept("1"))
    assert not await store.reports.keep(kept("1", 9))
    assert await store.reports.keep(kept("2", 7))
    assert await store.reports.keep(kept("1", kind="tls"))
    assert await store.reports.kept("dmarc") == [kept("2", 7), kept("1")]
    assert await store.reports.kept("dmarc", since_us=6) == [kept("2", 7)]
    assert await store.reports.kept("dmarc", limit=1) == [kept("2", 7)]


async def test_counts_of_a_day(store: Any) -> None:
    other = replace(ROW, source_ip="2001:db8::1")
    for row in (ROW, other, ROW):
        store.reports.count(seen(row=row))
    await store.reports.flush()
    store.reports.count(seen())
    store.reports.count(seen(day=8, policy=replace(POLICY, p="none")))
    await store.reports.flush()
    await store.reports.flush()
    assert await store.reports.days(8) == [(7, "far.example")]
    assert await store.reports.days(9) == [(7, "far.example"), (8, "far.example")]
    day = await store.reports.day(7, "far.example", 10)
    assert day.rows == (replace(ROW, count=3), other)
    assert (day.policy, day.rua) == (POLICY, ("mailto:d@far.example",))
    assert len((await store.reports.day(7, "far.example", 1)).rows) == 1
    await store.reports.forget_day(7, "far.example")
    assert await store.reports.day(7, "far.example", 10) is None
    assert await store.reports.days(9) == [(8, "far.example")]


async def test_what_was_sent(store: Any) -> None:
    one = SentReport(day=7, domain="far.example", destination="d@far.example", message_id="m1", sent_us=5)
    two = msgspec.structs.replace(one, day=8, message_id="m2", sent_us=6)
    for report in (one, two, two):
        await store.reports.sent(report)
    assert list(await store.reports.sent_to("d@far.example", 0)) == [two, one]
    assert list(await store.reports.sent_to("d@far.example", 6)) == [two]
    assert not await store.reports.sent_to("e@far.example", 0)


async def test_old_ones_go_and_the_rest_is_bounded(store: Any) -> None:
    for number in range(6):
        await store.reports.keep(kept(str(number), DAY_US * (10 + number)))
    await store.reports.keep(msgspec.structs.replace(kept("forged", DAY_US * 99), proven=False))
    store.reports.count(seen(day=7))
    store.reports.count(seen(day=12))
    await store.reports.flush()
    await store.reports.trim(DAY_US * 11, 3)
    assert [one.report_id for one in await store.reports.kept("dmarc")] == ["5", "4", "3"]
    assert await store.reports.days(100) == [(12, "far.example")]
