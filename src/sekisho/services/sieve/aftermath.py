"""What follows once a message that scripts saw is accepted: answers, notices, what they remember, word to
owners of failed scripts.

The message is accepted: whatever happens here, it stays so. Nothing here answers a robot or a forged sender
(RFC 3834, THREATS 34).
"""

import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from sekisho.config.sieve import SieveSettings
from sekisho.core.message.dsn_text import Language
from sekisho.core.sieve.actions import Notify, Vacation
from sekisho.core.sieve.addresses import read_addresses
from sekisho.core.sieve.letters import Stamp, notice_letter, vacation_letter
from sekisho.core.terms.address import Address, AddressError
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Counters
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.scripts import Remembered
from sekisho.services.letters import Letter, LetterWriter, WrittenLetter
from sekisho.services.notices import may_be_told
from sekisho.services.sieve.sorting import Offered, Ran, Sorted

_DAY_SECONDS = 86_400
_LOOP_US = 86_400_000_000
_FAILED: dict[Language, tuple[str, str]] = {
    "en": (
        "Your Sieve script failed",
        (
            "This is the mail server {host}.\n\n"
            "Your Sieve script stopped while it looked at a message, so the message lies in your inbox, "
            "and nothing else was done with it:\n\n"
            "  {fault}\n\n"
            "The message is from {sender}, and its id here is {id}. Other messages may be affected too "
            "until the script is mended. "
            "This letter comes once a day at most."
        ),
    ),
    "ja": (
        "Sieve スクリプトが失敗しました",
        (
            "メールサーバー {host} からのお知らせです。\n\n"
            "Sieve スクリプトがメッセージの処理中に止まりました。メッセージは受信箱にあり、ほかには何もして"
            "いません。\n\n"
            "  {fault}\n\n"
            "そのメッセージの差出人は {sender}、ここでの番号は {id} です。"
            "スクリプトを直すまで、ほかのメッセージも同じことになるかもしれません。"
            "このお知らせは、多くても一日に一通です。"
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AftermathPorts:
    letters: LetterWriter
    remembered: Remembered
    counters: Counters
    clock: Clock
    journal: Journal


class Aftermath:
    """One per configuration."""

    def __init__(
        self, ports: AftermathPorts, settings: SieveSettings, hostname: str, language: Language
    ) -> None:
        self._ports, self._settings = ports, settings
        self._hostname, self._language = hostname, language

    async def follow(self, offered: Offered, sorted_: Sorted) -> None:
        """Never raises: what cannot be done is written down."""
        for key in sorted_.redirected:
            await self._safely(self._renew(key, _LOOP_US), offered, "")
        for ran in sorted_.ran:
            await self._safely(self._of_one(offered, ran), offered, ran.address)

    async def _safely(self, work: Awaitable[None], offered: Offered, account: str) -> None:
        try:
            await work
        except StoreUnavailable as error:
            self._ports.journal.record(
                Entry("sieve.left_out", offered.message_id, {"account": account, "reason": str(error)})
            )
        except Exception as error:  # an own bug: a 451 now would have the message sent, and kept, twice
            self._ports.journal.fault("sieve", error)

    async def _renew(self, key: bytes, for_us: int) -> None:
        await self._ports.remembered.renew(key, self._ports.clock.now_us() + for_us)

    async def _of_one(self, offered: Offered, ran: Ran) -> None:
        result = ran.result
        if result.error is not None:
            await self._tell_owner(offered, ran)
        for seen in result.seen:
            await self._renew(seen.key, seen.seconds * 1_000_000)
        for number, action in enumerate(result.actions):
            if isinstance(action, Vacation):
                await self._answer(offered, ran, action)
            elif isinstance(action, Notify):
                await self._notify(offered, ran, action, number)

    async def _answer(self, offered: Offered, ran: Ran, action: Vacation) -> None:
        """RFC 5230 §4.2: once in a while to each. Only whom something speaks for: others may never have
        written."""
        if not may_be_told(offered.envelope):
            return
        now_us = self._ports.clock.now_us()
        key = hashlib.sha256(b"%d\0%b" % (ran.account_id, action.key)).digest()
        if action.seconds and not await self._ports.remembered.remember(
            key, now_us, now_us + action.seconds * 1_000_000
        ):
            return
        own = {ran.address.lower(), ran.recipient.lower()}
        chosen = read_addresses(action.sender)
        is_own = len(chosen) == 1 and chosen[0].whole.lower() in own
        author = chosen[0].whole if is_own else action.recipient
        octets = vacation_letter(
            action if is_own else replace(action, sender=""), self._stamp(offered, ran, "answer")
        )
        await self._send(offered=offered, ran=ran, what="answer", to=action.to, author=author, octets=octets)

    async def _notify(self, offered: Offered, ran: Ran, action: Notify, number: int) -> None:
        # RFC 5436 §2.7: what it tells of may be anything, so it comes from the owner's own address.
        octets = notice_letter(
            replace(action, sender=""),
            self._stamp(offered, ran, f"notice{number}"),
            ran.address,
            offered.header,
        )
        for place, address in enumerate(action.to):
            await self._send(
                offered=offered,
                ran=ran,
                what=f"notice{number}-{place}",
                to=address,
                author=ran.address,
                octets=octets,
            )

    def _stamp(self, offered: Offered, ran: Ran, what: str) -> Stamp:
        return Stamp(
            f"{offered.message_id}.{ran.account_id}.{what}@{self._hostname}", self._ports.clock.now_us()
        )

    async def _send(self, offered: Offered, ran: Ran, what: str, to: str, author: str, octets: bytes) -> None:
        try:
            address = Address.from_text(to)
        except AddressError:
            return
        counted = await self._ports.counters.add(f"sieve-letters:{ran.account_id}", 1, _DAY_SECONDS)
        if counted > self._settings.letters_per_day:
            self._ports.journal.record(
                Entry(
                    "sieve.left_out",
                    offered.message_id,
                    {"account": ran.address, "reason": "too many letters"},
                )
            )
            return
        letter_id = f"{offered.message_id}-{ran.account_id}-{what}"
        await self._ports.letters.send_written(
            WrittenLetter(
                id=letter_id,
                to=address,
                author_domain=author.rpartition("@")[2],
                octets=octets,
                requiretls=offered.envelope.requiretls,
            )
        )

    async def _tell_owner(self, offered: Offered, ran: Ran) -> None:
        fault = ran.result.error
        fields: dict[str, JournalValue] = {
            "account": ran.address,
            "line": fault.line if fault else 0,
            "error": str(fault),
        }
        self._ports.journal.record(Entry("sieve.failed", offered.message_id, fields, (ran.address,)))
        now_us = self._ports.clock.now_us()
        key = hashlib.sha256(f"failed\0{ran.account_id}".encode()).digest()
        if not await self._ports.remembered.remember(key, now_us, now_us + _DAY_SECONDS * 1_000_000):
            return
        subject, text = _FAILED[self._language]
        values = {
            "host": self._hostname,
            "fault": str(fault),
            "sender": str(offered.envelope.reverse_path) or "<>",
            "id": offered.message_id,
        }
        to = Address.from_text(ran.address)
        letter_id = f"sieve-{ran.account_id}-{now_us // (_DAY_SECONDS * 1_000_000)}"
        await self._ports.letters.send(
            Letter(id=letter_id, to=to, author_domain=to.domain, subject=subject, text=text.format(**values))
        )
