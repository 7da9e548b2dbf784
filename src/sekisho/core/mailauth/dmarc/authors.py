"""DMARC of a From with several domains: of each, and the strictest counts (RFC 9989 §11.5)."""

from collections.abc import Iterable, Sequence

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, DmarcResult, evaluate_dmarc
from sekisho.core.mailauth.dmarc.record import Policy
from sekisho.core.terms.dns import Resolver

_SEVERITY: dict[DmarcResult, int] = {"pass": 0, "none": 1, "temperror": 3, "permerror": 4, "fail": 2}
_OF_FAILURE: dict[Policy, int] = {"none": 2, "quarantine": 5, "reject": 6}


async def evaluate_authors(
    resolver: Resolver,
    author_domains: Sequence[str],
    *,
    spf_domain: str | None = None,
    dkim_domains: Iterable[str] = (),
) -> DmarcFinding:
    """`evaluate_dmarc` for a From with any number of domains; the caller bounds it. It passes only if it does
    for all of them."""
    domains, passing = list(dict.fromkeys(author_domains)), list(dkim_domains)
    if len(domains) < 2:
        return await evaluate_dmarc(resolver, domains, spf_domain=spf_domain, dkim_domains=passing)
    return max(
        [
            await evaluate_dmarc(resolver, [each], spf_domain=spf_domain, dkim_domains=passing)
            for each in domains
        ],
        key=severity,
    )


def severity(finding: DmarcFinding) -> int:
    """How much a finding asks for; what passes least."""
    return _OF_FAILURE[finding.policy] if finding.result == "fail" else _SEVERITY[finding.result]
