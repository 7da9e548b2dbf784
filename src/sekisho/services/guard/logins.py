"""Telling owners of logins from new places. Once a round, by one worker; never about the first day of an
account."""

from collections import defaultdict
from dataclasses import dataclass

from sekisho.core.message.date import format_date
from sekisho.core.policy.takeover.login_notice import credential_in, login_notice
from sekisho.core.terms.address import Address
from sekisho.ports.clock import Clock
from sekisho.ports.counters import Counters
from sekisho.ports.credentials import PASSWORD, Credentials
from sekisho.ports.directory import Account, Directory
from sekisho.ports.guard import Guard
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.places import LoginPlace, Places
from sekisho.services.letters import Letter, LetterRules, LetterWriter

DAY_SECONDS = 86_400
FORGOTTEN_SECONDS = 400 * DAY_SECONDS
SWEEP_SECONDS = 3600.0
AT_ONCE = 1_000
LISTED = 20  # places in one letter; `sekisho account logins` has all


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginNoticePorts:
    places: Places
    directory: Directory
    credentials: Credentials
    guard: Guard
    counters: Counters
    letters: LetterWriter
    clock: Clock
    journal: Journal


class LoginNotices:
    """`per_day`: letters to one account; what comes on top waits for the next day's. 0: nobody is told."""

    def __init__(self, ports: LoginNoticePorts, rules: LetterRules, postmaster: str, per_day: int) -> None:
        self._ports, self._rules, self._postmaster, self._per_day = ports, rules, postmaster, per_day
        self._swept_at = ports.clock.monotonic()

    async def keep(self) -> None:
        """A duty. Raises StoreUnavailable."""
        ports = self._ports
        by_account: dict[int, list[LoginPlace]] = defaultdict(list)
        for place in await ports.places.untold(AT_ONCE):
            by_account[place.account_id].append(place)
        for account_id, places in by_account.items():
            account = await ports.directory.account(account_id)
            if account is None or account.state == "deleted" or not self._per_day:
                await ports.places.told(places)
            elif await ports.counters.total(_key(account), DAY_SECONDS) < self._per_day:
                await ports.counters.add(_key(account), 1, DAY_SECONDS)
                await self._tell(account, places)
                await ports.places.told(places)
        if ports.clock.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = ports.clock.monotonic()
            await ports.places.sweep(ports.clock.now_us() - FORGOTTEN_SECONDS * 1_000_000)

    async def _tell(self, account: Account, places: list[LoginPlace]) -> None:
        """In the mailbox and at the second address: a thief may read the first."""
        language = self._rules.language
        values = {"address": account.address, "host": self._rules.hostname, "postmaster": self._postmaster}
        subject, text = login_notice(
            language, [await self._described(place) for place in places[:LISTED]], values
        )
        owner = Address.from_text(account.address)
        letter_id = f"login-{account.id}-{places[0].first_us}"
        await self._send(
            Letter(id=f"{letter_id}-owner", to=owner, author_domain=owner.domain, subject=subject, text=text)
        )
        second = (await self._ports.guard.watched(account.id)).recovery_address
        if second:
            await self._send(
                Letter(
                    id=f"{letter_id}-second",
                    to=Address.from_text(second),
                    author_domain=owner.domain,
                    subject=subject,
                    text=text,
                )
            )

    async def _described(self, place: LoginPlace) -> dict[str, str]:
        label = ""
        if place.credential_id != PASSWORD:
            credential = await self._ports.credentials.credential(place.account_id, place.credential_id)
            label = credential.label if credential is not None and credential.label else place.credential_id
        return {
            "time": format_date(place.first_us),
            "client": place.client,
            "service": place.service,
            "mechanism": place.mechanism or "-",
            "tls": place.tls or "-",
            "credential": credential_in(self._rules.language, label),
        }

    async def _send(self, letter: Letter) -> None:
        if not await self._ports.letters.send(letter):
            self._ports.journal.record(
                Entry(
                    "notice.lost", letter.id, {"recipients": str(letter.to), "reason": "no mailbox took it"}
                )
            )


def _key(account: Account) -> str:
    return f"login-notices:{account.id}"
