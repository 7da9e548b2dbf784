"""The DNS of the lab's Internet, made from what a scene says about its actors, lists and correspondents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from sekisho.core.mailauth.dkim.sign import DkimSigner
from sekisho.core.terms.dns import DnsStatus, Mx, RecordType
from sekisho.lab.scene import Actor, Dnsbl, Scene
from sekisho.lab.script import IpAddress, LabScript
from sekisho.testing.zones import Zone

SELECTOR = "lab"
HOUSE_IPV4 = IPv4Address("192.0.2.25")
HOUSE_IPV6 = IPv6Address("2001:db8:25::25")
CANARY_LISTED, CANARY_FREE = ip_address("127.0.0.2"), ip_address("127.0.0.1")
CANARY6_LISTED = ip_address("::ffff:7f00:2")  # RFC 5782 §5
_REFUSAL = IPv4Address("127.255.255.254")
_RSA_BITS = 2048


@dataclass(slots=True)
class LabZone(Zone):
    """A zone in which whole subtrees may be silent; "" is all of it."""

    silent: set[str] = field(default_factory=set)

    def fault(self, name: str, rtype: RecordType) -> DnsStatus | None:
        if any(not root or name == root or name.endswith("." + root) for root in self.silent):
            return DnsStatus.TIMEOUT
        return Zone.fault(self, name, rtype)


@dataclass(frozen=True, slots=True)
class World:
    """`signers` by domain."""

    zone: LabZone
    signers: Mapping[str, DkimSigner]


def build_world(scene: Scene, script: LabScript, sink: IpAddress) -> World:
    """`sink`: where all mail to domains outside arrives."""
    read = Zone.from_text(scene.zone)
    zone = LabZone(sets=read.sets, faults=read.faults, truncated=read.truncated, names=read.names)
    used: dict[str, set[IpAddress]] = {}
    for act in script.acts:
        if act.address is not None:
            used.setdefault(act.step.actor, set()).add(act.address)
    _add_house(zone, scene)
    signers: dict[str, DkimSigner] = {}
    for actor in scene.actor:
        addresses = used.get(actor.name, set()) | {
            net.network_address for net in actor.address if net.num_addresses == 1
        }
        _add_hosts(zone, actor, sorted(addresses, key=str), (scene.house.hostname, *scene.house.domains))
        if actor.domain:
            _add_domain(zone, actor, signers)
    for blocklist in scene.dnsbl:
        _add_dnsbl(zone, blocklist, {address for addresses in used.values() for address in addresses})
    _add_receivers(zone, _domains_outside(scene, script), sink)
    return World(zone, signers)


def _add_house(zone: Zone, scene: Scene) -> None:
    host = scene.house.hostname
    zone.add(host, "A", HOUSE_IPV4)
    zone.add(host, "AAAA", HOUSE_IPV6)
    for address in (HOUSE_IPV4, HOUSE_IPV6):
        zone.add(address.reverse_pointer, "PTR", host)
    for domain in scene.house.domains:
        zone.add(domain, "MX", Mx(10, host))
        zone.add(domain, "TXT", f"v=spf1 ip4:{HOUSE_IPV4} ip6:{HOUSE_IPV6} -all".encode())
        if scene.house.dmarc != "none":
            zone.add(f"_dmarc.{domain}", "TXT", f"v=DMARC1; {scene.house.dmarc}".encode())


def hello_of(actor: Actor, address: IpAddress | None) -> str:
    """The name an actor greets with."""
    if actor.helo:
        return _fill(actor.helo, address)
    return f"mail.{actor.domain}" if actor.domain else f"{actor.name}.lan"


def _fill(pattern: str, address: IpAddress | None) -> str:
    """`{dashed}` in a host name: the address, with dashes."""
    return (
        pattern.replace("{dashed}", str(address).replace(".", "-").replace(":", "-"))
        if address is not None
        else pattern
    )


def _add_hosts(zone: Zone, actor: Actor, addresses: Sequence[IpAddress], house: Sequence[str]) -> None:
    """`house`: names that lead to the house alone, whoever greets with them."""
    for address in addresses:
        names = (
            [_fill(name, address) for name in actor.ptr if name]
            if actor.ptr is not None
            else [hello_of(actor, address)]
        )
        if actor.account and actor.ptr is None:
            continue  # a person at home: nobody asks
        for name in names:
            zone.add(address.reverse_pointer, "PTR", name)
        forward = set(names if actor.forward else ())
        if not actor.account and actor.domain:
            forward.add(hello_of(actor, address))
        for name in forward:
            is_ours = any(name == own or name.endswith(f".{own}") for own in house)
            if "." in name and not name.startswith("[") and not is_ours:
                _add_if_possible(zone, name, address)


def _add_if_possible(zone: Zone, name: str, address: IpAddress) -> None:
    try:
        zone.add(name, "A" if address.version == 4 else "AAAA", address)
    except ValueError:
        pass  # who greets with nonsense has no such name


def _add_domain(zone: Zone, actor: Actor, signers: dict[str, DkimSigner]) -> None:
    domain = actor.domain
    if actor.spf == "auto":
        terms = " ".join(f"ip{network.version}:{network}" for network in actor.address)
        zone.add(domain, "TXT", f"v=spf1 {terms} -all".encode())
    elif actor.spf != "none":
        zone.add(domain, "TXT", actor.spf.encode())
    if actor.dmarc != "none":
        zone.add(f"_dmarc.{domain}", "TXT", f"v=DMARC1; {actor.dmarc}".encode())
    if actor.dkim != "none" and domain not in signers:
        key = (
            Ed25519PrivateKey.generate()
            if actor.dkim == "ed25519"
            else generate_private_key(65537, _RSA_BITS)
        )
        signers[domain] = signer = DkimSigner(domain, SELECTOR, key)
        zone.add(signer.key_name, "TXT", signer.key_record.encode())


def _add_dnsbl(zone: LabZone, blocklist: Dnsbl, addresses: Iterable[IpAddress]) -> None:
    name = blocklist.name
    if blocklist.state == "silent":
        zone.silent.add(name)
        return
    if blocklist.state in ("refusing", "wildcard"):
        zone.add(
            f"*.{name}", "A", _REFUSAL if blocklist.state == "refusing" else IPv4Address(str(blocklist.code))
        )
        return
    code = IPv4Address(str(blocklist.code))
    zone.add(name, "NS", f"ns.{name}")
    if blocklist.domains:
        for domain in ("test", *blocklist.domains):  # RFC 5782 §5
            zone.add(f"{domain}.{name}", "A", code)
        return
    for address in (CANARY_LISTED, CANARY6_LISTED):
        zone.add(question(address, name), "A", IPv4Address("127.0.0.2"))
    networks = [ip_network(str(network)) for network in blocklist.lists]
    listed = {network.network_address for network in networks if network.num_addresses == 1}
    listed |= {address for address in addresses if any(_within(address, network) for network in networks)}
    for address in listed:
        zone.add(question(address, name), "A", code)
        zone.add(question(address, name), "TXT", f"{address} is listed by {name}".encode())


def _within(address: IpAddress, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


def question(address: IpAddress, blocklist: str) -> str:
    """The name that a list is asked about an address with (RFC 5782 §2.1, §2.4)."""
    reverse = address.reverse_pointer
    return f"{reverse.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{blocklist}"


def _domains_outside(scene: Scene, script: LabScript) -> set[str]:
    """Domains that mail may be sent to: of recipients, correspondents and actors that receive."""
    addresses = [recipient for act in script.acts for recipient in act.recipients] + [
        a for group in script.people.values() for a in group
    ]
    domains = {address.rpartition("@")[2] for address in addresses}
    domains |= {actor.domain for actor in scene.actor if actor.domain and actor.mx}
    return {
        domain
        for domain in domains
        if "." in domain and domain not in scene.house.domains and not domain.startswith("[")
    }


def _add_receivers(zone: Zone, domains: Iterable[str], sink: IpAddress) -> None:
    for domain in sorted(domains):
        try:
            zone.add(domain, "MX", Mx(10, f"mx-of.{domain}"))
            zone.add(f"mx-of.{domain}", "A", sink)
        except ValueError:
            continue  # a scene may try addresses that no domain name could be
