"""Complaints about mail of ours (ARF, RFC 5965): whose mail it was, and how many there are."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from sekisho.core.reports.feedback import Feedback
from sekisho.core.terms.address import Address, AddressError
from sekisho.ports.clock import Clock
from sekisho.ports.counters import Counters
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.ledger import Ledger, LedgerEntry
from sekisho.ports.reports import KeptReport, ReportBook
from sekisho.services.letters import Letter, LetterWriter

DAY_SECONDS = 86_400
DAY_US = DAY_SECONDS * 1_000_000
_COMPLAINTS = frozenset(("abuse", "fraud", "virus", "opt-out", "opt-out-list", "other", "miscategorized"))
_OURS = "submission.accepted"


class KnownComplaint(msgspec.Struct, frozen=True, kw_only=True):
    """The `body` of a complaint that is kept. `account`: "" where nobody can tell whose mail it was."""

    account: str
    kind: str
    header_message_id: str
    user_agent: str
    source_ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintPorts:
    book: ReportBook
    counters: Counters
    letters: LetterWriter
    clock: Clock
    journal: Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintRules:
    """`per_day`: from so many complaints about one account the operator is told, 0: never."""

    hostname: str
    postmaster: str
    per_day: int


class ComplaintDesk:
    """`ledger` gives None while there is none: then nobody can tell whose mail it was."""

    def __init__(
        self, rules: ComplaintRules, ports: ComplaintPorts, ledger: Callable[[], Ledger | None]
    ) -> None:
        self._rules, self._ports, self._ledger = rules, ports, ledger

    async def take(self, said: Feedback, reporter: str, message_id: str) -> None:
        """Raises StoreUnavailable. What DMARC does not prove to come from somebody is not counted."""
        if said.kind not in _COMPLAINTS:
            return
        account = await self._account(said)
        now_us = self._ports.clock.now_us()
        known = KnownComplaint(
            account=account,
            kind=said.kind,
            header_message_id=said.original.message_id,
            user_agent=said.user_agent,
            source_ip=said.source_ip,
        )
        is_new = await self._ports.book.keep(
            KeptReport(
                kind="complaint",
                domain=account.rpartition("@")[2],
                reporter=reporter,
                report_id=said.original.message_id or message_id,
                begins_s=now_us // 1_000_000,
                ends_s=now_us // 1_000_000,
                received_us=now_us,
                proven=bool(reporter),
                body=msgspec.json.encode(known).decode(),
            )
        )
        fields: dict[str, JournalValue] = {"account": account, "feedback": said.kind, "reporter": reporter}
        self._ports.journal.record(
            Entry("report.complaint", message_id, fields, (account,) if account else ())
        )
        if is_new and account and reporter:
            await self._count(account, now_us)

    async def _account(self, said: Feedback) -> str:
        """By our own id in Received, else by Message-ID, in what was written down when it was sent."""
        ledger = self._ledger()
        if ledger is None:
            return ""
        keys = [id_ for host, id_ in said.original.hops if host == self._rules.hostname]
        keys += [said.original.message_id] if said.original.message_id else []
        for key in keys:
            for entry in await ledger.find(key):
                if entry.kind == _OURS and (account := _account_of(entry)):
                    return account
        return ""

    async def _count(self, account: str, now_us: int) -> None:
        total = await self._ports.counters.add(f"complaints:{account}", 1, DAY_SECONDS)
        if not self._rules.per_day or total < self._rules.per_day:
            return
        try:
            to = Address.from_text(self._rules.postmaster)
        except AddressError:
            return
        await self._ports.letters.send(
            Letter(
                id=f"complaints.{now_us // DAY_US}.{account.replace('@', '.')}",
                to=to,
                author_domain=to.domain,
                subject=f"Complaints about mail from {account}",
                text=(
                    f"{total} receivers complained about mail from {account} within a day.\n\n"
                    "See which mail it was:  sekisho reports complaints\n"
                    "See what the account sent:  sekisho why " + account + "\n\n"
                    "If the account was stolen, stop it:  sekisho account passwd " + account + "\n"
                ),
            )
        )


def _account_of(entry: LedgerEntry) -> str:
    account = entry.fields.get("account")
    return account if isinstance(account, str) else ""
