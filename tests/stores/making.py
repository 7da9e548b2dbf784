"""Short ways to make what the stores take."""

import itertools
from typing import Any

from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.directory import Account
from sekisho.ports.mailstore import Appended
from sekisho.ports.spool import Acceptance, MailboxDelivery, RelayRecipient

_numbers = itertools.count(1)


def content(store: Any, octets: bytes) -> Any:
    writer = store.spool.open_content()
    for start in range(0, len(octets), 40_000):
        writer.write(octets[start : start + 40_000])
    return writer


def delivery(account: Account, **fields: Any) -> MailboxDelivery:
    fields.setdefault("delivery_id", f"delivery-{next(_numbers)}")
    fields.setdefault("prefix", b"Return-Path: <>\r\n")
    return MailboxDelivery(account_id=account.id, **fields)


def relay(local: str, domain: str, due_at_us: int, **fields: Any) -> RelayRecipient:
    fields.setdefault("next_hop", domain)
    return RelayRecipient(
        recipient=Recipient(Address(local, domain)),
        due_at_us=due_at_us,
        expires_at_us=due_at_us + 10**12,
        **fields,
    )


def acceptance(store: Any, octets: bytes, **fields: Any) -> Acceptance:
    fields.setdefault("message_id", f"message-{next(_numbers)}")
    fields.setdefault("prefix", b"Received: here\r\n")
    fields.setdefault("envelope", Envelope(reverse_path=ReversePath(Address("sender", "elsewhere.test"))))
    return Acceptance(content=content(store, octets), **fields)


def appended(store: Any, octets: bytes = b"Subject: hello\r\n\r\nhello\r\n", **fields: Any) -> Appended:
    return Appended(content=content(store, octets), **fields)
