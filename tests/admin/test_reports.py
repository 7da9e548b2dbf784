"""What operators see of reports: who sends in their name, what fails, since when, and what to do."""

from dataclasses import replace

import msgspec
from tests.admin.test_operations import ask

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.admin.context import Context
from sekisho.core.reports.aggregate import AggregateReport, AggregateRow, DkimSaid, PublishedPolicy
from sekisho.core.reports.tls import TlsFailure, TlsPolicySeen, TlsReport
from sekisho.ports.reports import KeptReport, ReportKind
from sekisho.services.reports.complaints import KnownComplaint

GOOD = AggregateRow(
    source_ip="192.0.2.1",
    count=90,
    disposition="none",
    dkim="pass",
    spf="pass",
    header_from="example.org",
    signatures=(DkimSaid("example.org", "s", "pass"),),
)
FORGED = replace(GOOD, source_ip="203.0.113.9", count=7, dkim="fail", spf="fail", signatures=())
SERVICE = replace(FORGED, source_ip="198.51.100.2", signatures=(DkimSaid("letters.example", "x", "pass"),))


async def put(
    store: MemoryStore,
    context: Context,
    kind: ReportKind,
    body: object,
    *,
    number: str = "1",
    proven: bool = True,
) -> None:
    await store.reports.keep(
        KeptReport(
            kind=kind,
            domain="example.org",
            reporter="far.example" if proven else "",
            report_id=number,
            begins_s=86_400,
            ends_s=172_799,
            received_us=context.clock.now_us(),
            proven=proven,
            body=msgspec.json.encode(body).decode(),
        )
    )


def said(*rows: AggregateRow) -> AggregateReport:
    return AggregateReport(
        organization="Far",
        contact="a@far.example",
        report_id="1",
        begins_s=86_400,
        ends_s=172_799,
        policy=PublishedPolicy(domain="example.org", p="none"),
        rows=rows,
    )


async def test_who_sends_as_us(context: Context, store: MemoryStore) -> None:
    await put(store, context, "dmarc", said(GOOD, FORGED))
    await put(store, context, "dmarc", said(GOOD, SERVICE), number="2")
    await put(store, context, "dmarc", said(replace(GOOD, count=1000)), number="3", proven=False)
    rows = await ask(context, "reports.dmarc", domain="example.org")
    assert [(row.source_ip, row.passed, row.failed, row.through) for row in rows] == [
        ("198.51.100.2", 0, 7, ["letters.example"]),
        ("203.0.113.9", 0, 7, []),
        ("192.0.2.1", 180, 0, ["example.org"]),
    ]
    assert [row.advice.split()[0] if row.advice else "" for row in rows] == ["If", "Unless", ""]
    assert rows[0].since_s == 86_400 and rows[0].reporters == ["Far"]
    assert (await ask(context, "reports.dmarc", unproven=True))[2].passed == 1180
    assert await ask(context, "reports.dmarc", domain="other.example") == []


async def test_over_what_tls_mail_comes(context: Context, store: MemoryStore) -> None:
    policy = TlsPolicySeen(
        policy_type="sts",
        domain="example.org",
        lines=(),
        mx_host=(),
        successes=50,
        failures=3,
        details=(
            TlsFailure(result_type="certificate-expired", count=3, receiving_mx_hostname="mx.example.org"),
        ),
    )
    report = TlsReport(
        organization="Far", contact="", report_id="1", begins_s=86_400, ends_s=172_799, policies=(policy,)
    )
    await put(store, context, "tls", report)
    (row,) = await ask(context, "reports.tls")
    assert (row.policy_type, row.successes, row.failed, row.hosts) == ("sts", 50, 3, ["mx.example.org"])
    assert row.failures == {"certificate-expired": 3} and "renewed" in row.advice


async def test_about_whose_mail_others_complain(context: Context, store: MemoryStore) -> None:
    for number in ("1", "2"):
        known = KnownComplaint(
            account="taro@example.org", kind="abuse", header_message_id=number, user_agent="", source_ip=""
        )
        await put(store, context, "complaint", known, number=number)
    (row,) = await ask(context, "reports.complaints")
    assert (row.account, row.complaints, sorted(row.message_ids)) == ("taro@example.org", 2, ["1", "2"])
