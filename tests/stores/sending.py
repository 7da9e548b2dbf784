"""An account that sends, for the tests of the guard's memory in every store."""

from typing import Any

from tests.stores.making import acceptance, delivery, relay

from sekisho.core.policy.takeover.sending import Outgoing, Sending, key_of
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.directory import Account
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Accepted, Outcome, QueueJob
from sekisho.testing.clock import ManualClock

OWNER = Owner("host", 0, 1)
MESSAGE = b"From: alice@example.test\r\nSubject: hello\r\n\r\nhello\r\n"
DELIVERED = Reply.of(250, "2.0.0", "queued")
NO_SUCH = Reply.of(550, "5.1.1", "No such user")
LATER = Reply.of(450, "4.2.1", "Busy")


class Sender:
    """Sends as one account with one credential."""

    def __init__(
        self, store: Any, clock: ManualClock, account: Account, credential: str = "password"
    ) -> None:
        self.store, self.clock, self.account, self.credential = store, clock, account, credential
        self.number = 0

    async def send(
        self, *recipients: str, here: Account | None = None, fresh: bool = True, answered: str = ""
    ) -> tuple[str, Accepted]:
        self.number += 1
        message_id = f"{self.account.id}-{self.credential}-{self.number}"
        now_us = self.clock.now_us()
        addresses = [Address.from_text(recipient) for recipient in recipients]
        sending = Sending(
            message_id=message_id,
            account_id=self.account.id,
            credential_id=self.credential,
            at_us=now_us,
            network="192.0.2.0/24",
            client="mutt",
            local_recipients=bool(here),
            remote_recipients=len(recipients),
            thread=key_of(answered) if answered else 0,
        )
        locals_ = (Recipient(Address.from_text(here.address)),) if here else ()
        elsewhere = tuple((key_of(str(address)), key_of(address.domain)) for address in addresses)
        lease = OWNER if fresh else None
        item = acceptance(
            self.store,
            MESSAGE,
            message_id=message_id,
            relays=tuple(
                relay(address.local, address.domain, now_us, fresh_lease=lease) for address in addresses
            ),
            deliveries=(delivery(here, delivery_id=f"{message_id}/{here.id}/0"),) if here else (),
            origin="submission",
            account_id=self.account.id,
            outgoing=Outgoing(sending, elsewhere, locals_, answered),
        )
        return message_id, await self.store.spool.accept(item)

    async def open_a_case(self) -> int:
        case = await self.store.guard.hold(
            self.account.id, self.credential, "hold", Reason("test", 100, "A test.")
        )
        return int(case.id)


async def states(store: Any, message_id: str) -> dict[str, str]:
    message = await store.spool.queued(message_id)
    return {str(row.recipient.address): row.state for row in message.recipients} if message else {}


def outcomes(job: QueueJob, result: str, reply: Reply, **fields: Any) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(recipient_id=recipient.id, result=result, reply=reply, **fields)
        for recipient in job.recipients
    )
