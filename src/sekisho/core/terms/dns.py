"""DNS answers, and the one question that `core` may ask the world.

Names are text: lower-case, no trailing dot, labels separated by dots; a dot or an octet outside printable
ASCII inside a label is written `\\DDD` (RFC 1035 §5.1).
"""

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, NamedTuple, Protocol

RecordType = Literal["A", "AAAA", "MX", "TXT", "PTR", "CNAME", "NS", "SOA", "TLSA", "SRV"]


class DnsStatus(enum.Enum):
    """The six ends of a question; the last three are "could not know", never "there is none"."""

    NOERROR = "noerror"  # at least one record
    NODATA = "nodata"  # the name exists, without such records
    NXDOMAIN = "nxdomain"  # the name does not exist (RFC 8020)
    SERVFAIL = "servfail"  # also REFUSED, FORMERR, NOTIMP, lame and unparseable answers
    TIMEOUT = "timeout"
    BOGUS = "bogus"  # DNSSEC validation failed, as far as the resolver says so (RFC 8914)


class Mx(NamedTuple):
    preference: int
    host: str  # "" is the root: a null MX (RFC 7505)


class Tlsa(NamedTuple):
    usage: int
    selector: int
    matching: int
    data: bytes


class Srv(NamedTuple):
    priority: int
    weight: int
    port: int
    target: str


class Soa(NamedTuple):
    mname: str
    rname: str
    serial: int
    minimum: int


# A: IPv4Address, AAAA: IPv6Address, TXT: the character-strings of one record joined, PTR, CNAME and NS: a
# name.
Record = IPv4Address | IPv6Address | Mx | Tlsa | Srv | Soa | bytes | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one question, CNAMEs followed. `records` is empty unless status is NOERROR.

    `secure`: the AD bit of a trusted validating resolver, over the whole chain. `ttl_seconds` is the least
    TTL of what was used, or the negative TTL of RFC 2308 §5.
    """

    name: str
    rtype: RecordType
    status: DnsStatus
    records: tuple[Record, ...] = ()
    ttl_seconds: int = 0
    secure: bool = False
    canonical_name: str = ""

    @property
    def is_unknown(self) -> bool:
        """True if nothing may be concluded from it: the caller says temperror or tries again later."""
        return self.status in (DnsStatus.SERVFAIL, DnsStatus.TIMEOUT, DnsStatus.BOGUS)


class Resolver(Protocol):
    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        """Ask. Never raises for what the network or the peer did: that is a status."""
        ...
