"""Sending TLS reports (RFC 8460): one per policy domain, destination and day, by mail.

A background duty of one worker; what it did is known by the ids of its mails, as with DMARC reports.
"""

import gzip
import hashlib
from collections.abc import Sequence

import msgspec

from sekisho.core.reports.making import due_s, read_destination
from sekisho.core.reports.tlsmaking import TlsReportMail, compose_tls_mail
from sekisho.core.terms.address import Address
from sekisho.core.tlspolicy.tlsrpt import PolicyCounts, TlsrptError, find_report_uris, report_of
from sekisho.ports.hoptls import HopSessions
from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.reports import SentReport
from sekisho.services.letters import WrittenLetter
from sekisho.services.reports.sending import (
    DAY_US,
    GIVEN_UP_DAYS,
    MAX_DESTINATIONS,
    SendingPorts,
    SendingRules,
    is_suppressed,
)


class TlsReportSender:
    """`rules.enabled` says whether TLS reports are sent."""

    def __init__(self, rules: SendingRules, ports: SendingPorts, sessions: HopSessions) -> None:
        self._rules, self._ports, self._sessions = rules, ports, sessions

    async def send_due(self) -> int:
        """Those that are due now; returns how many mails that made. Raises StoreUnavailable."""
        now_us = self._ports.clock.now_us()
        sent = 0
        for day in await self._sessions.days():
            if day >= now_us // DAY_US:
                continue
            for domain, counts in _by_domain(await self._sessions.of_day(day)).items():
                if not self._rules.enabled or day < now_us // DAY_US - GIVEN_UP_DAYS:
                    await self._sessions.forget(day, domain)
                elif due_s(day, f"_smtp._tls.{domain}", self._rules.hostname) * 1_000_000 <= now_us:
                    sent += await self._send(day, domain, counts)
        return sent

    async def _send(self, day: int, domain: str, counts: Sequence[PolicyCounts]) -> int:
        """RFC 8460 §3: who wants to know it says so in DNS."""
        ports, name = self._ports, f"_smtp._tls.{domain}"
        answer = await ports.resolver.resolve(name, "TXT")
        if answer.is_unknown:
            return 0
        try:
            uris = find_report_uris([octets for octets in answer.records if isinstance(octets, bytes)])
        except TlsrptError as error:
            uris = ()
            self._tell("report.not_sent", domain, "", str(error))
        found = [read_destination(uri) for uri in uris if uri.startswith("mailto:")]
        wanted = list(dict.fromkeys(to for to in found if to is not None))[:MAX_DESTINATIONS]
        sender = Address.from_text(self._rules.sender)
        sent = 0
        # RFC 8460 §5.3: without a valid signature of ours nobody takes it.
        if wanted and not await ports.can_sign(sender.domain):
            self._tell("report.not_sent", domain, "", f"there is no DKIM key for {sender.domain}")
            wanted = []
        for to in wanted:
            if await is_suppressed(ports, str(to)):
                self._tell("report.not_sent", domain, str(to), "earlier reports came back")
            elif await self._send_to(day, domain, to, counts):
                sent += 1
        await self._sessions.forget(day, domain)
        return sent

    async def _send_to(self, day: int, domain: str, to: Address, counts: Sequence[PolicyCounts]) -> bool:
        rules, now_us = self._rules, self._ports.clock.now_us()
        begins_s, sender = day * DAY_US // 1_000_000, Address.from_text(rules.sender)
        digest = hashlib.sha256(f"{rules.hostname} tls {day} {domain} {to}".encode()).hexdigest()[:24]
        report_id = f"{day}.{hashlib.sha256(f'{rules.hostname} {day} {domain}'.encode()).hexdigest()[:20]}"
        said = report_of(
            organization=rules.organization,
            contact=rules.sender,
            report_id=report_id,
            begins_us=begins_s * 1_000_000,
            ends_us=(begins_s + 86_399) * 1_000_000,
            policies=counts,
        )
        packed = gzip.compress(msgspec.json.encode(said), mtime=0)
        if len(packed) > rules.most_octets:
            self._tell("report.not_sent", domain, str(to), "it would be too large")
            return False
        mail = TlsReportMail(
            id=f"report.{digest}",
            to=to,
            sender=sender,
            policy_domain=domain,
            report_id=report_id,
            begins_s=begins_s,
            ends_s=begins_s + 86_399,
            packed=packed,
            date_us=now_us,
        )
        letter = WrittenLetter(id=mail.id, to=to, author_domain=sender.domain, octets=compose_tls_mail(mail))
        if not await self._ports.letters.send_written(letter):
            self._tell("report.not_sent", domain, str(to), "nobody here has that address")
            return False
        await self._ports.book.sent(
            SentReport(
                day=day,
                domain=f"_smtp._tls.{domain}",
                destination=str(to),
                message_id=mail.id,
                sent_us=now_us,
            )
        )
        sessions = sum(one.successes + sum(one.failures.values()) for one in counts)
        self._tell("report.sent", domain, str(to), f"{sessions} sessions")
        return True

    def _tell(self, kind: str, domain: str, to: str, because: str) -> None:
        fields: dict[str, JournalValue] = {"report": "tls", "domain": domain, "destination": to}
        self._ports.journal.record(Entry(kind, domain, {**fields, "because": because}, (domain,)))


def _by_domain(counts: Sequence[PolicyCounts]) -> dict[str, list[PolicyCounts]]:
    found: dict[str, list[PolicyCounts]] = {}
    for one in counts:
        found.setdefault(one.policy_domain, []).append(one)
    return found
