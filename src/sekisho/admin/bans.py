"""Networks that may not log in for a while: an operator sees why, lets them in again, or bans one."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, parse_address
from sekisho.core.terms.records import by_position
from sekisho.ports.bans import ANYBODY, Ban
from sekisho.services.authentication.bandesk import TriesTally

MOST_TRIED = 20
SHORTEST = {4: 8, 6: 16}  # prefixes that an operator may ban


class ListBans(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ShowBans(Struct, frozen=True, forbid_unknown_fields=True):
    """`network`: CIDR or an address."""

    network: str


class LiftBans(Struct, frozen=True, forbid_unknown_fields=True):
    """Of this network, of networks in it and around it. `account` "": whomever they are about."""

    network: str
    account: str = ""


class AddBan(Struct, frozen=True, forbid_unknown_fields=True):
    """`seconds` 0: until it is lifted. `account` "": from all accounts."""

    network: str
    account: str = ""
    seconds: int = 0
    note: str = ""


class Tried(Struct, frozen=True, kw_only=True):
    at_us: int
    client: str
    username: str
    service: str
    cause: str


class BanDetails(Struct, frozen=True):
    """`tallies`: what counts against the network and the wide one around it now. `tried`: refused logins from
    it, the newest first."""

    network: str
    bans: list[Ban]
    tallies: list[TriesTally]
    tried: list[Tried]


async def list_bans(context: Context, request: ListBans) -> list[Ban]:
    return await context.banning.about(None)


async def show_bans(context: Context, request: ShowBans) -> BanDetails:
    network = _parse_network(request.network)
    bans = await context.banning.about(network)
    return BanDetails(
        str(network), bans, await context.banning.tallies(network), await _tried(context, network)
    )


async def lift_bans(context: Context, request: LiftBans) -> list[Ban]:
    network = _parse_network(request.network)
    account = str(parse_address(request.account)) if request.account else None
    bans = await context.banning.about(network, account)
    if not bans:
        raise AdminRefused("There is no ban on {network}.", network=str(network))
    await context.banning.lift(bans)
    for ban in bans:
        context.audit("bans.lift", ban.network, account=ban.account, reason=ban.reason)
    return bans


async def add_ban(context: Context, request: AddBan) -> Ban:
    network = _parse_network(request.network)
    if network.prefixlen < SHORTEST[network.version]:
        raise AdminRefused(
            "{network} is too large: at most a /{length} can be banned.",
            network=str(network),
            length=SHORTEST[network.version],
        )
    account = str(parse_address(request.account)) if request.account else ANYBODY
    now_us = context.clock.now_us()
    until_us = now_us + request.seconds * 1_000_000 if request.seconds > 0 else 0
    ban = Ban(
        network=str(network),
        account=account,
        reason="operator",
        since_us=now_us,
        until_us=until_us,
        by=context.actor,
        note=request.note,
    )
    await context.banning.add(ban)
    context.audit("bans.add", ban.network, account=account, seconds=request.seconds, note=request.note)
    return ban


def _parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise AdminRefused(
            "{text} is neither an IP address nor a network such as 192.0.2.0/24.", text=repr(text)
        ) from error
    return network


async def _tried(context: Context, network: IPv4Network | IPv6Network) -> list[Tried]:
    """What the ledger has about the client, or about the /24 or /64 that the network is."""
    if context.ledger is None:
        return []
    key = str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
    entries = await context.ledger.find(key)
    refused = [entry for entry in entries if entry.kind == "authentication.refused"]
    return [
        by_position(
            Tried,
            entry.at_us,
            *(str(entry.fields.get(name, "")) for name in ("client", "username", "service", "cause")),
        )
        for entry in refused[:MOST_TRIED]
    ]
