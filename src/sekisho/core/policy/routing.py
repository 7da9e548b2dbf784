"""Where a message goes next: pure choices over DNS answers (RFC 5321 §5.1)."""

import re
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, groupby, zip_longest
from typing import Any, NamedTuple

from sekisho.core.terms.dns import Answer, DnsStatus, Mx
from sekisho.core.terms.reply import Reply

# DNS answers are hostile (THREATS 23): more than these are never looked at.
MAX_MX_HOSTS = 16
MAX_ADDRESSES_PER_HOST = 8

_ROUTE = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):([0-9]{1,5})\Z")
# A name that can be looked up and put into a TLS handshake; "" (the root) is none. Real host names hold
# underscores.
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")
Shuffle = Callable[[MutableSequence[Any]], None]


class Route(NamedTuple):
    """A next hop that the operator named: no MX lookup. `host` is a name or an IP address."""

    host: str
    port: int


def next_hop_for(domain: str, routes: Mapping[str, str]) -> str:
    """The next hop of a recipient domain (A-labels): its configured route, that of "*", or the domain itself.

    An address literal has no route: mail to it is not sent.
    """
    if is_address_literal(domain):
        return domain
    return routes.get(domain) or routes.get("*") or domain


def parse_route(next_hop: str) -> Route | None:
    """`host:port` or `[host]:port`; None if it is a domain or an address literal."""
    match = _ROUTE.match(next_hop)
    return Route(match[1] or match[2], int(match[3])) if match else None


def is_address_literal(next_hop: str) -> bool:
    return next_hop.startswith("[") and next_hop.endswith("]")


def choose_mx(answer: Answer, own_name: str, shuffle: Shuffle) -> tuple[Mx, ...] | Reply:
    """The hosts to try, best first, or why there are none. `answer`: the MX answer of the recipient's
    domain."""
    domain = answer.name
    if answer.is_unknown:
        return Reply.of(
            451, "4.4.3", f"The DNS does not answer for {domain} now ({answer.status.value})", cause="dns"
        )
    if answer.status is DnsStatus.NXDOMAIN:
        return Reply.of(550, "5.1.2", f"The domain {domain} does not exist", cause="nowhere")
    if answer.status is DnsStatus.NODATA:
        return (Mx(0, domain),)  # RFC 5321 §5.1: the implicit MX
    records = [record for record in answer.records if isinstance(record, Mx)]
    if records and not any(record.host for record in records):
        return Reply.of(
            556, "5.1.10", f"The domain {domain} takes no mail (null MX)", cause="nowhere"
        )  # RFC 7505 §3
    records = [Mx(preference, host.rstrip(".").lower()) for preference, host in records]
    records = [record for record in records if _HOST.match(record.host)]
    if not records:
        return Reply.of(550, "5.4.4", f"The domain {domain} names no usable mail exchanger", cause="nowhere")
    usable = without_us(records, [record.preference for record in records if record.host == own_name.lower()])
    if not usable:
        return routing_loop(domain)
    ordered: list[Mx] = []
    for _, equals in groupby(sorted(usable), key=lambda record: record.preference):
        group = list(equals)
        shuffle(group)  # RFC 5321 §5.1: equals must be tried in random order
        ordered += group
    return tuple(ordered[:MAX_MX_HOSTS])


def without_us(hosts: Sequence[Mx], own_preferences: Sequence[int]) -> list[Mx]:
    """RFC 5321 §5.1: where we stand in the list ourselves, that preference and all worse ones are
    discarded."""
    if not own_preferences:
        return list(hosts)
    limit = min(own_preferences)
    return [record for record in hosts if record.preference < limit]


def routing_loop(domain: str) -> Reply:
    return Reply.of(
        554,
        "5.4.6",
        f"The mail exchanger of {domain} is this server, which does not take mail for it",
        cause="nowhere",
    )


def choose_addresses(v6: Answer | None, v4: Answer) -> tuple[IPv4Address | IPv6Address, ...]:
    """Both families in turn, IPv6 first, each in the order of the resolver (RFC 5321 §5.1, §5.2)."""
    sixes = [record for record in (v6.records if v6 else ()) if isinstance(record, IPv6Address)]
    fours = [record for record in v4.records if isinstance(record, IPv4Address)]
    mixed = chain.from_iterable(zip_longest(sixes, fours))
    return tuple(address for address in mixed if address is not None)[:MAX_ADDRESSES_PER_HOST]


def explain_no_address(host: str, v6: Answer | None, v4: Answer) -> Reply:
    """Why a host without an address cannot be used."""
    for answer in (v4, v6):
        if answer is not None and answer.is_unknown:
            return Reply.of(
                451, "4.4.3", f"The DNS does not answer for {host} now ({answer.status.value})", cause="dns"
            )
    return Reply.of(550, "5.4.4", f"The mail exchanger {host} has no address", cause="nowhere")


def worst_hope(replies: Sequence[Reply]) -> int:
    """Which of the hosts' failures speaks for all: the last temporary one, else the last (its index; -1
    without any).

    One host that may work later is a reason to try later (RFC 5321 §4.5.4.1).
    """
    transient = [number for number, reply in enumerate(replies) if reply.is_transient]
    return transient[-1] if transient else len(replies) - 1
