"""The SPF record of a domain: can it be read, what does it cost, who may send by it (RFC 7208)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from sekisho.admin.check.finding import Finding, sentence
from sekisho.admin.check.sender import judge_identity, mechanism
from sekisho.core.mailauth.spf.check import check_host
from sekisho.core.mailauth.spf.terms import (
    MAX_LOOKUP_TERMS,
    MAX_VOID_LOOKUPS,
    LookupBudget,
    SpfClient,
    SpfFinding,
)
from sekisho.core.terms.dns import Resolver

# Nobody sends from there (class E): nothing should match it, so that all of the record is evaluated.
STRANGER = IPv4Address("240.0.0.1")
FEW_LEFT = 2  # lookup terms; who adds one more provider is over the limit
_LARGE = 100


def fitting_record(hostname: str, addresses: Sequence[IPv4Address | IPv6Address]) -> str:
    """An SPF record that lets these send: the MX hosts, this server, and these addresses. Nobody else is shut
    out where none is known."""
    terms = [f"a:{hostname}"] if hostname else []
    terms += map(mechanism, addresses)
    return " ".join(("v=spf1 mx", *terms, "-all" if terms else "~all"))


async def check_spf_record(
    resolver: Resolver,
    domain: str,
    addresses: Sequence[IPv4Address | IPv6Address],
    record: str,
    *,
    is_silent: bool,
) -> list[Finding]:
    """`addresses`: from which the domain's mail is sent; `record`: one that would fit. `is_silent`: it takes
    no mail, and nothing says that any is sent in its name.
    """
    budget = LookupBudget(terms_left=_LARGE, voids_left=_LARGE)
    stranger = await check_host(
        resolver, SpfClient(STRANGER, "unknown"), f"postmaster@{domain}", budget=budget
    )
    if stranger.result == "none" and is_silent:
        return [
            Finding.hint(
                "SPF",
                "{domain} takes no mail, but does not say that it sends none.",
                'If nobody sends mail in its name, publish: {domain} TXT "v=spf1 -all"',
                domain=domain,
            )
        ]
    if stranger.result == "none":
        return [_no_record(domain, record)]
    if stranger.result in ("permerror", "temperror"):
        return [judge_identity(stranger, "MAIL FROM", "")]
    found = [
        _judge_end(stranger, record),
        *_judge_cost(domain, _LARGE - budget.terms_left, _LARGE - budget.voids_left),
    ]
    for address in addresses:
        finding = await check_host(resolver, SpfClient(address, "unknown"), f"postmaster@{domain}")
        found.append(judge_identity(finding, "MAIL FROM", str(address)))
    return found


def _no_record(domain: str, record: str) -> Finding:
    return Finding.bad(
        "SPF",
        "{domain} publishes no SPF record, so nothing says who may send for it.",
        'Publish: {domain} TXT "{record}", with whatever else sends for it: ip4:, ip6:, or the include: '
        "that a provider tells you.",
        domain=domain,
        record=record,
    )


def _judge_end(stranger: SpfFinding, record: str) -> Finding:
    """What the record says of everybody else. Whoever ends it in -all must have named all servers before."""
    values: dict[str, str | int] = {"domain": stranger.domain, "term": stranger.term or "-", "record": record}
    remedy = sentence(
        'Name every server that sends for it, then end the record in -all: {domain} TXT "{record}"'
    )
    if stranger.result == "pass":
        return Finding.bad(
            "SPF", "The SPF record of {domain} lets everybody send for it ({term}).", remedy, **values
        )
    if stranger.result == "neutral":
        return Finding.hint(
            "SPF",
            "The SPF record of {domain} does not say what to do with other senders ({term}).",
            remedy,
            **values,
        )
    return Finding.good("SPF", "{domain} publishes an SPF record that keeps others out ({term}).", **values)


def _judge_cost(domain: str, terms: int, voids: int) -> list[Finding]:
    """RFC 7208 §4.6.4."""
    values: dict[str, str | int] = {"domain": domain, "count": terms, "limit": MAX_LOOKUP_TERMS}
    found: list[Finding] = []
    if terms > MAX_LOOKUP_TERMS:
        found.append(
            Finding.bad(
                "SPF",
                "The SPF record of {domain} needs {count} lookups; more than {limit} are an error for "
                "every receiver.",
                "Replace a, mx and include by ip4: and ip6:, or drop what is no longer used.",
                **values,
            )
        )
    elif terms > MAX_LOOKUP_TERMS - FEW_LEFT:
        found.append(
            Finding.hint(
                "SPF",
                "The SPF record of {domain} needs {count} of the {limit} lookups that are allowed.",
                "Replace a, mx and include by ip4: and ip6: before you add more.",
                **values,
            )
        )
    else:
        found.append(
            Finding.good(
                "SPF",
                "The SPF record of {domain} needs {count} of the {limit} lookups that are allowed.",
                **values,
            )
        )
    if voids > MAX_VOID_LOOKUPS:
        found.append(
            Finding.bad(
                "SPF",
                "{count} lookups of the SPF record of {domain} find nothing; more than {limit} are an "
                "error for many receivers.",
                "Remove the terms whose names no longer exist.",
                domain=domain,
                count=voids,
                limit=MAX_VOID_LOOKUPS,
            )
        )
    return found
