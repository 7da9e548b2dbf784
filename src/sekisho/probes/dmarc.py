"""DMARC over what SPF and DKIM found (RFC 9989 §5.3)."""

from collections.abc import Iterable

from sekisho.core.mailauth.dmarc.authors import evaluate_authors
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.authorship import MOST_AUTHOR_DOMAINS, Authorship
from sekisho.core.terms.dns import Resolver
from sekisho.probes.kept import KeptFindings


async def probe_dmarc(
    resolver: Resolver,
    authorship: Authorship,
    spf: SpfEvidence | None,
    dkim_domains: Iterable[str],
    kept: KeptFindings | None = None,
) -> DmarcFinding:
    """Of every domain that From names, or that a reader finds in one that cannot be read; `dkim_domains`: d=
    of the signatures that pass, aligned or not; `spf` None: nobody says who hands it in."""
    if authorship.problem and not 0 < len(authorship.domains) <= MOST_AUTHOR_DOMAINS:
        return DmarcFinding("permerror", problem=authorship.problem)
    spf_domain = spf.mailfrom.domain if spf is not None and spf.mailfrom.result == "pass" else None
    if kept is not None:
        return await kept.dmarc(resolver, authorship.domains, spf_domain, dkim_domains)
    return await evaluate_authors(
        resolver, authorship.domains, spf_domain=spf_domain, dkim_domains=dkim_domains
    )


async def policies_at_hand(resolver: Resolver, authorship: Authorship) -> None:
    """Has the records of the authors' domains asked for while other checks wait for theirs: a stranger's slow
    zone must not use up the time that is left for them."""
    if len(authorship.domains) <= MOST_AUTHOR_DOMAINS:
        await evaluate_authors(resolver, authorship.domains)
