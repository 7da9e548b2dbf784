"""What we know of a sender from our own experience: sums that fade, and a score that can be told in numbers.

Three things earn and lose: the client's address and network, which TCP vouches for; the author's
organization, if SPF or DKIM speaks for it; and the pair of author and recipient. A name that nothing vouches
for earns nothing and loses nothing, so nobody can spoil it for its owner. How much a history weighs halves
with each half-life; histories are joined by adding them, in any order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from math import exp2
from typing import Literal

from msgspec import Struct

Kind = Literal["client", "network", "domain", "pair", "written"]
# At the door: accepted, put into Junk ("suspect"), or turned away; by users: moved to Junk, moved out of it,
# written to.
Event = Literal["accepted", "suspect", "refused", "junk", "cleared", "written"]

DAY_US = 86_400_000_000
IPV4_PREFIX, IPV6_PREFIX = 24, 64
# What one event weighs for and against. A message that nobody objected to says less than a person who says
# something.
WEIGHTS: Mapping[Event, tuple[float, float]] = {
    "accepted": (0.5, 0.0),
    "suspect": (0.0, 0.5),
    "refused": (0.0, 1.0),
    "junk": (0.0, 3.0),
    "cleared": (3.0, 0.0),
    "written": (3.0, 0.0),
}
# What weighs less than this is as good as forgotten: one message after three half-lives, a word of a person
# after six.
FORGOTTEN = 0.05
# Whoever is unknown stands in the middle, as if one good and one bad thing had happened.
PRIOR = 1.0


class History(Struct, frozen=True, array_like=True, kw_only=True):
    """`good` and `bad` weigh so much at `at_us`, the last event. `messages` came, `refused` of them (or put
    into Junk) by the door.

    `trusted_at_us`, `junk_at_us`: when a user last moved one out of Junk or wrote to it, and when into Junk.
    """

    good: float = 0.0
    bad: float = 0.0
    at_us: int = 0
    first_at_us: int = 0
    messages: int = 0
    refused: int = 0
    junk: int = 0
    cleared: int = 0
    written: int = 0
    trusted_at_us: int = 0
    junk_at_us: int = 0

    @property
    def is_trusted(self) -> bool:
        """Was the last word of a person a good one?"""
        return self.trusted_at_us > self.junk_at_us


NOTHING = History()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationRules:
    """The operator's choices. `bad_action`: what becomes of mail from where only bad came before."""

    half_life_us: int = 30 * DAY_US
    good_score: float = 0.8
    good_weight: float = 2.0
    bad_score: float = 0.2
    bad_weight: float = 4.0
    bad_action: Literal["quarantine", "defer"] = "quarantine"
    written_us: int = 180 * DAY_US


def of_event(event: Event, at_us: int) -> History:
    """The history that consists of one event."""
    good, bad = WEIGHTS[event]
    is_message = event in ("accepted", "suspect", "refused")
    return History(
        good=good,
        bad=bad,
        at_us=at_us,
        first_at_us=at_us,
        messages=int(is_message),
        refused=int(event in ("suspect", "refused")),
        junk=int(event == "junk"),
        cleared=int(event == "cleared"),
        written=int(event == "written"),
        trusted_at_us=at_us if event in ("cleared", "written") else 0,
        junk_at_us=at_us if event == "junk" else 0,
    )


def pardon(at_us: int) -> History:
    """What takes back a message that the door put into Junk at that time: joined to the rest, it is as if
    nobody had suspected it."""
    _, bad = WEIGHTS["suspect"]
    return History(good=0.0, bad=-bad, at_us=at_us, first_at_us=at_us, refused=-1)


def joined(one: History, other: History, half_life_us: int) -> History:
    """Both together, as of the later one."""
    if not one.at_us or not other.at_us:
        return one if one.at_us else other
    if one.at_us < other.at_us:
        one, other = other, one
    faded = fading(one.at_us - other.at_us, half_life_us)
    return History(
        good=one.good + other.good * faded,
        bad=one.bad + other.bad * faded,
        at_us=one.at_us,
        first_at_us=min(one.first_at_us, other.first_at_us),
        messages=one.messages + other.messages,
        refused=one.refused + other.refused,
        junk=one.junk + other.junk,
        cleared=one.cleared + other.cleared,
        written=one.written + other.written,
        trusted_at_us=max(one.trusted_at_us, other.trusted_at_us),
        junk_at_us=max(one.junk_at_us, other.junk_at_us),
    )


def fading(passed_us: int, half_life_us: int) -> float:
    """What is left of 1 after so long."""
    return exp2(-max(0, passed_us) / half_life_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A history as it counts now: `score` between 0 (bad) and 1 (good), 0.5 for the unknown; `weight` is what
    it rests on."""

    key: str
    history: History
    score: float
    weight: float
    now_us: int
    parts: tuple[float, float] = (0.0, 0.0)  # what is left of good and of bad

    def __str__(self) -> str:
        """In numbers: "network 192.0.2.0/24: 12 messages in 40 days, 1 judged junk: score 0.93"."""
        history = self.history
        days = -(-(self.now_us - history.first_at_us) // DAY_US) if history.first_at_us else 0
        told = [
            (history.messages, f"{_plural('message', history.messages)} in {days} {_plural('day', days)}"),
            (history.refused, "refused or put into Junk"),
            (history.junk, "judged junk"),
            (history.cleared, "taken out of Junk"),
            (history.written, f"{_plural('letter', history.written)} to it"),
        ]
        parts = [f"{count} {what}" for count, what in told if count > 0] or ["unknown"]
        return f"{_told(self.key)}: {', '.join(parts)}: score {self.score:.2f}"


def _told(key: str) -> str:
    """`pair:a@b.example 7` -> "pair a@b.example": an account's number tells nobody anything."""
    kind, _, name = key.partition(":")
    if kind != "pair":
        return f"{kind} {name}".rstrip()
    author, _, rest = name.partition(" ")
    network = rest.partition(" ")[2]
    return f"pair {author} {network}".rstrip()


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def standing(key: str, history: History, now_us: int, half_life_us: int) -> Standing:
    faded = fading(now_us - history.at_us, half_life_us)
    good, bad = max(0.0, history.good) * faded, max(0.0, history.bad) * faded
    return Standing(
        key=key,
        history=history,
        score=(good + PRIOR) / (good + bad + 2 * PRIOR),
        weight=good + bad,
        now_us=now_us,
        parts=(good, bad),
    )


def is_good(standing: Standing, rules: ReputationRules) -> bool:
    return standing.score >= rules.good_score and standing.weight >= rules.good_weight


def is_bad(standing: Standing, rules: ReputationRules) -> bool:
    return standing.score <= rules.bad_score and standing.weight >= rules.bad_weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationFinding:
    """What is known of the sender of one message; `problem` is set, and nothing else, when it could not be
    known.

    `organization`: the author's, if SPF or DKIM speaks for it, else ""; `domain` is its standing. `author`:
    the canonical address in From. `pairs`: author and recipient, for each account that gets a copy; without
    an author they have no key. `written`: the address was written to from here, whoever uses it now;
    `written_domain`: somebody of the authenticated domain was. `expecting`: accounts that wait for mail;
    `roles`: accounts that get it as postmaster or abuse.
    """

    client: Standing
    network: Standing
    domain: Standing | None = None
    organization: str = ""
    author: str = ""
    pairs: Mapping[int, Standing] = field(default_factory=dict)
    written: Standing | None = None
    written_domain: Standing | None = None
    expecting: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    problem: str = ""

    @property
    def summary(self) -> str:
        """For the journal: the scores of all that is known."""
        told = (
            self.domain,
            self.client,
            self.network,
            *list(self.pairs.values())[:1],
            self.written,
            self.written_domain,
        )
        known = [
            f"{one.key.partition(' ')[0]}={one.score:.2f}"
            for one in told
            if one is not None and one.history.at_us
        ]
        return self.problem or " ".join(known)

    @property
    def keys(self) -> tuple[str, ...]:
        """What earns or loses by this message, whoever gets it."""
        keys = (self.client.key, self.network.key)
        return (*keys, self.domain.key) if self.domain is not None else keys


def is_in_line(domain: str, author_domain: str) -> bool:
    """Is one of them the other, or above it? Single labels are above too many."""
    return "." in domain and (
        domain == author_domain
        or author_domain.endswith("." + domain)
        or domain.endswith("." + author_domain)
    )


def is_awaited(sender: str, addresses: Iterable[str]) -> bool:
    """`sender`: whom somebody expects mail from: "" anybody, an address, or "@domain", which names the hosts
    below it too. `addresses`: canonical, whom the message says that it is from. Nothing proves that; it is
    enough for not having to wait."""
    if not sender.startswith("@"):
        return not sender or sender in addresses
    return any(f".{address.rpartition('@')[2]}".endswith(f".{sender[1:]}") for address in addresses)


# --- keys: what a history is kept under


def client_key(address: IPv4Address | IPv6Address) -> str:
    return f"client:{address}"


def network_of(address: IPv4Address | IPv6Address) -> str:
    return str(ip_network((address, IPV4_PREFIX if address.version == 4 else IPV6_PREFIX), strict=False))


def network_key(network: str) -> str:
    return f"network:{network}"


def domain_key(organization: str) -> str:
    """Of an authenticated organization."""
    return f"domain:{organization}"


def pair_key(author: str, account_id: int, network: str = "") -> str:
    """`author` is canonical. `network` where nothing else vouches for the author: then the pair is known from
    there only."""
    return f"pair:{author} {account_id} {network}" if network else f"pair:{author} {account_id}"


def written_key(address: str) -> str:
    """An address that somebody here wrote to; or "@domain"."""
    return f"written:{address}"
