"""Sending DMARC aggregate reports (RFC 9990): one per policy domain, destination and day.

A background duty of one worker. It may be stopped anywhere: a report that was sent is known by its id, and is
not sent again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sekisho.core.mailauth.dmarc.evaluate import organizational_domain
from sekisho.core.mailauth.dmarc.record import is_dmarc_record
from sekisho.core.reports.aggregate import AggregateReport
from sekisho.core.reports.making import ReportMail, compose_mail, due_s, fit, read_destination
from sekisho.core.terms.address import Address
from sekisho.core.terms.dns import Resolver
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.ledger import Ledger
from sekisho.ports.reports import ReportBook, SeenDay, SentReport
from sekisho.services.letters import LetterWriter, WrittenLetter

DAY_US = 86_400_000_000
MAX_ROWS = 20_000
MAX_DESTINATIONS = 10
SUPPRESSED_DAYS = 7  # no report goes where one came back from within so many days
GIVEN_UP_DAYS = 3  # a day that could not be reported until then is forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingRules:
    """`sender`: in From; its domain must sign, or the reports prove nothing (RFC 9990 §3.5)."""

    enabled: bool
    hostname: str
    organization: str
    sender: str
    most_octets: int
    generator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPorts:
    """`can_sign`: has this domain a key?"""

    book: ReportBook
    resolver: Resolver
    letters: LetterWriter
    can_sign: Callable[[str], Awaitable[bool]]
    clock: Clock
    journal: Journal
    ledger: Callable[[], Ledger | None] = lambda: None


async def is_suppressed(ports: SendingPorts, destination: str) -> bool:
    """A report that could not be delivered stops those that would follow. Raises StoreUnavailable."""
    ledger, since_us = ports.ledger(), ports.clock.now_us() - SUPPRESSED_DAYS * DAY_US
    if ledger is None:
        return False
    for sent in await ports.book.sent_to(destination, since_us):
        for entry in await ledger.find(sent.message_id):
            if entry.kind == "relay.attempt" and entry.fields.get("result") == "failed":
                return True
    return False


class ReportSender:
    def __init__(self, rules: SendingRules, ports: SendingPorts) -> None:
        self._rules, self._ports = rules, ports

    async def send_due(self) -> int:
        """Those that are due now; returns how many mails that made. Raises StoreUnavailable."""
        ports, now_us = self._ports, self._ports.clock.now_us()
        sent = 0
        for day, domain in await ports.book.days(now_us // DAY_US):
            if not self._rules.enabled or day < now_us // DAY_US - GIVEN_UP_DAYS:
                await ports.book.forget_day(day, domain)
            elif due_s(day, domain, self._rules.hostname) * 1_000_000 <= now_us:
                sent += await self._send(day, domain)
        return sent

    async def _send(self, day: int, domain: str) -> int:
        ports, sender = self._ports, Address.from_text(self._rules.sender)
        seen = await ports.book.day(day, domain, MAX_ROWS)
        if seen is None or not seen.rows or not await ports.can_sign(sender.domain):
            await self._finish(day, domain, "there is no DKIM key for " + sender.domain if seen else "")
            return 0
        made = fit(self._report(seen), self._rules.most_octets)
        if made is None:
            await self._finish(day, domain, "it would be too large")
            return 0
        sent, waits = 0, False
        for to in self._destinations(seen):
            if await self._was_sent(day, domain, to):
                continue  # another waits for DNS
            may = await self._may_send(domain, to)
            waits = waits or may is None
            if may and await self._send_to(day, domain, to, made):
                sent += 1
        if not waits:
            await ports.book.forget_day(day, domain)
        return sent

    async def _was_sent(self, day: int, domain: str, to: Address) -> bool:
        since_us = day * DAY_US
        return any(
            sent.day == day and sent.domain == domain
            for sent in await self._ports.book.sent_to(str(to), since_us)
        )

    def _destinations(self, seen: SeenDay) -> list[Address]:
        found = [read_destination(uri) for uri in seen.rua]
        return list(dict.fromkeys(to for to in found if to is not None))[:MAX_DESTINATIONS]

    async def _may_send(self, domain: str, to: Address) -> bool | None:
        """Does whoever gets it want it? None: DNS cannot say now."""
        if await is_suppressed(self._ports, str(to)):
            self._tell("report.not_sent", domain, to, "earlier reports came back")
            return False
        resolver = self._ports.resolver
        one = await organizational_domain(resolver, domain)
        other = await organizational_domain(resolver, to.domain)
        if one is None or other is None:
            return None
        if one == other:
            return True
        # RFC 9990 §4: a destination elsewhere must say that it takes them.
        answer = await resolver.resolve(f"{domain}._report._dmarc.{to.domain}", "TXT")
        if answer.is_unknown:
            return None
        if any(isinstance(octets, bytes) and is_dmarc_record(octets) for octets in answer.records):
            return True
        self._tell(
            "report.not_sent", domain, to, f"{to.domain} does not say that it takes reports about {domain}"
        )
        return False

    async def _send_to(self, day: int, domain: str, to: Address, made: tuple[AggregateReport, bytes]) -> bool:
        report, packed = made
        sender, now_us = Address.from_text(self._rules.sender), self._ports.clock.now_us()
        digest = hashlib.sha256(f"{self._rules.hostname} {day} {domain} {to}".encode()).hexdigest()[:24]
        mail = ReportMail(
            id=f"report.{digest}", to=to, sender=sender, report=report, xml=packed, date_us=now_us
        )
        letter = WrittenLetter(id=mail.id, to=to, author_domain=sender.domain, octets=compose_mail(mail))
        if not await self._ports.letters.send_written(letter):
            self._tell("report.not_sent", domain, to, "nobody here has that address")
            return False
        await self._ports.book.sent(
            SentReport(day=day, domain=domain, destination=str(to), message_id=mail.id, sent_us=now_us)
        )
        self._tell("report.sent", domain, to, f"{report.messages} messages", mail.id)
        return True

    def _report(self, seen: SeenDay) -> AggregateReport:
        begins_s = seen.day * DAY_US // 1_000_000
        named = hashlib.sha256(f"{self._rules.hostname} {seen.day} {seen.policy.domain}".encode()).hexdigest()
        return AggregateReport(
            organization=self._rules.organization,
            contact=self._rules.sender,
            report_id=f"{seen.day}.{named[:20]}",
            begins_s=begins_s,
            ends_s=begins_s + 86_399,  # RFC 9990 §3.1.1.4: days do not overlap
            policy=seen.policy,
            rows=seen.rows,
            generator=self._rules.generator,
        )

    async def _finish(self, day: int, domain: str, because: str) -> None:
        await self._ports.book.forget_day(day, domain)
        if because:
            fields: dict[str, JournalValue] = {"domain": domain, "because": because}
            self._ports.journal.record(Entry("report.not_sent", domain, fields))

    def _tell(self, kind: str, domain: str, to: Address, because: str, id_: str = "") -> None:
        fields: dict[str, JournalValue] = {"domain": domain, "destination": str(to), "because": because}
        self._ports.journal.record(Entry(kind, id_ or domain, fields, (domain,)))
