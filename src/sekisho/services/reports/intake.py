"""Reports that come by mail: recognised before the message is accepted, kept once it is. The mail itself is
delivered like any other."""

import asyncio
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import msgspec

from sekisho.core.message.structure import Part, StructureScanner
from sekisho.core.message.text import TransferDecoder
from sekisho.core.reports.aggregate import AggregateReport
from sekisho.core.reports.feedback import Feedback, read_failure_in_words, read_feedback
from sekisho.core.reports.finding import PackedReader, ReportPart, find_report
from sekisho.core.reports.refusal import ReportRefused
from sekisho.core.reports.tls import TlsReport
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.clock import Clock
from sekisho.ports.content import ContentWriter, StoreUnavailable
from sekisho.ports.counters import Counters
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.reports import KeptReport, ReportBook, ReportKind
from sekisho.services.reports.complaints import ComplaintDesk

PIECE = 65_536
MAX_PART = 65_536  # of a feedback report, and of the message that it is about
MAX_ROWS = 500  # of one report are kept, the largest
MOST_A_DAY = 200  # reports of one reporter: the room that they are kept in is for all
DAY_SECONDS = 86_400
MAX_DETAILS = 50  # of one TLS policy


class ReadMail(NamedTuple):
    """What came, read."""

    author_domain: str
    message_id: str
    said: AggregateReport | TlsReport | Feedback


class Intake(Protocol):
    def is_for_reports(self, envelope: Envelope) -> bool:
        """Do all recipients take reports?"""
        ...

    async def read(
        self, message_id: str, envelope: Envelope, content: ContentWriter, author_domain: str
    ) -> ReadMail | None:
        """Before the acceptance; None: no report. Never raises. `author_domain`: what DMARC proved, "" for
        nothing."""
        ...

    async def keep(self, read: ReadMail | None) -> None:
        """After it. Never raises."""
        ...


class NoIntake:
    def is_for_reports(self, envelope: Envelope) -> bool:
        return False

    async def read(
        self, message_id: str, envelope: Envelope, content: ContentWriter, author_domain: str
    ) -> ReadMail | None:
        return None

    async def keep(self, read: ReadMail | None) -> None:
        return None


NO_INTAKE = NoIntake()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    book: ReportBook
    directory: Directory
    clock: Clock
    journal: Journal
    counters: Counters
    complaints: ComplaintDesk | None = None


class ReportIntake:
    """Implements `Intake`. `addresses`: where reports come to; none: to postmaster, whatever the domain."""

    def __init__(self, addresses: tuple[str, ...], ports: IntakePorts) -> None:
        self._addresses = frozenset(Address.from_text(one).canonical for one in addresses)
        self._ports = ports

    def is_for_reports(self, envelope: Envelope) -> bool:
        return bool(envelope.recipients) and all(self._takes(one.address) for one in envelope.recipients)

    def _takes(self, address: Address) -> bool:
        if self._addresses:
            return address.canonical in self._addresses
        return address.local_canonical == "postmaster"

    async def read(
        self, message_id: str, envelope: Envelope, content: ContentWriter, author_domain: str
    ) -> ReadMail | None:
        if not any(self._takes(one.address) for one in envelope.recipients):
            return None
        try:
            said = await _read(content)
            return None if said is None else ReadMail(author_domain, message_id, said)
        except ReportRefused as refused:
            self._refuse(message_id, author_domain, str(refused))
        except StoreUnavailable as error:  # the acceptance will meet it too
            self._refuse(message_id, author_domain, str(error))
        except Exception as error:  # an own bug must not keep the mail out
            self._refuse(message_id, author_domain, self._ports.journal.fault("reports", error))
        return None

    async def keep(self, read: ReadMail | None) -> None:
        if read is None:
            return
        try:
            if isinstance(read.said, AggregateReport):
                await self._keep_aggregate(read, read.said)
            elif isinstance(read.said, TlsReport):
                await self._keep_tls(read, read.said)
            else:
                await self._keep_feedback(read, read.said)
        except StoreUnavailable as error:
            self._refuse(read.message_id, read.author_domain, str(error))
        except Exception as error:  # it is accepted: whatever happens here, it stays so
            self._refuse(read.message_id, read.author_domain, self._ports.journal.fault("reports", error))

    async def _keep_aggregate(self, read: ReadMail, said: AggregateReport) -> None:
        domain = await self._ours(said.policy.domain)
        if not domain:
            self._refuse(read.message_id, read.author_domain, _not_ours(said.policy.domain))
            return
        rows = sorted(said.rows, key=lambda row: -row.count)[:MAX_ROWS]
        body = msgspec.json.encode(replace(said, rows=tuple(rows))).decode()
        await self._keep(read, _kept("dmarc", domain, said.report_id, (said.begins_s, said.ends_s), body))

    async def _keep_tls(self, read: ReadMail, said: TlsReport) -> None:
        domains = {policy.domain: await self._ours(policy.domain) for policy in said.policies}
        for domain in sorted({ours for ours in domains.values() if ours}):
            policies = tuple(
                replace(policy, lines=policy.lines[:20], details=policy.details[:MAX_DETAILS])
                for policy in said.policies
                if domains[policy.domain] == domain
            )
            body = msgspec.json.encode(replace(said, policies=policies)).decode()
            await self._keep(read, _kept("tls", domain, said.report_id, (said.begins_s, said.ends_s), body))
        if not any(domains.values()):
            self._refuse(read.message_id, read.author_domain, _not_ours(", ".join(domains)))

    async def _keep_feedback(self, read: ReadMail, said: Feedback) -> None:
        if said.kind != "auth-failure":
            if self._ports.complaints is not None:
                await self._ports.complaints.take(said, read.author_domain, read.message_id)
            return
        domain = await self._ours(said.reported_domain)
        if not domain:
            self._refuse(read.message_id, read.author_domain, _not_ours(said.reported_domain))
            return
        now_s = self._ports.clock.now_us() // 1_000_000
        body = msgspec.json.encode(said).decode()
        await self._keep(read, _kept("failure", domain, read.message_id, (now_s, now_s), body))

    async def _keep(self, read: ReadMail, report: KeptReport) -> None:
        report = msgspec.structs.replace(
            report,
            reporter=read.author_domain,
            proven=bool(read.author_domain),
            received_us=self._ports.clock.now_us(),
        )
        if await self._ports.counters.add(f"reports:{report.reporter}", 1, DAY_SECONDS) > MOST_A_DAY:
            self._refuse(read.message_id, report.reporter, "more reports came from there than a day needs")
            return
        is_new = await self._ports.book.keep(report)
        fields: dict[str, JournalValue] = {
            "report": report.kind,
            "domain": report.domain,
            "reporter": report.reporter,
            "report_id": report.report_id,
            "again": not is_new,
        }
        self._ports.journal.record(Entry("report.received", read.message_id, fields))

    async def _ours(self, domain: str) -> str:
        """The domain of ours that it is, or is below; "" for none."""
        labels = domain.split(".")
        for at in range(len(labels) - 1):
            name = ".".join(labels[at:])
            if await self._ports.directory.domain(name) is not None:
                return name
        return ""

    def _refuse(self, message_id: str, author_domain: str, because: str) -> None:
        fields: dict[str, JournalValue] = {"reporter": author_domain, "because": because}
        self._ports.journal.record(Entry("report.refused", message_id, fields))


def _not_ours(domain: str) -> str:
    return f"it is about {domain}, which is not ours"


def _kept(kind: ReportKind, domain: str, report_id: str, span: tuple[int, int], body: str) -> KeptReport:
    return KeptReport(
        kind=kind,
        domain=domain,
        reporter="",
        report_id=report_id,
        begins_s=span[0],
        ends_s=span[1],
        received_us=0,
        proven=False,
        body=body,
    )


async def _read(content: ContentWriter) -> AggregateReport | TlsReport | Feedback | None:
    """Raises ReportRefused, StoreUnavailable."""
    scanner, offset = StructureScanner(), 0
    while octets := await content.read(offset, PIECE):
        scanner.feed(octets)
        offset += len(octets)
        await asyncio.sleep(0)
    found = find_report(scanner.finish())
    return None if found is None or found.found == "bounce" else await _read_part(content, found)


async def _read_part(content: ContentWriter, found: ReportPart) -> AggregateReport | TlsReport | Feedback:
    if found.found == "packed":
        return await _packed(content, found.part)
    body = await _decoded(content, found.part)
    if found.found == "words":
        return read_failure_in_words(body)
    original = b"" if found.original is None else await _decoded(content, found.original)
    return read_feedback(body, original)


async def _packed(content: ContentWriter, part: Part) -> AggregateReport | TlsReport:
    reader, offset = PackedReader(part.encoding), part.body
    while offset < part.end and (octets := await content.read(offset, min(PIECE, part.end - offset))):
        reader.feed(octets)
        offset += len(octets)
        await asyncio.sleep(0)
    return reader.finish()


async def _decoded(content: ContentWriter, part: Part) -> bytes:
    octets = await content.read(part.body, min(2 * MAX_PART, part.end - part.body))
    return TransferDecoder(part.encoding).feed(octets, final=True)[:MAX_PART]
