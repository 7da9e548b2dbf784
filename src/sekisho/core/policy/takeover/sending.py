"""What the guard knows of one message at submission: from where, by what, to how many, with which words.
Facts; nothing is judged here."""

import ipaddress
import re
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from sekisho.core.policy.takeover.state import DAY_US
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Recipient

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_VERSION = re.compile(r"[\d_./()\-;,:]+|\b[0-9a-f]{6,}\b")
_MAX_CLIENT = 60


class Said(Struct, frozen=True, array_like=True):
    """What a check of the content says against a message, as advice. `check` is the name of a signal; `what`:
    names and numbers."""

    check: Literal["virus", "rspamd", "attachment", "content"]
    what: str


class SentLink(Struct, frozen=True, array_like=True):
    """A host that the message links to. `quoted`: only in what it quotes from the message that it answers."""

    key: int
    host: str
    quoted: bool = False


class Sending(Struct, frozen=True, array_like=True, kw_only=True):
    """One submitted message. `network` and `client` are "" where there is none to know (the local submission
    socket).

    `hidden` counts recipients elsewhere that neither To nor Cc names. `thread` is the key of the message it
    answers, 0 without; `answers`: its account holds that message. `contents` are keys of the parts that
    repeat when one text goes to many. `identities`: keys of the author's name and of a Reply-To that leads
    away.
    """

    message_id: str
    account_id: int
    credential_id: str
    at_us: int
    network: str = ""
    client: str = ""
    is_service: bool = False  # the credential of a program: cron, a scanner, a web form
    local_recipients: int = 0
    remote_recipients: int = 0
    hidden: int = 0
    thread: int = 0
    answers: bool = False
    identities: tuple[int, ...] = ()
    reply_elsewhere: str = ""
    links: tuple[SentLink, ...] = ()
    contents: tuple[int, ...] = ()
    said: tuple[Said, ...] = ()
    days_read: int = (
        0  # days before this one on which the account logged in from that network, to read or to send
    )


class Outgoing(Struct, frozen=True):
    """What the acceptance of a submitted message debits. `elsewhere`: keys of the recipients elsewhere and of
    their domains.

    `locals`: recipients whose mailboxes are here; they wait as rows with MAILBOX_HOP where the message is
    held. `answered`: the Message-ID that it answers, or "".
    """

    sending: Sending
    elsewhere: tuple[tuple[int, int], ...] = ()
    locals: tuple[Recipient, ...] = ()
    answered: str = ""

    @property
    def house_before_us(self) -> int:
        """Whom another account first wrote to before is known to the house: today it may have been a
        thief."""
        return self.sending.at_us - DAY_US


class Reach(Struct, frozen=True, array_like=True, kw_only=True):
    """Whom it goes to, as the account and the house know them. Only recipients elsewhere are counted.

    `strangers`: nobody here ever wrote to them; `house`: other accounts did, this one not; `known`: this
    account did; `dormant`: of those, how many it did not write to for a month. `domains`: keys of the
    strangers' domains.
    """

    strangers: int = 0
    house: int = 0
    known: int = 0
    dormant: int = 0
    domains: tuple[int, ...] = ()


def key_of(text: str | bytes) -> int:
    """A 63-bit key: what the profile keeps instead of texts."""
    octets = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big") >> 1


def short_key(text: str | bytes) -> int:
    """A 32-bit key, for the bounded lists that are read with each message."""
    return key_of(text) >> 31


def recipient_key(address: Address) -> int:
    local = address.local.lower() if address.local.isascii() else address.local_canonical
    return key_of(f"{local}@{address.domain}")


@lru_cache(maxsize=1024)
def network_of(address: IpAddress | None) -> str:
    """The network that an address counts as: /24 or /48 (as providers give them out)."""
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return network_of(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 80 << 80, 48)))
    return f"{address.packed[0]}.{address.packed[1]}.{address.packed[2]}.0/24"


def wide_network(network: str) -> str:
    """What the networks of one provider often share: the first half of `network`, to be compared by."""
    if ":" in network:
        return ":".join(network.split(":")[:2])
    return network.rsplit(".", 2)[0]


@lru_cache(maxsize=1024)
def client_of(user_agent: str, hello: str, mechanism: str) -> str:
    """The program as it looks from here, without versions: "Thunderbird Mozilla, literal, PLAIN"."""
    agent = " ".join(_VERSION.sub(" ", user_agent).split())[:_MAX_CLIENT] or "unnamed"
    if hello.startswith("["):
        kind = "literal"
    elif "." not in hello:
        kind = "single" if hello else "none"
    else:
        kind = re.sub(r"\d+", "", ".".join(hello.lower().rsplit(".", 2)[-2:]))[:_MAX_CLIENT]
    return f"{agent}, {kind}, {mechanism or 'none'}"
