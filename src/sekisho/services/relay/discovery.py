"""From next hop to addresses: asks the DNS, leaves the choices to core/policy/routing."""

import asyncio
from collections.abc import AsyncGenerator
from ipaddress import ip_address

from sekisho.config.schema import RelaySettings
from sekisho.core.policy.routing import (
    choose_addresses,
    choose_mx,
    explain_no_address,
    is_address_literal,
    next_hop_for,
    parse_route,
    routing_loop,
    without_us,
)
from sekisho.core.terms.dns import Answer, Mx, Resolver
from sekisho.core.terms.reply import Reply
from sekisho.core.tlspolicy.demand import HostFacts
from sekisho.ports.clock import Dice
from sekisho.ports.stream import Endpoint, IpAddress
from sekisho.services.relay.session import Target


class Discovery:
    """The addresses of one next hop, best first. What could not be found is in `failures` when iteration
    ends."""

    def __init__(
        self, next_hop: str, own_name: str, settings: RelaySettings, resolver: Resolver, dice: Dice
    ) -> None:
        self._next_hop = (
            next_hop_for(next_hop, settings.routes) if parse_route(next_hop) is None else next_hop
        )
        self._own_name = own_name
        self._settings = settings
        self._resolver = resolver
        self._dice = dice
        self._hosts: list[Mx] = []
        self._current = Mx(0, "")
        self._policy_domain = self._next_hop
        self._mx_secure = False
        self._found: tuple[Answer, ...] = ()  # the addresses of the host at hand
        self.failures: list[Reply] = []

    async def targets(self) -> AsyncGenerator[Target, None]:
        """Host after host is looked up only when the ones before did not do."""
        port = self._settings.port
        route = parse_route(self._next_hop)
        fixed: IpAddress | None = None
        if route is not None:
            self._hosts, port, fixed = [Mx(0, route.host)], route.port, _literal(route.host)
            # RFC 8461 §3.4: a smart host's own policy counts. Its name comes from the operator: nothing is
            # more secure (RFC 7672 §2.2.1).
            self._policy_domain, self._mx_secure = ("" if fixed else route.host), fixed is None
        elif is_address_literal(self._next_hop):
            self.failures.append(
                Reply.of(550, "5.1.2", f"Mail to the address literal {self._next_hop} is not sent")
            )
            return
        else:
            answer = await self._resolver.resolve(self._next_hop, "MX")
            self._mx_secure = answer.secure
            chosen = choose_mx(answer, self._own_name, self._dice.shuffle)
            if isinstance(chosen, Reply):
                self.failures.append(chosen)
                return
            self._hosts = list(chosen)
        while self._hosts:
            self._current = self._hosts.pop(0)
            for address in [fixed] if fixed is not None else await self._addresses(self._current.host):
                yield Target(self._current.host, Endpoint(address, port))
                if self._current.preference < 0:
                    break

    @property
    def facts(self) -> HostFacts:
        """What the DNS said about the host of the target given last; its TLSA records are not asked for
        yet."""
        return HostFacts(
            host=self._current.host,
            next_hop=self._policy_domain,
            mx_secure=self._mx_secure,
            addresses=self._found,
        )

    def is_ourselves(self) -> None:
        """The target given last is this server: discard its preference and all worse ones (RFC 5321 §5.1)."""
        self._hosts = without_us(self._hosts, [self._current.preference])
        self._current = Mx(-1, self._current.host)
        self.failures.append(routing_loop(self._next_hop))

    async def _addresses(self, host: str) -> tuple[IpAddress, ...]:
        if self._settings.ipv6:
            v6, v4 = await asyncio.gather(
                self._resolver.resolve(host, "AAAA"), self._resolver.resolve(host, "A")
            )
            found = choose_addresses(v6, v4)
        else:
            v6, v4 = None, await self._resolver.resolve(host, "A")
            found = choose_addresses(None, v4)
        self._found = tuple(answer for answer in (v6, v4) if answer is not None)
        if not found:
            self.failures.append(explain_no_address(host, v6, v4))
        return found


def _literal(host: str) -> IpAddress | None:
    """The IP address that a route may name instead of a host."""
    try:
        return ip_address(host)
    except ValueError:
        return None
