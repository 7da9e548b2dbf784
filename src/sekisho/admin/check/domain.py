"""What a receiver, or a sender, finds out about a domain in the DNS: MX, SPF, DKIM, DMARC, MTA-STS, TLSRPT,
and the host that serves it."""

from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

from sekisho.admin.check.finding import Finding
from sekisho.admin.check.hosts import check_host_names, seen_from_outside
from sekisho.admin.check.mx import check_mx
from sekisho.admin.check.published import (
    check_dkim,
    check_dmarc,
    check_mta_sts,
    check_selectors,
    check_tls_reports,
)
from sekisho.admin.check.sending import check_spf_record, fitting_record
from sekisho.admin.context import parse_domain_name
from sekisho.admin.dkim import KeyView
from sekisho.core.terms.dns import DnsStatus, Resolver


class CheckDomain(Struct, frozen=True, kw_only=True):
    """`hostname`: of this server, "" if none is known. `is_ours`: does it serve the domain. `keys` None: they
    could not be read. `addresses`: that its mail comes from, if the operator says so; `sources`: to which the
    server binds what it sends."""

    name: str
    hostname: str = ""
    is_ours: bool = False
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    sources: tuple[IPv4Address | IPv6Address, ...] = ()
    keys: list[KeyView] | None = []
    selectors: tuple[str, ...] = ()


class DomainReport(Struct, frozen=True):
    """`domain` in A-labels."""

    domain: str
    findings: list[Finding]


async def check_domain(resolver: Resolver, request: CheckDomain) -> DomainReport:
    """Raises Refused for what is no domain name."""
    domain = parse_domain_name(request.name)
    hostname = request.hostname if request.is_ours else ""
    answer = await resolver.resolve(domain, "SOA")
    if answer.status is DnsStatus.NXDOMAIN:
        finding = Finding.bad(
            "DNS",
            "The domain {domain} does not exist in the DNS.",
            "Register it, or have its zone served.",
            domain=domain,
        )
        return DomainReport(domain, [finding])
    if answer.is_unknown:
        return DomainReport(
            domain,
            [
                Finding.unknown(
                    "DNS",
                    "The DNS has no answer about {domain}: {detail}",
                    domain=domain,
                    detail=answer.status.value,
                )
            ],
        )
    takes_mail, found = await check_mx(resolver, domain, hostname)
    # What this server serves sends and takes mail, whatever the DNS says yet; so may a domain whose server
    # did not answer.
    is_silent = not (takes_mail or request.is_ours or request.addresses or request.keys is None)
    addresses = request.addresses
    sources = seen_from_outside(request.sources) if request.is_ours and not addresses else ()
    record = fitting_record(hostname, addresses or sources)
    if hostname or addresses:
        addresses, of_hosts = await check_host_names(resolver, hostname, addresses, domain, sources=sources)
        found += of_hosts
    found += await check_spf_record(resolver, domain, addresses, record, is_silent=is_silent)
    if request.is_ours or request.keys is None:
        found += await check_dkim(resolver, domain, request.keys)
    found += await check_selectors(resolver, domain, request.selectors)
    found += await check_dmarc(resolver, domain, is_silent=is_silent)
    if takes_mail or request.is_ours:
        found += [await check_mta_sts(resolver, domain), await check_tls_reports(resolver, domain)]
    return DomainReport(domain, found)
