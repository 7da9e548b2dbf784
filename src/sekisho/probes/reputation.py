"""Our own experience with the sender of a message: what may be counted for whom, and what is known of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, organizational_domain
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.policy.reputation import (
    NOTHING,
    ReputationFinding,
    ReputationRules,
    Standing,
    client_key,
    domain_key,
    is_awaited,
    is_in_line,
    network_key,
    network_of,
    pair_key,
    standing,
    written_key,
)
from sekisho.core.terms.address import Address, AddressError, ReversePath, parse_domain
from sekisho.core.terms.dns import Resolver
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.reputation import Reputation
from sekisho.ports.stream import IpAddress
from sekisho.probes.arrival import Arrival

REMEMBER_SECONDS = 600.0  # which organization a domain belongs to
MOST_REMEMBERED = 10_000
MOST_CANDIDATES = 10
MOST_PAIRS = 100  # accounts of one message whose pair is looked up; it is unknown for the others


class Organizations:
    """Whose authority a domain is under (RFC 9989 §4.10.2), remembered for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    async def of(self, resolver: Resolver, domain: str) -> str | None:
        """None when DNS could not say."""
        now = self._clock.monotonic()
        known = self._known.get(domain)
        if known is not None and known[0] > now:
            return known[1]
        organization = await organizational_domain(resolver, domain)
        if organization is not None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[domain] = (now + REMEMBER_SECONDS, organization)
        return organization

    async def vouched(self, resolver: Resolver, author_domain: str, passing: Iterable[str]) -> str:
        """The author's organization if one of the domains that `passing` names (SPF, DKIM) may speak for the
        author; else "".

        Stricter than relaxed alignment (RFC 9989 §3.2.10.2): in one organization a domain speaks for itself,
        for those below it and for those above it, never for its neighbours. Where a hoster gives each
        customer a name, one of them is no other's witness.
        """
        candidates = [
            domain for domain in dict.fromkeys(map(_canonical, passing)) if is_in_line(domain, author_domain)
        ]
        organization = await self.of(resolver, author_domain) if candidates else None
        if organization is None:
            return ""
        for domain in candidates[:MOST_CANDIDATES]:
            if domain in (author_domain, organization):
                return organization
            if domain.endswith("." + organization) and await self.of(resolver, domain) == organization:
                return organization
        return ""


def _canonical(domain: str) -> str:
    """In the form of authors' domains, "" for what is no domain."""
    try:
        return parse_domain(domain, literals=False)
    except AddressError:
        return ""


def passing_domains(
    reverse_path: ReversePath, spf: SpfEvidence | None, dkim: Iterable[DkimEvidence]
) -> list[str]:
    """Whose word the message carries: MAIL FROM's domain by SPF (never HELO's, which SPF looks at for the
    null path), d= by DKIM."""
    domains = [one.domain for one in dkim if one.result == "pass"]
    if spf is not None and spf.mailfrom.result == "pass" and not reverse_path.is_null:
        domains.append(spf.mailfrom.domain)
    return domains


@dataclass(frozen=True, slots=True)
class AuthenticationFindings:
    """What else was found out about the message. A domain that DMARC failed for has asked for more than
    in-line names (adkim=s, aspf=s)."""

    spf: SpfEvidence | None = None
    dkim: tuple[DkimEvidence, ...] = ()
    dmarc: DmarcFinding | None = None


@lru_cache(maxsize=4096)
def address_keys(client: IpAddress) -> tuple[str, str, str]:
    """The key of the address, the key of its network, the network."""
    mapped = client.ipv4_mapped if isinstance(client, IPv6Address) else None
    address: IPv4Address | IPv6Address = mapped or client
    network = network_of(address)
    return client_key(address), network_key(network), network


class ReputationProbe:
    """`rules` only for the half-life: the probe judges nothing."""

    def __init__(self, reputation: Reputation, organizations: Organizations, rules: ReputationRules) -> None:
        self._reputation, self._organizations, self._half_life_us = (
            reputation,
            organizations,
            rules.half_life_us,
        )

    async def look(
        self,
        arrival: Arrival,
        resolver: Resolver,
        authors: tuple[Address, ...],
        findings: AuthenticationFindings,
    ) -> ReputationFinding:
        """`authors`: the addresses in From; with more than one, or none, there is no author to know."""
        author = authors[0] if len(authors) == 1 else None
        organization = ""
        has_failed = findings.dmarc is not None and findings.dmarc.result == "fail"
        if author is not None and author.domain and not author.is_literal and not has_failed:
            passing = passing_domains(arrival.envelope.reverse_path, findings.spf, findings.dkim)
            organization = await self._organizations.vouched(resolver, author.domain, passing)
        try:
            return await self._find(arrival, author, organization)
        except StoreUnavailable as error:
            client, network, _ = address_keys(arrival.client.address)
            return ReputationFinding(
                client=self._unknown(client, arrival),
                network=self._unknown(network, arrival),
                problem=str(error),
            )

    def _unknown(self, key: str, arrival: Arrival) -> Standing:
        return standing(key, NOTHING, arrival.at_us, self._half_life_us)

    async def _find(self, arrival: Arrival, author: Address | None, organization: str) -> ReputationFinding:
        client, network, place = address_keys(arrival.client.address)
        name = str(author.canonical) if author is not None else ""
        sender = arrival.envelope.reverse_path.address
        domain = domain_key(organization) if organization else ""
        where = "" if organization else place
        pairs = {
            account_id: pair_key(name, account_id, where) if name else ""
            for account_id in arrival.account_ids
        }
        names = list(
            dict.fromkeys(str(address.canonical) for address in (author, sender) if address is not None)
        )
        written = [written_key(each) for each in names]
        written_domain = written_key(f"@{author.domain}") if author is not None and organization else ""
        wanted = [
            client,
            network,
            *([domain] if domain else []),
            *list(pairs.values())[:MOST_PAIRS],
            *written,
            *([written_domain] if written_domain else []),
        ]
        found = await self._reputation.histories(wanted)
        expected = await self._reputation.expected()

        def as_it_counts(key: str) -> Standing:
            return standing(key, found.get(key, NOTHING), arrival.at_us, self._half_life_us)

        return ReputationFinding(
            client=as_it_counts(client),
            network=as_it_counts(network),
            domain=as_it_counts(domain) if domain else None,
            organization=organization,
            author=name,
            pairs={account_id: as_it_counts(key) for account_id, key in pairs.items()},
            written=next((as_it_counts(key) for key in written if key in found), None),
            written_domain=as_it_counts(written_domain) if written_domain in found else None,
            expecting=frozenset(
                one.account_id
                for one in expected
                if one.account_id in arrival.account_ids and is_awaited(one.sender, names)
            ),
            roles=arrival.role_account_ids,
        )
