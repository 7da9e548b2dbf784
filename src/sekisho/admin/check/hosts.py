"""The host that sends: its addresses, their reverse names, and SPF for its own name."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from sekisho.admin.check.finding import Finding, sentence
from sekisho.admin.check.sender import judge_identity, judge_iprev, mechanism
from sekisho.core.mailauth.iprev.check import check_iprev
from sekisho.core.mailauth.spf.check import check_host
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.policy.s25r import matching_rules
from sekisho.core.terms.dns import Resolver

IpAddress = IPv4Address | IPv6Address
# Private, shared, loopback and link-local: nobody outside can reach or see them.
_INSIDE = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)


def seen_from_outside(addresses: Sequence[IpAddress]) -> tuple[IpAddress, ...]:
    """Those that are not of a network behind some translation, which tells others another one."""
    return tuple(address for address in addresses if not any(address in network for network in _INSIDE))


async def _sending_addresses(
    resolver: Resolver, hostname: str, sources: Sequence[IpAddress]
) -> tuple[list[IpAddress], Finding | None]:
    bound = {source.version for source in sources}
    answers = [await resolver.resolve(hostname, "A"), await resolver.resolve(hostname, "AAAA")]
    addresses = [*sources] + [
        record
        for answer in answers
        for record in answer.records
        if isinstance(record, IPv4Address | IPv6Address) and record.version not in bound
    ]
    if not addresses and any(answer.is_unknown for answer in answers):
        text = sentence("The DNS did not say the address of {hostname}, this server.")
        return [], Finding.unknown("HOST", text, hostname=hostname)
    if not addresses:
        text = sentence("This server's name {hostname} has no address in the DNS.")
        return [], Finding.bad("HOST", text, "Publish A and AAAA records for it.", hostname=hostname)
    return addresses, None


async def check_host_names(
    resolver: Resolver,
    hostname: str,
    addresses: Sequence[IpAddress],
    domain: str,
    *,
    sources: Sequence[IpAddress] = (),
) -> tuple[tuple[IpAddress, ...], list[Finding]]:
    """The addresses looked at (those given, else those of the host's name) and what was found of each.

    `sources`: which the server binds what it sends to; of their IP version the name's do not count.

    Where `domain` is the host's own name its SPF record is that of its mail, and is judged there: a second
    one would undo both.
    """
    found: list[Finding] = []
    record = " ".join(("v=spf1 a", *map(mechanism, addresses or sources), "-all"))
    if not addresses:
        addresses, missing = await _sending_addresses(resolver, hostname, sources)
        if missing is not None:
            return (), [missing]
    for address in addresses:
        if any(address in network for network in _INSIDE):
            found.append(
                Finding.bad(
                    "HOST",
                    "{address} is no address of the public Internet.",
                    "Publish the address from which this server sends, or name it with --ip.",
                    address=str(address),
                )
            )
            continue
        iprev = await check_iprev(resolver, address)
        found += judge_iprev(iprev, hostname)
        if iprev.result == "pass" and (rules := matching_rules(iprev.name)):
            found.append(
                Finding.hint(
                    "PTR",
                    "The reverse name {name} looks like that of a home line (S25R rule {rules}); some "
                    "receivers make such a host wait.",
                    "Have it set to a name of words, without digits of the address in it, such as "
                    "mx.example.org.",
                    name=iprev.name,
                    rules=", ".join(map(str, rules)),
                )
            )
        if hostname and hostname != domain:
            # RFC 7208 §2.4: what is looked at for mail with an empty sender, such as notices.
            spf = await check_host(
                resolver, SpfClient(address, hostname), f"postmaster@{hostname}", identity="helo"
            )
            found.append(judge_identity(spf, "EHLO", str(address), record))
    return tuple(addresses), found
