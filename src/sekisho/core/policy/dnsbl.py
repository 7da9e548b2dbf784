"""DNS blocklists (RFC 5782): what to ask, what an answer means, whether a list is in its right mind, and how
lists are weighed.

A list can only ever accuse by a code that is configured for it. Everything else (other codes, answers outside
127/8, what 127.255.255.0/24 says about us, no answer) is not a listing, and some of it is a fault of the
list.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Literal

from sekisho.core.terms.dns import Answer, DnsStatus

_LOOPBACK = ip_network("127.0.0.0/8")  # RFC 5782 §2.1: values should lie there
_ABOUT_US = ip_network("127.255.255.0/24")  # large lists say there that the question was refused
_RANGE = re.compile(r"(127(?:\.[0-9]{1,3}){3})(?:-([0-9]{1,3}))?\Z")


@dataclass(frozen=True, slots=True)
class CodeRange:
    """Answers `first` to `last`, and what they mean."""

    first: IPv4Address
    last: IPv4Address
    meaning: str = ""

    @classmethod
    def parse(cls, text: str, meaning: str = "") -> "CodeRange":
        """ "127.0.0.4" or "127.0.0.4-7" (the last number goes up to 7). Raises ValueError."""
        match = _RANGE.match(text)
        if match is None:
            raise ValueError(f"{text} is no answer of a blocklist; write 127.0.0.2 or 127.0.0.4-7")
        first = IPv4Address(match[1])
        last = IPv4Address(f"{match[1].rpartition('.')[0]}.{match[2]}") if match[2] else first
        if last < first or first in _ABOUT_US:
            raise ValueError(
                f"{text} cannot be a listing: the range is empty, or it is where lists report refused "
                f"questions"
            )
        return cls(first, last, meaning)

    def holds(self, code: IPv4Address) -> bool:
        return self.first <= code <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocklist:
    """One list. `codes` are the answers that count; `weight` is what a listing adds. Domain lists are asked
    for names."""

    zone: str
    codes: tuple[CodeRange, ...]
    weight: float = 1.0
    kind: Literal["ip", "domain"] = "ip"
    ipv4: bool = True
    ipv6: bool = False
    ipv6_prefix: int = 128  # some lists hold whole networks: they are asked for the first address of it

    def question(self, client: IPv4Address | IPv6Address) -> str | None:
        """The name to ask for (RFC 5782 §2.1, §2.4), or None: this list has nothing to say about such
        addresses."""
        if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped
        if self.kind != "ip" or not (self.ipv4 if client.version == 4 else self.ipv6):
            return None
        if isinstance(client, IPv6Address):
            client = IPv6Network((client, self.ipv6_prefix), strict=False).network_address
        return f"{_reversed(client)}.{self.zone}"

    def domain_question(self, domain: str) -> str | None:
        """RFC 5782 §3."""
        return (
            f"{domain}.{self.zone}"
            if self.kind == "domain" and domain and not domain.startswith("[")
            else None
        )


def _reversed(address: IPv4Address | IPv6Address) -> str:
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


Standing = Literal["listed", "clean", "unknown", "fault"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What one list said. `fault`: the answer cannot be one of a list that works."""

    zone: str
    standing: Standing
    weight: float = 0.0
    meaning: str = ""


def read_answer(blocklist: Blocklist, answer: Answer) -> Listing:
    """One answer of type A. A timeout is not a listing (STANDARDS D-01)."""
    if answer.is_unknown:
        return Listing(blocklist.zone, "unknown", meaning=answer.status.value)
    if answer.status is not DnsStatus.NOERROR:
        return Listing(blocklist.zone, "clean")
    codes = [record for record in answer.records if isinstance(record, IPv4Address)]
    wrong = [code for code in codes if code not in _LOOPBACK or code in _ABOUT_US]
    if wrong:
        return Listing(blocklist.zone, "fault", meaning=f"it answers {wrong[0]}: {_fault(wrong[0])}")
    for code in codes:
        for known in blocklist.codes:
            if known.holds(code):
                return Listing(blocklist.zone, "listed", blocklist.weight, known.meaning or str(code))
    return Listing(blocklist.zone, "clean")


def _fault(code: IPv4Address) -> str:
    if code in _ABOUT_US:
        return "it refuses our questions (a public resolver, too many of them, or a wrong zone name)"
    return "not an address of 127.0.0.0/8, so somebody else answers in its name"


# RFC 5782 §5: test entries. Name before the zone, and whether it must be listed.
CANARIES: Mapping[str, tuple[tuple[str, bool], ...]] = {
    "ipv4": ((_reversed(IPv4Address("127.0.0.2")), True), (_reversed(IPv4Address("127.0.0.1")), False)),
    "ipv6": (
        (_reversed(IPv6Address("::ffff:7f00:2")), True),
        (_reversed(IPv6Address("::ffff:7f00:1")), False),
    ),
    "domain": (("test", True), ("invalid", False)),
}


def canaries(blocklist: Blocklist) -> tuple[tuple[str, bool], ...]:
    """The names to ask for, each with whether it must be listed."""
    if blocklist.kind == "domain":
        kinds = ["domain"]
    else:
        kinds = [kind for kind, wanted in (("ipv4", blocklist.ipv4), ("ipv6", blocklist.ipv6)) if wanted]
    return tuple((f"{name}.{blocklist.zone}", must) for kind in kinds for name, must in CANARIES[kind])


@dataclass(frozen=True, slots=True)
class Health:
    """`is_fit` None: the DNS did not answer, so nothing is known and nothing changes."""

    is_fit: bool | None
    problem: str = ""


def judge_canaries(blocklist: Blocklist, answers: Sequence[tuple[bool, Answer]]) -> Health:
    """From the answers to `canaries`, in their order, each beside whether it had to be listed."""
    if any(answer.is_unknown for _, answer in answers):
        return Health(None, f"{blocklist.zone} does not answer")
    for must, answer in answers:
        listing = read_answer(blocklist, answer)
        if listing.standing == "fault":
            return Health(False, f"{blocklist.zone}: {listing.meaning}")
        is_listed = answer.status is DnsStatus.NOERROR
        if is_listed and not must:
            return Health(
                False, f"{blocklist.zone} lists {answer.name}, which no list may hold: it lists everything"
            )
        if must and not is_listed:
            return Health(
                False,
                f"{blocklist.zone} does not list {answer.name}, which every list must hold: it is dead or "
                f"renamed",
            )
    return Health(True)


@dataclass(frozen=True, slots=True)
class DnsblFinding:
    """What all lists said. `asked` 0: no list is on."""

    listings: tuple[Listing, ...] = ()
    asked: int = 0

    @property
    def weight(self) -> float:
        return sum(one.weight for one in self.listings)

    @property
    def listed(self) -> tuple[Listing, ...]:
        return tuple(one for one in self.listings if one.standing == "listed")

    @property
    def is_unknown(self) -> bool:
        """No list accuses, but one could not be asked."""
        return not self.listed and any(one.standing in ("unknown", "fault") for one in self.listings)

    def explain(self) -> str:
        """ "zen.example says: policy block (weight 1), …"""
        return (
            ", ".join(f"{one.zone} says {one.meaning} (weight {one.weight:g})" for one in self.listed)
            or "no list holds it"
        )


@dataclass(frozen=True, slots=True)
class DnsblRules:
    """Two lists that agree, or one beside bad experience of our own, make `reject_weight`."""

    reject_weight: float = 2.0
    reject_lists: int = 2


def is_enough(finding: DnsblFinding, rules: DnsblRules, *, bad_history: bool) -> bool:
    """Is it enough to turn a client away? One list alone never is, unless our own history says the same."""
    lists, weight = len(finding.listed), finding.weight
    if not lists:
        return False
    if bad_history:
        lists, weight = lists + 1, weight + 1.0
    return lists >= max(rules.reject_lists, 1) and weight >= rules.reject_weight
