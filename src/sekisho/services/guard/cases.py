"""What follows when a case is opened: the credential is frozen where it must be, and people are told. Once a
round, by one worker."""

from dataclasses import dataclass

from sekisho.core.message.date import format_date
from sekisho.core.policy.takeover.judge import oldest_kept
from sekisho.core.policy.takeover.wording import Facts, administrator_notice, owner_notice, reasons_told
from sekisho.core.terms.address import Address, AddressError
from sekisho.core.terms.records import by_position
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Account, Directory
from sekisho.ports.freezing import Freezer
from sekisho.ports.guard import Case, Guard
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.metrics import Metrics
from sekisho.services.letters import Letter, LetterRules, LetterWriter

LISTED = 200  # recipients named in a letter; `sekisho guard show` has all
SWEEP_US = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePorts:
    guard: Guard
    directory: Directory
    freezer: Freezer
    letters: LetterWriter
    clock: Clock
    journal: Journal
    metrics: Metrics


class CaseKeeper:
    """`postmaster` reads about every case; `rules` are those of the letters."""

    def __init__(self, ports: CasePorts, rules: LetterRules, postmaster: str) -> None:
        self._ports, self._rules, self._postmaster = ports, rules, postmaster
        self._swept_us = 0

    async def keep(self) -> None:
        """Do what is left to do about open cases. Raises StoreUnavailable; what fails otherwise is tried
        again next time."""
        cases = await self._ports.guard.unfinished()
        for case in cases:
            try:
                await self._attend(case)
            except StoreUnavailable:
                raise
            except Exception as error:
                self._ports.journal.fault("guard.case", error)
        now_us = self._ports.clock.now_us()
        if now_us - self._swept_us >= SWEEP_US:
            self._swept_us = now_us
            await self._ports.guard.sweep(oldest_kept(now_us))

    async def _attend(self, case: Case) -> None:
        """Every step may be interrupted, and is then done again from the first: only the last one says that
        all was done.

        A case that grew graver meanwhile stays unfinished: its time of freezing is missing.
        """
        ports, now_us = self._ports, self._ports.clock.now_us()
        frozen_at_us = 0
        account = await ports.directory.account(case.account_id)
        if account is None:
            await ports.guard.note(case.id, announced_at_us=now_us, frozen_at_us=now_us)
            return
        if case.action == "freeze" and not case.frozen_at_us:
            await self._freeze(case)
            case = await ports.guard.open_case(case.account_id, case.credential_id) or case
            frozen_at_us = now_us
        self._write_down("guard.frozen" if case.action == "freeze" else "guard.held", case, account)
        if not await self._tell(case, account):
            return  # what could not be written is tried again, what was is not written twice
        await ports.guard.note(case.id, announced_at_us=now_us, frozen_at_us=frozen_at_us)
        ports.metrics.count("sekisho_guard_cases_total", action=case.action)

    async def _freeze(self, case: Case) -> None:
        """An attempt before may have ended between the deed and the note of it."""
        freezer = self._ports.freezer
        done = await freezer.freeze(case.account_id, case.credential_id, case.since_us)
        done = done or await freezer.standing(case.account_id, case.credential_id, case.opened_at_us)
        await self._ports.guard.note(case.id, done=done)

    def _write_down(self, kind: str, case: Case, account: Account) -> None:
        fields: dict[str, JournalValue] = {
            "account": account.address,
            "credential": case.credential_id,
            "case": case.id,
            "score": case.score,
            "because": " ".join(map(str, case.reasons)),
            "reasons": reasons_told(case.reasons),
            "alarm": True,
        }
        self._ports.journal.record(Entry(kind, str(case.id), fields, (account.address,)))

    async def _tell(self, case: Case, account: Account) -> bool:
        """Each letter for itself: one that cannot be written keeps back no other. Were all written?"""
        guard, language = self._ports.guard, self._rules.language
        watched = await guard.watched(account.id)
        held = await guard.held(account.id)
        left = await guard.left(account.id, case.since_us)
        facts = Facts(
            case.reasons,
            case.done,
            [row.address for row in left[:LISTED]],
            address=account.address,
            host=self._rules.hostname,
            postmaster=self._postmaster,
            credential=case.credential_id,
            score=case.score,
            messages=len(held),
            since=format_date(case.since_us),
            left=len(left),
        )
        letter_id = f"guard-{case.id}-{case.action}"
        told = [
            ("owner", account.address, owner_notice(language, facts)),
            ("second", watched.recovery_address, owner_notice(language, facts)),
            ("postmaster", self._postmaster, administrator_notice(language, facts)),
        ]
        done = [
            await self._send(f"{letter_id}-{who}", address, account, words)
            for who, address, words in told
            if address
        ]
        return all(done)

    async def _send(self, letter_id: str, address: str, account: Account, words: tuple[str, str]) -> bool:
        """False: a fault of ours. An address that is none, or that nobody has, is journaled, and trying again
        would not help."""
        ports = self._ports
        try:
            letter = by_position(
                Letter,
                letter_id,
                Address.from_text(address),
                Address.from_text(account.address).domain,
                *words,
            )
            lost = "" if await ports.letters.send(letter) else "no mailbox took it"
        except StoreUnavailable:
            raise
        except AddressError as error:
            lost = str(error)
        except Exception as error:
            ports.journal.fault("guard.letter", error)
            return False
        if lost:
            ports.journal.record(Entry("notice.lost", letter_id, {"recipients": address, "reason": lost}))
        return True
