"""The envelope: paths and the parameters that travel with them (RFC 5321 §2.3.1, RFC 3461)."""

from dataclasses import dataclass
from typing import Literal

from sekisho.core.terms.address import Address, ReversePath

Notify = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]
Voucher = Literal["", "spf", "dkim"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward path. `notify` None means that the client gave no NOTIFY (RFC 3461 §4.1)."""

    address: Address
    notify: frozenset[Notify] | None = None
    orcpt: str | None = None  # `rfc822;addr`, xtext already decoded (RFC 3461 §4.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What MAIL and RCPT said. `envid` is xtext-decoded (RFC 3461 §4.4); `declared_octets` is SIZE= (RFC 1870
    §6).

    `vouched`: what speaks for the domain of the reverse path, found out at the door and kept with the
    message; "" for nothing. `requiretls`: only over TLS to proved hosts, all the way (RFC 8689 §2).
    """

    reverse_path: ReversePath
    recipients: tuple[Recipient, ...] = ()
    body: Literal["7BIT", "8BITMIME"] = "7BIT"
    smtputf8: bool = False
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None
    declared_octets: int | None = None
    vouched: Voucher = ""
    requiretls: bool = False
