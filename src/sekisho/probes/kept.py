"""What was found out about a client and its senders a moment ago, and stands as long as the DNS answers that
it follows from.

iprev is asked before the greeting and again for each message, whether the domain in MAIL FROM exists before
the first recipient and again with all else; and most senders send more than one.
"""

from collections.abc import Callable, Iterable, Sequence

from sekisho.core.mailauth.dmarc.authors import evaluate_authors
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding, check_iprev
from sekisho.core.mailauth.spf.check import check_message
from sekisho.core.mailauth.spf.terms import LookupBudget, SpfClient, SpfEvidence
from sekisho.core.policy.sender import SenderFinding
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.dns import Resolver
from sekisho.ports.stream import IpAddress
from sekisho.probes.lifetime import MOST_FINDINGS, Findings, WatchedResolver
from sekisho.probes.sender import probe_sender


class KeptFindings:
    """One per worker and configuration: another configuration may mean another resolver, and another name of
    ours."""

    def __init__(self, monotonic: Callable[[], float], most: int = MOST_FINDINGS) -> None:
        """`monotonic`: the clock that the DNS cache goes by too."""
        self._iprev: Findings[IpAddress, IprevFinding] = Findings(monotonic, most)
        # Client, name in EHLO, domain of the reverse path (None: the null path).
        self._spf: Findings[tuple[IpAddress, str, str | None], SpfEvidence] = Findings(monotonic, most)

        self._existence: Findings[str, SenderFinding] = Findings(monotonic, most)
        # Authors' domains, that of SPF, those of DKIM.
        self._dmarc: Findings[tuple[tuple[str, ...], str | None, tuple[str, ...]], DmarcFinding]
        self._dmarc = Findings(monotonic, most)

    async def iprev(self, resolver: Resolver, client: IpAddress) -> IprevFinding:
        found = self._iprev.get(client)
        if found is None:
            watched = WatchedResolver(resolver)
            found = await check_iprev(watched, client)
            if found.result != "temperror":
                self._iprev.keep(client, found, watched.seconds)
        return found

    async def spf(self, resolver: Resolver, client: SpfClient, reverse_path: ReversePath) -> SpfEvidence:
        """Both identities. A record that asks for the local part speaks about one sender only, and one that
        explains itself may name the time: neither is kept."""
        address = reverse_path.address
        key = (client.address, client.helo, address.domain if address is not None else None)
        found = self._spf.get(key)
        if found is None:
            watched, budget = WatchedResolver(resolver), LookupBudget()
            found = await check_message(watched, client, str(reverse_path), budget)
            if not budget.is_personal and _may_stay(found):
                self._spf.keep(key, found, watched.seconds)
        return found

    async def existence(self, resolver: Resolver, reverse_path: ReversePath) -> SenderFinding | None:
        """As `probe_sender`."""
        domain = reverse_path.address.domain if reverse_path.address is not None else ""
        found = self._existence.get(domain)
        if found is None:
            watched = WatchedResolver(resolver)
            asked = await probe_sender(watched, reverse_path)
            if asked is None or asked.state == "unknown":
                return asked
            self._existence.keep(domain, asked, watched.seconds)
            return asked
        return found

    async def dmarc(
        self, resolver: Resolver, authors: Sequence[str], spf_domain: str | None, dkim_domains: Iterable[str]
    ) -> DmarcFinding:
        """As `evaluate_authors`."""
        key = (tuple(authors), spf_domain, tuple(dkim_domains))
        found = self._dmarc.get(key)
        if found is None:
            watched = WatchedResolver(resolver)
            found = await evaluate_authors(watched, authors, spf_domain=spf_domain, dkim_domains=key[2])
            if found.result != "temperror":
                self._dmarc.keep(key, found, watched.seconds)
        return found


def _may_stay(found: SpfEvidence) -> bool:
    return all(one.result != "temperror" and one.explanation is None for one in (found.mailfrom, found.helo))
