"""Sieve of local recipients, before the reply (DESIGN §4 Accept = deliver): from copies in INBOX to those
that owners want.

Whatever goes wrong with a script, its copy is kept. Mail that the door put into Junk is not shown to scripts:
nothing answers it, and nothing carries it on.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from sekisho.config.sieve import SieveSettings
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id
from sekisho.core.sieve.actions import FileInto, Keep, Redirect, Reject, Result
from sekisho.core.terms.address import Address, AddressError
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.clock import Clock
from sekisho.ports.content import ContentWriter
from sekisho.ports.counters import Counters
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Journal
from sekisho.ports.mailstore import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from sekisho.ports.scripts import Remembered
from sekisho.ports.spool import MailboxDelivery
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.sieve.running import MailToSort, ScriptRunner
from sekisho.services.smtp.acceptance import Destination

_BITS = {"\\answered": ANSWERED, "\\flagged": FLAGGED, "\\deleted": DELETED, "\\seen": SEEN, "\\draft": DRAFT}
_USES = ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash", "\\All", "\\Flagged")
_DAY_SECONDS = 86_400
_REASON_OCTETS = 400
SCRIPT_RULE = "recipient-script"  # in admin/why
_REFUSED = "The recipient refuses this message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A message that is about to be accepted. `header` and `content` as the store has them; `deliveries`: the
    copies without scripts."""

    message_id: str
    envelope: Envelope
    destinations: Sequence[Destination]
    header: HeaderSection
    content: ContentWriter
    deliveries: tuple[MailboxDelivery, ...]
    client: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one account's script wants."""

    account_id: int
    address: str
    recipient: str
    result: Result


@dataclass(slots=True, kw_only=True)
class Sorted:
    """`deliveries` and `destinations` take the place of those offered: scripts file, and redirect. `refusal`:
    nobody wants the message.

    `ran` and `redirected` are for what follows once the message is accepted.
    """

    deliveries: tuple[MailboxDelivery, ...]
    destinations: tuple[Destination, ...]
    refusal: Reply | None = None
    because: str = ""
    ran: list[Ran] = field(default_factory=list)
    redirected: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SortingPorts:
    runner: ScriptRunner
    directory: Directory
    recipients: RecipientProbe
    remembered: Remembered
    counters: Counters
    clock: Clock
    journal: Journal


class Sorting:
    """One per configuration."""

    def __init__(self, ports: SortingPorts, settings: SieveSettings) -> None:
        self._ports, self._settings = ports, settings

    async def sort(self, offered: Offered) -> Sorted:
        """Raises StoreUnavailable: the message is not accepted then, and comes again."""
        sorted_ = Sorted(deliveries=offered.deliveries, destinations=tuple(offered.destinations))
        if not self._settings.enabled:
            return sorted_
        results: dict[int, Ran] = {}
        for delivery in offered.deliveries:
            if delivery.special_use is None and (ran := await self._run(offered, delivery)) is not None:
                results[delivery.account_id] = ran
                await asyncio.sleep(0)  # many recipients must not hold up other connections
        if not results:
            return sorted_
        sorted_.ran = list(results.values())
        if (refusal := _refusal(offered, results)) is not None:
            sorted_.refusal, sorted_.because = refusal
            return sorted_
        await self._carry_out(offered, results, sorted_)
        return sorted_

    async def _run(self, offered: Offered, delivery: MailboxDelivery) -> Ran | None:
        active = await self._ports.runner.active(delivery.account_id)
        if active is None:
            return None  # as with most
        account = await self._ports.directory.account(delivery.account_id)
        named = next((one for one in offered.destinations if delivery.account_id in one.account_ids), None)
        if account is None or named is None:
            return None
        domain = await self._ports.directory.domain(named.recipient.address.domain)
        mail = MailToSort(
            account_id=account.id,
            address=account.address,
            recipient=str(named.recipient.address),
            reverse_path=str(offered.envelope.reverse_path),
            prefix=delivery.prefix,
            header=offered.header,
            content=offered.content,
            separators=domain.subaddress_separators if domain is not None else "+",
            client=offered.client,
        )
        try:
            result = await self._ports.runner.run(active, mail)
        except (
            ValueError,
            LookupError,
            ArithmeticError,
            AssertionError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            # An own bug in the interpreter must not keep mail out: the copy is kept, the traceback is in the
            # log.
            self._ports.journal.fault("sieve", error)
            return None
        return Ran(account.id, account.address, mail.recipient, result)

    async def _carry_out(self, offered: Offered, results: dict[int, Ran], sorted_: Sorted) -> None:
        deliveries: list[MailboxDelivery] = []
        redirects: dict[Address, Recipient] = {}
        more: dict[int, None] = {}
        for delivery in offered.deliveries:
            ran = results.get(delivery.account_id) if delivery.special_use is None else None
            if ran is None:
                deliveries.append(delivery)
                continue
            copies, is_lost = _copies(delivery, ran.result), False
            for action in ran.result.actions:
                if isinstance(action, Redirect) and not await self._redirect(
                    offered=offered, ran=ran, action=action, redirects=redirects, more=more, sorted_=sorted_
                ):
                    is_lost = True
            if (is_lost or ran.result.having(Reject)) and not copies:
                copies = [
                    delivery
                ]  # whom it could not go on to, or whose refusal cannot be said: it stays here
            deliveries += copies
        have = {delivery.account_id for delivery in offered.deliveries}
        sample = offered.deliveries[0]
        deliveries += [
            MailboxDelivery(
                delivery_id=f"{offered.message_id}/{account_id}/0",
                account_id=account_id,
                prefix=sample.prefix,
            )
            for account_id in more
            if account_id not in have
        ]
        sorted_.deliveries = tuple(deliveries)
        if redirects:
            added = tuple(Destination(recipient, (), (address,)) for address, recipient in redirects.items())
            sorted_.destinations = (*offered.destinations, *added)

    async def _redirect(
        self,
        offered: Offered,
        ran: Ran,
        action: Redirect,
        redirects: dict[Address, Recipient],
        more: dict[int, None],
        sorted_: Sorted,
    ) -> bool:
        """False: it cannot, and the message stays with the owner (THREATS 34)."""
        try:
            address = Address.from_text(action.address)
        except AddressError:
            return False
        key = _loop_key(ran.account_id, header_message_id(offered.header), str(address.canonical))
        now_us = self._ports.clock.now_us()
        if key and await self._ports.remembered.known((key,), now_us):
            return False  # this message was sent there before, and came back
        found = await self._ports.recipients.resolve(address)
        if found.status == "unknown" or any(account.id == ran.account_id for account in found.accounts):
            return False
        counted = await self._ports.counters.add(f"sieve-redirects:{ran.account_id}", 1, _DAY_SECONDS)
        if counted > self._settings.redirects_per_day:
            return False
        more |= dict.fromkeys(account.id for account in found.accounts)
        origin = next(one.recipient for one in offered.destinations if ran.account_id in one.account_ids)
        for remote in (address,) if found.status == "not_ours" else found.remotes:
            redirects.setdefault(remote, replace(origin, address=remote))
        if key:
            sorted_.redirected.append(key)
        return True


def _copies(delivery: MailboxDelivery, result: Result) -> list[MailboxDelivery]:
    found: list[MailboxDelivery] = []
    for action in result.actions:
        if isinstance(action, Keep | FileInto):
            flags, keywords = split_flags(action.flags)
            changes: dict[str, object] = {
                "flags": delivery.flags | flags,
                "keywords": (*delivery.keywords, *keywords),
            }
            if isinstance(action, FileInto):
                use = next((each for each in _USES if each.lower() == action.special_use.lower()), None)
                changes |= {"mailbox": action.mailbox, "create": action.create, "special_use": use}
            number = len(found)
            id_ = (
                delivery.delivery_id if not number else f"{delivery.delivery_id.rpartition('/')[0]}/{number}"
            )
            found.append(msgspec.structs.replace(delivery, delivery_id=id_, **changes))
    return found


def split_flags(flags: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """System flags as bits, and keywords (RFC 9051 §2.3.2)."""
    bits = 0
    for flag in flags:
        bits |= _BITS.get(flag.lower(), 0)
    return bits, tuple(flag for flag in flags if flag.lower() not in _BITS)


def _refusal(offered: Offered, results: dict[int, Ran]) -> tuple[Reply, str] | None:
    """RFC 5429 §2.1: said in the session if it is true of every recipient; else those who refuse keep a copy
    that nobody asked for, rather than that a notice goes to who may never have written (THREATS 34)."""
    accounts = {account_id for one in offered.destinations for account_id in one.account_ids}
    if any(one.remotes for one in offered.destinations) or accounts != results.keys():
        return None
    reasons = [
        action.reason
        for ran in results.values()
        for action in ran.result.actions
        if isinstance(action, Reject)
    ]
    if len(reasons) < len(results):
        return None
    text = " ".join("".join(each if each.isprintable() else " " for each in reasons[0]).split())[
        :_REASON_OCTETS
    ]
    # RFC 5429 §2.2: replies are ASCII.
    return Reply.of(550, "5.7.1", text if text.isascii() and text else _REFUSED), text


def _loop_key(account_id: int, message_id: str, address: str) -> bytes:
    """b"" for a message without an id, whose Received fields are all that is counted."""
    return (
        hashlib.sha256(f"redirect\0{account_id}\0{message_id}\0{address}".encode("utf-8", "replace")).digest()
        if message_id
        else b""
    )
