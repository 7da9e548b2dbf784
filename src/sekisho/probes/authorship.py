"""Whose names a message shows: those of its authors, and those beside them."""

from collections.abc import Iterable

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, evaluate_dmarc
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.authorship import MOST_NAMED, Authorship
from sekisho.core.policy.authorship import AuthorshipFinding
from sekisho.core.terms.dns import Resolver
from sekisho.ports.names import Names
from sekisho.probes.arrival import Arrival

_MOST_LABELS = 10  # of a domain that is served
MOST_SHOWN = 5  # whose policies are asked for


async def probe_authorship(
    arrival: Arrival,
    resolver: Resolver,
    authorship: Authorship,
    directory: Names | None,
    *,
    spf: SpfEvidence,
    dkim_domains: Iterable[str],
) -> AuthorshipFinding:
    """What From shows beside the authors. `directory` None: nobody asks which of it is ours."""
    author = str(authorship.addresses[0]) if authorship.addresses else ""
    own: dict[str, None] = {}
    foreign: list[str] = []
    for domain in authorship.shown:
        served = await own_domain(directory, arrival.hostname, domain) if directory is not None else ""
        if served:
            own[served] = None
        elif "." in domain:
            foreign.append(domain)
    senders = (
        [await own_domain(directory, arrival.hostname, domain) for domain in authorship.senders]
        if directory is not None
        else []
    )
    return AuthorshipFinding(
        problem=authorship.problem,
        author=author,
        own_shown=tuple(own),
        own_senders=tuple(dict.fromkeys(filter(None, senders))),
        shown=await _dmarc_of_each(resolver, foreign[:MOST_SHOWN], spf, list(dkim_domains)),
        too_many_shown=len(foreign) > MOST_SHOWN or len(authorship.shown) >= MOST_NAMED,
        is_notice=arrival.envelope.reverse_path.is_null,
    )


async def _dmarc_of_each(
    resolver: Resolver, domains: list[str], spf: SpfEvidence, dkim_domains: list[str]
) -> tuple[DmarcFinding, ...]:
    spf_domain = spf.mailfrom.domain if spf.mailfrom.result == "pass" else None
    return tuple(
        [
            await evaluate_dmarc(resolver, [each], spf_domain=spf_domain, dkim_domains=dkim_domains)
            for each in domains
        ]
    )


async def own_authors(arrival: Arrival, authorship: Authorship, directory: Names) -> tuple[str, ...]:
    """The domains of ours that stand for the authors' (THREATS 40)."""
    found = [await own_domain(directory, arrival.hostname, domain) for domain in authorship.domains]
    return tuple(dict.fromkeys(filter(None, found)))


async def own_domain(directory: Names, hostname: str, domain: str) -> str:
    """The domain served here that `domain` is, or is below; or our own host; "" for a foreign one."""
    labels = domain.split(".")[-_MOST_LABELS:]
    for at in range(
        max(0, len(labels) - 2), -1, -1
    ):  # the shortest first: whoever speaks for it speaks for those below
        name = ".".join(labels[at:])
        if await directory.domain(name) is not None:
            return name
    return hostname if domain == hostname or domain.endswith("." + hostname) else ""
