"""What goes into an SPF check and what comes out: result words, never a decision (RFC 7208 §2.6, §8)."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

SpfResult = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]
Identity = Literal["mailfrom", "helo"]

MAX_LOOKUP_TERMS = 10  # RFC 7208 §4.6.4
MAX_VOID_LOOKUPS = 2  # RFC 7208 §4.6.4
MAX_NAMES_PER_TERM = 10  # RFC 7208 §4.6.4: of mx and ptr


@dataclass(frozen=True, slots=True)
class SpfClient:
    """Who speaks. `receiver` and `now_seconds` are only for the macros r and t of explanations (RFC 7208
    §7.3)."""

    address: IPv4Address | IPv6Address
    helo: str
    receiver: str = "unknown"
    now_seconds: int = 0

    def __post_init__(self) -> None:
        mapped = self.address.ipv4_mapped if isinstance(self.address, IPv6Address) else None
        if mapped is not None:  # RFC 7208 §5: an IPv4-mapped address is an IPv4 address
            object.__setattr__(self, "address", mapped)


@dataclass(slots=True)
class LookupBudget:
    """Lookup terms and void lookups used so far. One object may be shared by all checks of a message (THREATS
    47). `is_personal`: a record asked for the local part of the sender, so that another one may fare
    otherwise.
    """

    terms_left: int = MAX_LOOKUP_TERMS
    voids_left: int = MAX_VOID_LOOKUPS
    is_personal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfFinding:
    """One identity's result.

    `term` is the directive that matched ("" for the default and for errors). `explanation` is the domain
    owner's text for a fail, to be marked as theirs (RFC 7208 §6.2); None means that they gave none. `problem`
    is a sentence for errors and none.
    """

    identity: Identity
    domain: str
    result: SpfResult
    term: str = ""
    explanation: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SpfEvidence:
    """Both identities of a message. With a null reverse-path `mailfrom` is about postmaster@HELO (RFC 7208
    §2.4)."""

    mailfrom: SpfFinding
    helo: SpfFinding = field(default_factory=lambda: SpfFinding(identity="helo", domain="", result="none"))
