"""Reports as they come by mail, and those that we send: from the door to the table, and from the count to the
queue."""

import base64
import gzip
import json
from collections.abc import Mapping

import msgspec
import pytest
from tests.core.reports.test_hostile import xml
from tests.services.smtp_world import HOSTNAME, World, codes, reply, talk

from sekisho.core.message.structure import scan
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.reports.aggregate import AggregateReport
from sekisho.core.reports.finding import find_report, read_packed
from sekisho.core.reports.making import due_s
from sekisho.core.reports.tls import TlsReport
from sekisho.core.terms.dns import DnsStatus
from sekisho.core.tlspolicy.tlsrpt import FailureKey
from sekisho.ports.hoptls import HopSession
from sekisho.ports.ledger import Ledger, LedgerEntry
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.letters import LetterRules, LetterWriter
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.services.reports.complaints import ComplaintDesk, ComplaintPorts, ComplaintRules
from sekisho.services.reports.intake import IntakePorts, ReportIntake
from sekisho.services.reports.sending import ReportSender, SendingPorts, SendingRules
from sekisho.services.reports.tallies import DmarcTallies
from sekisho.services.reports.tlssending import TlsReportSender
from sekisho.services.signing import NO_SIGNING
from sekisho.testing.zones import ZoneResolver

DAY_US = 86_400_000_000
ZONE = """
far.example                TXT "v=spf1 ip4:192.0.2.7 -all"
_dmarc.far.example TXT "v=DMARC1; p=reject; rua=mailto:d@far.example,mailto:d@third.example,mailto:n@e.test"
_smtp._tls.far.example TXT "v=TLSRPTv1; rua=mailto:t@far.example,https://far.example/"
_dmarc.quiet.example       TXT "v=DMARC1; p=none"
far.example._report._dmarc.third.example TXT "v=DMARC1"
7.2.0.192.in-addr.arpa     PTR client.example
client.example             A   192.0.2.7
"""


class OneLedger:
    def __init__(self, *entries: LedgerEntry) -> None:
        self.entries = list(entries)

    async def find(self, key: str, *, since_us: int = 0, limit: int = 200) -> list[LedgerEntry]:
        return [one for one in self.entries if key in (one.id, *one.about)]


class Post:
    """A world whose postmaster takes reports."""

    def __init__(self, ledger: OneLedger | None = None, *addresses: str, per_day: int = 2) -> None:
        world = self.world = World()
        self.resolver = ZoneResolver(ZONE)
        self.book = world.store.reports
        self.ledger = ledger
        recipients = RecipientProbe(world.store.directory, HOSTNAME, {"postmaster": "user@local.example"})
        rules = LetterRules(HOSTNAME, "en", {}, DAY_US)
        self.letters = LetterWriter(rules, world.store.spool, recipients, NO_SIGNING, world.clock)
        desk = ComplaintDesk(
            ComplaintRules(hostname=HOSTNAME, postmaster="user@local.example", per_day=per_day),
            ComplaintPorts(
                book=self.book,
                counters=world.store.counters,
                letters=self.letters,
                clock=world.clock,
                journal=world.journal,
            ),
            self.reach,
        )
        world.intake = ReportIntake(
            addresses,
            IntakePorts(
                book=self.book,
                directory=world.store.directory,
                counters=world.store.counters,
                clock=world.clock,
                journal=world.journal,
                complaints=desk,
            ),
        )
        world.inspector = DoorInspector(
            HOSTNAME,
            DoorRules(),
            [],
            DoorTools(
                directory=world.store.directory,
                budgeted=lambda: BudgetedResolver(self.resolver),
                journal=world.journal,
                tallies=DmarcTallies(self.book),
                intake=world.intake,
            ),
        )

    def reach(self) -> Ledger | None:
        return self.ledger  # type: ignore[return-value]  # as much of one as is asked

    async def bring(self, content: bytes, to: str = "postmaster@local.example") -> list[int]:
        client = self.world.connect()
        hello = (b"EHLO client.example\r\n", b"MAIL FROM:<r@far.example>\r\n")
        await talk(client, b"", *hello, f"RCPT TO:<{to}>\r\n".encode())
        await talk(client, b"DATA\r\n")
        client.write(content + b"\r\n.\r\n")
        return codes(await reply(client))

    def told(self, kind: str) -> list[Mapping[str, object]]:
        return [entry.fields for entry in self.world.journal.entries if entry.kind == kind]


def mail(octets: bytes, kind: str = "application/gzip", author: str = "far.example") -> bytes:
    return (
        f"From: reports@{author}\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + base64.encodebytes(octets).replace(b"\n", b"\r\n")


def aggregate(domain: str = "local.example") -> bytes:
    return gzip.compress(xml().replace(b"example.org", domain.encode()))


async def test_a_report_is_kept_and_delivered() -> None:
    post = Post()
    await post.world.fill()
    assert await post.bring(mail(aggregate())) == [250]
    assert await post.bring(mail(aggregate())) == [250]
    (kept,) = await post.book.kept("dmarc")
    assert (kept.domain, kept.reporter, kept.proven) == ("local.example", "far.example", True)
    assert msgspec.json.decode(kept.body, type=AggregateReport).rows[0].source_ip == "192.0.2.1"
    assert [one["again"] for one in post.told("report.received")] == [False, True]
    assert len(await post.world.mailbox("user")) == 2  # the owner still gets the mail


async def test_one_reporter_does_not_fill_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekisho.services.reports.intake.MOST_A_DAY", 2)
    post = Post()
    await post.world.fill()
    for number in range(4):
        said = xml().replace(b"example.org", b"local.example")
        said = said.replace(b"<report_id>1<", b"<report_id>%d<" % number)
        assert await post.bring(mail(gzip.compress(said))) == [250]
    assert len(await post.book.kept("dmarc")) == 2
    assert len(post.told("report.refused")) == 2


async def test_what_nothing_proves_is_kept_apart() -> None:
    post = Post()
    await post.world.fill()
    await post.bring(mail(aggregate(), author="quiet.example"))
    (kept,) = await post.book.kept("dmarc")
    assert not kept.proven and kept.reporter == ""


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (mail(aggregate("stranger.example")), "stranger.example, which is not ours"),
        (mail(gzip.compress(b"<!DOCTYPE x [<!ENTITY a 'b'>]><feedback/>")), "document type"),
        (mail(gzip.compress(b"<feedback>" + b" " * 20_000_000)), "too long"),
        (mail(b"\x1f\x8b\x08\x00 broken"), "damaged"),
    ],
)
async def test_what_is_refused_is_mail_all_the_same(content: bytes, because: str) -> None:
    post = Post()
    await post.world.fill()
    assert await post.bring(content) == [250]
    assert len(await post.world.mailbox("user")) == 1
    (told,) = post.told("report.refused")
    assert because in str(told["because"])
    assert not await post.book.kept("dmarc")


async def test_letters_and_other_addresses_are_left_alone() -> None:
    post = Post()
    await post.world.fill()
    await post.bring(b"From: a@far.example\r\n\r\nhello")
    await post.bring(mail(aggregate()), "other@local.example")
    assert not await post.book.kept("dmarc") and not post.told("report.refused")
    chosen = Post(None, "other@local.example")
    await chosen.world.fill()
    await chosen.bring(mail(aggregate()), "other@local.example")
    await chosen.bring(mail(aggregate()))
    assert len(await chosen.book.kept("dmarc")) == 1


async def test_an_own_bug_costs_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post()
    await post.world.fill()
    monkeypatch.setattr("sekisho.services.reports.intake.find_report", lambda _: 1 // 0)
    assert await post.bring(mail(aggregate())) == [250]
    assert len(await post.world.mailbox("user")) == 1


async def test_tls_reports() -> None:
    policies = [
        {
            "policy": {"policy-type": "sts", "policy-domain": domain},
            "summary": {"total-successful-session-count": 5, "total-failure-session-count": 1},
        }
        for domain in ("local.example", "stranger.example")
    ]
    said = {
        "organization-name": "Far",
        "report-id": "t1",
        "date-range": {"start-datetime": "2026-01-01T00:00:00Z", "end-datetime": "2026-01-01T23:59:59Z"},
        "policies": policies,
    }
    post = Post()
    await post.world.fill()
    await post.bring(mail(gzip.compress(json.dumps(said).encode()), "application/tlsrpt+gzip"))
    (kept,) = await post.book.kept("tls")
    assert kept.domain == "local.example" and "stranger" not in kept.body


def complaint(message_id: str) -> bytes:
    return (
        b"From: fbl@far.example\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n"
        b"--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        b"Feedback-Type: abuse\r\nUser-Agent: Far/1\r\nVersion: 1\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Received: from x by mx.far.example with ESMTP id 77777777; now\r\nMessage-ID: <"
        + message_id.encode()
        + b">\r\nSubject: buy\r\n\r\nnow\r\n--b--\r\n"
    )


async def test_complaints_are_the_senders_and_the_operator_is_told_once() -> None:
    sent = [
        LedgerEntry(
            at_us=1,
            kind="submission.accepted",
            id=f"id{n}",
            fields={"account": "other@local.example"},
            about=(f"m{n}@x",),
        )
        for n in range(4)
    ]
    post = Post(OneLedger(*sent))
    await post.world.fill()
    for n in (0, 0, 1, 2, 3):
        assert await post.bring(complaint(f"m{n}@x")) == [250]
    await post.bring(complaint("nobody@x"))
    kept = await post.book.kept("complaint")
    assert len(kept) == 5 and sum('"other@local.example"' in one.body for one in kept) == 4
    letters = [one for one in await post.world.mailbox("user") if b"Complaints about mail from" in one]
    assert len(letters) == 1


# --- sending


class Sending(Post):
    def __init__(self, *entries: LedgerEntry, signs: bool = True, enabled: bool = True) -> None:
        super().__init__(OneLedger(*entries))

        async def can_sign(domain: str) -> bool:
            return signs

        self.sender = ReportSender(
            SendingRules(
                enabled=enabled,
                hostname=HOSTNAME,
                organization="Local",
                sender="postmaster@local.example",
                most_octets=100_000,
                generator="test",
            ),
            SendingPorts(
                book=self.book,
                resolver=self.resolver,
                letters=self.letters,
                can_sign=can_sign,
                clock=self.world.clock,
                journal=self.world.journal,
                ledger=self.reach,
            ),
        )

    async def a_day_of_mail(self) -> int:
        await self.world.fill()
        good = b"From: a@far.example\r\nSubject: x\r\n\r\nhello\r\n"
        await self.bring(good, "user@local.example")
        await self.bring(good, "user@local.example")
        await self.bring(b"From: a@quiet.example\r\n\r\nx", "user@local.example")
        await self.bring(mail(aggregate()))  # a report: no report about it
        await self.book.flush()  # as a duty does
        return self.world.clock.now_us() // DAY_US

    async def queued(self) -> list[tuple[str, bytes]]:
        found = []
        for message in await self.world.store.spool.queue():
            octets = await self.world.store.spool.open_queued(message.message_id)
            assert octets is not None
            whole = await octets.read(0, octets.size_octets)
            found += [(str(one.recipient.address), whole) for one in message.recipients]
        return sorted(found)

    def until_due(self, day: int) -> None:
        seconds = due_s(day, "far.example", HOSTNAME) - self.world.clock.now_us() / 1_000_000
        self.world.clock.advance(seconds)


async def test_one_report_per_domain_and_destination_and_day() -> None:
    post = Sending()
    day = await post.a_day_of_mail()
    assert await post.sender.send_due() == 0  # the day is not over
    post.until_due(day)
    assert await post.sender.send_due() == 2
    assert await post.sender.send_due() == 0
    queued = await post.queued()
    assert [to for to, _ in queued] == ["d@far.example", "d@third.example"]  # e.test did not agree
    whole = queued[0][1]
    found = find_report(scan(whole))
    assert found is not None and b"\r\nAuto-Submitted: auto-generated\r\n" in whole
    report = read_packed(whole[found.part.body : found.part.end], found.part.encoding)
    assert isinstance(report, AggregateReport)
    assert (report.policy.domain, report.policy.p, report.policy.discovery_method) == (
        "far.example",
        "reject",
        "treewalk",
    )
    (row,) = report.rows
    assert (row.count, row.disposition, row.spf, row.dkim) == (2, "pass", "pass", "fail")
    assert (row.header_from, row.envelope_from, row.envelope_to) == (
        "far.example",
        "far.example",
        "local.example",
    )
    assert (report.begins_s, report.ends_s) == (day * 86_400, day * 86_400 + 86_399)
    assert [one["because"] for one in post.told("report.not_sent")] == [
        "e.test does not say that it takes reports about far.example"
    ]


async def test_a_destination_that_refused_is_left_in_peace() -> None:
    post = Sending()
    day = await post.a_day_of_mail()
    post.until_due(day)
    assert await post.sender.send_due() == 2
    (first,) = await post.book.sent_to("d@far.example", 0)
    assert post.ledger is not None
    failed = LedgerEntry(
        at_us=1, kind="relay.attempt", id=first.message_id, fields={"result": "failed"}, about=()
    )
    post.ledger.entries.append(failed)
    await post.bring(b"From: a@far.example\r\n\r\nx", "user@local.example")
    await post.book.flush()
    post.until_due(post.world.clock.now_us() // DAY_US)
    assert await post.sender.send_due() == 1
    because = [one["because"] for one in post.told("report.not_sent")]
    assert because.count("earlier reports came back") == 1


async def test_dns_that_cannot_say_waits() -> None:
    post = Sending()
    day = await post.a_day_of_mail()
    post.resolver.zone.break_name("far.example._report._dmarc.e.test", DnsStatus.SERVFAIL, "TXT")
    post.until_due(day)
    assert await post.sender.send_due() == 2
    assert await post.book.days(day + 1) == [(day, "far.example")]
    assert await post.sender.send_due() == 0  # and those that have theirs get it once


@pytest.mark.parametrize("why", ["key", "switch"])
async def test_without_a_key_or_when_switched_off_nothing_is_sent(why: str) -> None:
    post = Sending(signs=why != "key", enabled=why != "switch")
    day = await post.a_day_of_mail()
    post.until_due(day)
    assert await post.sender.send_due() == 0
    assert not await post.queued() and not await post.book.days(day + 9)


def a_session(failure: str = "", domain: str = "far.example") -> HopSession:
    return HopSession(
        policy_type="sts",
        policy_domain=domain,
        policy_string=("version: STSv1", "mode: enforce"),
        mx_host=("mx.far.example",),
        failure=FailureKey(result_type=failure, receiving_mx_hostname="mx.far.example") if failure else None,
    )


async def test_tls_reports_of_ours() -> None:
    post = Sending()
    await post.world.fill()
    sessions, clock = post.world.store.hop_sessions, post.world.clock
    for one in (
        a_session(),
        a_session(),
        a_session("certificate-expired"),
        a_session(domain="quiet.example"),
    ):
        sessions.count(one)
    await sessions.flush()
    day = clock.now_us() // DAY_US
    sender = TlsReportSender(post.sender._rules, post.sender._ports, sessions)
    assert await sender.send_due() == 0
    clock.advance(2 * 86_400)
    assert await sender.send_due() == 1  # quiet.example asks for none
    assert await sender.send_due() == 0 and await sessions.days() == []
    ((to, whole),) = await post.queued()
    assert to == "t@far.example" and b"TLS-Report-Domain: far.example\r\n" in whole
    assert b'report-type="tlsrpt"' in whole and b"\r\nTLS-Required: No\r\n" in whole
    found = find_report(scan(whole))
    assert found is not None
    report = read_packed(whole[found.part.body : found.part.end], found.part.encoding)
    assert isinstance(report, TlsReport)
    (policy,) = report.policies
    assert (policy.successes, policy.failures, policy.mx_host) == (2, 1, ("mx.far.example",))
    assert policy.details[0].result_type == "certificate-expired"
    assert (report.begins_s, report.ends_s) == (day * 86_400, day * 86_400 + 86_399)


async def test_no_tls_reports_without_a_key() -> None:
    post = Sending(signs=False)
    await post.world.fill()
    sessions = post.world.store.hop_sessions
    sessions.count(a_session())
    await sessions.flush()
    post.world.clock.advance(2 * 86_400)
    assert await TlsReportSender(post.sender._rules, post.sender._ports, sessions).send_due() == 0
    assert not await post.queued() and await sessions.days() == []


def test_days_are_spread() -> None:
    times = {due_s(20_000, f"d{number}.example", HOSTNAME) for number in range(200)}
    first = 20_001 * 86_400
    assert all(first + 3_600 <= one < first + 86_400 for one in times)
    assert max(times) - min(times) > 18 * 3_600
