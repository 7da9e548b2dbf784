"""Learning from what happens: verdicts at the door, letters of our users, and moves to and from Junk.

Everything is noted in memory and written later, so no reply waits for it.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from sekisho.core.message.authentication_results import AuthenticationResults, parse_authentication_results
from sekisho.core.message.authorship import read_authorship
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.junk_reason import JUNK_REASON, junk_rule
from sekisho.core.message.trace import received_at_us, received_client
from sekisho.core.policy.door.judge import TRUSTED
from sekisho.core.policy.door.stranger import REPUTATION
from sekisho.core.policy.reputation import (
    Event,
    ReputationFinding,
    ReputationRules,
    domain_key,
    of_event,
    pair_key,
    pardon,
    written_key,
)
from sekisho.core.terms.address import Address
from sekisho.core.terms.dns import Resolver
from sekisho.ports.clock import Clock
from sekisho.ports.learning import JudgedMessage, Judgements
from sekisho.ports.reputation import Known, Reputation
from sekisho.ports.stream import IpAddress
from sekisho.probes.reputation import Organizations, address_keys

HEAD_OCTETS = 262_144
NOBODY = 0  # no account has this id
MOST_RECIPIENTS = 100  # of one letter: more are no correspondents


class Correspondence(Protocol):
    """What submission tells. Synchronous, never raises."""

    def wrote(self, account_id: int, recipients: Iterable[Address]) -> None:
        """An account sent these, who are elsewhere, a letter that was accepted."""
        ...


class NoCorrespondence:
    def wrote(self, account_id: int, recipients: Iterable[Address]) -> None:
        pass


class Experience:
    """Implements `Correspondence` and `ports.learning.Learner`. `hostname` is our authserv-id: what others
    wrote on a message counts for nothing."""

    def __init__(
        self,
        reputation: Reputation,
        judgements: Judgements,
        organizations: Organizations,
        budgeted: Callable[[], Resolver],
        clock: Clock,
    ) -> None:
        self._reputation, self._judgements = reputation, judgements
        self._organizations, self._budgeted, self._clock = organizations, budgeted, clock
        self.rules, self.hostname = ReputationRules(), ""

    def met(self, finding: ReputationFinding, event: Event) -> None:
        """A verdict at the door. What our own experience decided teaches nothing new: the caller leaves that
        out."""
        history = of_event(event, self._clock.now_us())
        keys = [*finding.keys, *(pair.key for pair in finding.pairs.values() if event == "accepted")]
        self._reputation.learn(Known(key, history) for key in keys)

    def wrote(self, account_id: int, recipients: Iterable[Address]) -> None:
        addresses = list(recipients)
        if len(addresses) > MOST_RECIPIENTS:
            return
        history = of_event("written", self._clock.now_us())
        keys: dict[str, None] = {}
        for address in addresses:
            name = str(address.canonical)
            keys |= dict.fromkeys(
                (pair_key(name, account_id), written_key(name), written_key(f"@{address.domain}"))
            )
        self._reputation.learn(Known(key, history) for key in keys)

    async def judged(self, message: JudgedMessage) -> None:
        """The pair of author and recipient hears each judgement; hosts and organizations one of each account
        in a half-life, so that nobody speaks for all."""
        prefix = HeaderSection(await message.octets.read(0, message.prefix_octets))
        results, client = self._results_of(prefix)
        if results is None or client is None:
            return
        client_name, network_name, network = address_keys(client)
        authors = read_authorship(
            HeaderSection(await message.octets.read(message.prefix_octets, HEAD_OCTETS))
        ).addresses
        author = authors[0] if len(authors) == 1 else None
        organization = ""
        if author is not None and author.domain:
            organization = await self._organizations.vouched(
                self._budgeted(), author.domain, _passing(results)
            )
        keys = (client_name, network_name, *([domain_key(organization)] if organization else []))
        if not message.is_junk:
            await self._pardon(prefix, message.content_id, keys)
        history = of_event("junk" if message.is_junk else "cleared", self._clock.now_us())
        period = self._clock.now_us() // self.rules.half_life_us
        for key in keys:
            if (
                await self._judgements.note(message.account_id, f"{key}/{period}", is_junk=message.is_junk)
                != "again"
            ):
                self._reputation.learn([Known(key, history)])
        if author is not None:
            key = pair_key(str(author.canonical), message.account_id, "" if organization else network)
            self._reputation.learn([Known(key, history)])

    async def _pardon(self, prefix: HeaderSection, content_id: str, keys: Iterable[str]) -> None:
        """The door was wrong about this message: what it learned against the sender by it goes, once, whoever
        says so."""
        rule = junk_rule(prefix.first(JUNK_REASON) or b"")
        at_us = received_at_us(prefix.first(b"received") or b"")
        if not rule or rule in (REPUTATION, TRUSTED) or not at_us:
            return
        if await self._judgements.note(NOBODY, f"pardon/{content_id}", is_junk=False) != "again":
            self._reputation.learn([Known(key, pardon(at_us)) for key in keys])

    def trust(self, author: str, client: IpAddress, account_ids: Iterable[int], *, is_vouched: bool) -> str:
        """As if these accounts had taken a message of the author (canonical) out of Junk. Returns the network
        that this is bound to, "" if SPF or DKIM vouched for the author."""
        network = "" if is_vouched else address_keys(client)[2]
        history = of_event("cleared", self._clock.now_us())
        self._reputation.learn(
            [Known(pair_key(author, account_id, network), history) for account_id in account_ids]
        )
        return network

    def _results_of(self, prefix: HeaderSection) -> tuple[AuthenticationResults | None, IpAddress | None]:
        """What this server found out about the message when it came, from the fields that it put on top."""
        results = parse_authentication_results(prefix.first(b"authentication-results") or b"")
        if results is None or results.authserv_id != self.hostname or not results.results:
            return None, None
        return results, received_client(prefix.first(b"received") or b"")


def _passing(results: AuthenticationResults) -> list[str]:
    """As `probes.reputation.passing_domains`, and nobody where DMARC failed."""
    domains: list[str] = []
    if any(one.method == "dmarc" and one.result == "fail" for one in results.results):
        return domains
    for one in results.results:
        if one.result == "pass" and one.method == "dkim":
            domains.append(one.value("header", "d") or "")
        elif one.result == "pass" and one.method == "spf":
            domains.append((one.value("smtp", "mailfrom") or "").rpartition("@")[2])
    return domains
