"""What a schema cannot say: settings that must fit each other and texts that must have a form. Pure."""

import ipaddress
import re
from collections.abc import Iterator

from sekisho.config.lines import toml_path
from sekisho.config.problems import Problem
from sekisho.config.schema import Config
from sekisho.core.policy.takeover.signals import NAMES
from sekisho.core.terms.address import Address, AddressError, parse_domain

_IMPLICIT_TLS = ("submissions", "imaps", "pop3s")
_LOGIN_STARTTLS = ("submission", "imap", "pop3", "sieve")
_WHY_URL = re.compile(r"https?://[!-~]{1,200}\Z")
_HTTPS_URL = re.compile(r"https://[!-~]{1,500}\Z")
_ROUTE = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):([0-9]{1,5})\Z")


def check_config(config: Config) -> list[Problem]:
    """All problems of a configuration that fits the schema; nothing outside of it is looked at."""
    return [
        *_check_hostname(config),
        *_check_listeners(config),
        *_check_resolver(config),
        *_check_roles(config),
        *_check_reports(config),
        *_check_submission(config),
        *_check_relay(config),
        *_check_queue(config),
        *_check_greylist(config),
        *_check_guard(config),
        *_check_issuers(config),
        *_check_ledger(config),
        *_check_rest(config),
    ]


def _check_hostname(config: Config) -> Iterator[Problem]:
    yield from problems_of_hostname(config.hostname)


def problems_of_hostname(name: str) -> Iterator[Problem]:
    """Why others could not look this name up."""
    try:
        canonical = parse_domain(name, literals=False)
    except AddressError as error:
        yield Problem(
            path="hostname",
            text="{name} is not a host name: {reason}.",
            advice="Write the full name of this machine, such as mx.example.org.",
            values={"name": repr(name), "reason": str(error)},
        )
        return
    labels = canonical.split(".")
    if (
        len(labels) < 2
        or labels[-1].isdigit()
        or labels[-1] in ("localhost", "localdomain", "local", "invalid")
    ):
        # RFC 5321 §2.3.5: only a resolvable, fully-qualified name may be told in EHLO.
        yield Problem(
            path="hostname",
            text="{name} is not a full host name that others can look up.",
            advice="Write the name that the DNS has for this machine, such as mx.example.org.",
            values={"name": name},
        )


def _check_listeners(config: Config) -> Iterator[Problem]:
    if not config.listeners:
        yield Problem(
            path="listeners",
            text="There is no listener, so nobody could reach this server.",
            advice="Add at least one [[listeners]] table.",
        )
    seen: dict[tuple[object, int], int] = {}
    for index, listener in enumerate(config.listeners):
        path = f"listeners[{index}]"
        place = (listener.address, listener.port)
        if listener.port and place in seen:
            yield Problem(
                path=f"{path}.port",
                text="{address} port {port} is already taken by listeners[{other}].",
                advice="Each address and port can be given to one listener only.",
                values={"address": listener.address, "port": listener.port, "other": seen[place]},
            )
        seen.setdefault(place, index)
        if not config.certificates:
            yield from _check_needs_certificate(path, listener.kind)
        if listener.client_ca is not None and listener.kind not in _IMPLICIT_TLS:  # RFC 8314 §4.2
            yield Problem(
                path=f"{path}.client_ca",
                text="{kind} asks for no client certificates; submissions, imaps and pop3s do.",
                advice="Remove the setting, or use one of those.",
                values={"kind": listener.kind},
            )
        for position, network in enumerate(listener.proxy_from):
            if network.prefixlen == 0:
                yield Problem(
                    path=f"{path}.proxy_from[{position}]",
                    text="{network} stands for everybody: anyone could claim any address.",
                    advice="Name only the addresses of your own proxies.",
                    values={"network": network},
                )


def _check_needs_certificate(path: str, kind: str) -> Iterator[Problem]:
    if kind in _IMPLICIT_TLS:
        yield Problem(
            path=f"{path}.kind",
            text="{kind} speaks TLS from the first octet and needs a certificate.",
            advice="Add a [[certificates]] table.",
            values={"kind": kind},
        )
    elif kind in _LOGIN_STARTTLS:
        yield Problem(
            path=f"{path}.kind",
            text="{kind} lets nobody log in without TLS, and there is no certificate.",
            advice="Add a [[certificates]] table.",
            values={"kind": kind},
        )
    elif kind == "smtp":
        yield Problem(
            path=f"{path}.kind",
            text="Without a certificate all mail from other servers comes in unencrypted.",
            advice="Add a [[certificates]] table.",
            severity="warning",
        )


def _check_resolver(config: Config) -> Iterator[Problem]:
    for index, text in enumerate(config.resolver.servers):
        if parse_server(text) is None:
            yield Problem(
                path=f"resolver.servers[{index}]",
                text="{text} is not the address of a resolver.",
                advice='Write "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353".',
                values={"text": repr(text)},
            )


def parse_server(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int] | None:
    """`address`, `address:port` or `[v6]:port` as (address, port); port 53 when none is given; None when it
    is neither."""
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9.]+):([0-9]{1,5})", text)
    host, port = (match[1] or match[3], match[2] or match[4] or "53") if match else (text, "53")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (address, int(port)) if 0 < int(port) < 65536 else None


def _check_roles(config: Config) -> Iterator[Problem]:
    for role, owner in (("postmaster", config.roles.postmaster), ("abuse", config.roles.abuse)):
        yield from _check_address(f"roles.{role}", owner)


def _check_reports(config: Config) -> Iterator[Problem]:
    for index, address in enumerate(config.reports.addresses):
        yield from _check_address(f"reports.addresses[{index}]", address)
    if config.reports.sender:
        yield from _check_address("reports.sender", config.reports.sender)


def _check_address(path: str, text: str) -> Iterator[Problem]:
    try:
        Address.from_text(text)
    except AddressError as error:
        yield Problem(
            path=path,
            text="{text} is not an address: {reason}.",
            advice="Write an address such as taro@example.org.",
            values={"text": repr(text), "reason": str(error)},
        )


def _check_submission(config: Config) -> Iterator[Problem]:
    for user, address in config.submission.local_users.items():
        yield from _check_address(toml_path(("submission", "local_users", user)), address)
    for index, name in enumerate(config.reception.loose_dot_domains):
        yield from _check_domain(f"reception.loose_dot_domains[{index}]", name)


def _check_domain(path: str, name: str) -> Iterator[Problem]:
    try:
        parse_domain(name, literals=False)
    except AddressError as error:
        yield Problem(
            path=path,
            text="{name} is not a domain: {reason}.",
            advice="Write a domain such as example.org.",
            values={"name": repr(name), "reason": str(error)},
        )


def _check_relay(config: Config) -> Iterator[Problem]:
    for field, version in (("source_ipv4", 4), ("source_ipv6", 6)):
        address = getattr(config.relay, field)
        if address is not None and address.version != version:
            yield Problem(
                path=f"relay.{field}",
                text="{address} is not an IPv{version} address.",
                advice="Put it into the other setting, or remove it.",
                values={"address": address, "version": version},
            )
    for domain, route in config.relay.routes.items():
        path = toml_path(("relay", "routes", domain))
        if domain != "*":
            yield from _check_domain(path, domain)
        if not _is_route(route):
            yield Problem(
                path=path,
                text="{route} does not name a host and a port.",
                advice='Write "smtp.example.org:587", "192.0.2.25:25" or "[2001:db8::25]:25".',
                values={"route": repr(route)},
            )


def _is_route(route: str) -> bool:
    match = _ROUTE.match(route)
    if match is None or not 0 < int(match[3]) < 65536:
        return False
    host = match[1] or match[2]
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        pass
    try:
        parse_domain(host, literals=False)
    except AddressError:
        return False
    return True


def _check_queue(config: Config) -> Iterator[Problem]:
    queue = config.queue
    if not queue.retry_seconds:
        yield Problem(
            path="queue.retry_seconds",
            text="The list of waits is empty.",
            advice="Name at least one wait in seconds.",
        )
    elif queue.retry_seconds[0] >= queue.lifetime_seconds:
        yield Problem(
            path="queue.retry_seconds",
            text="The first wait is as long as a message lives, so nothing would be tried again.",
            advice="Set it to less than queue.lifetime_seconds ({lifetime}).",
            values={"lifetime": queue.lifetime_seconds},
        )
    if queue.delay_notice_seconds >= queue.lifetime_seconds:
        yield Problem(
            path="queue.delay_notice_seconds",
            text="Senders would never hear of a delay: messages expire before it.",
            advice="Set it to less than queue.lifetime_seconds ({lifetime}).",
            values={"lifetime": queue.lifetime_seconds},
            severity="warning",
        )


def _check_issuers(config: Config) -> Iterator[Problem]:
    names = [issuer.issuer for issuer in config.login.issuers]
    for index, issuer in enumerate(config.login.issuers):
        for field, url in (("issuer", issuer.issuer), ("jwks_url", issuer.jwks_url)):
            if url is not None and not _HTTPS_URL.match(url):
                yield Problem(
                    path=f"login.issuers[{index}].{field}",
                    text="{url} is not an https URL.",
                    advice="Write it as the provider does, such as https://id.example.org/realms/club.",
                    values={"url": repr(url)},
                )
        if issuer.issuer in names[:index]:
            yield Problem(
                path=f"login.issuers[{index}].issuer",
                text="{issuer} is named twice.",
                advice="Keep one table for each issuer.",
                values={"issuer": issuer.issuer},
            )
        if not issuer.algorithms:
            yield Problem(
                path=f"login.issuers[{index}].algorithms",
                text="No signature would be accepted.",
                advice="Name at least one algorithm.",
            )


def _check_greylist(config: Config) -> Iterator[Problem]:
    greylist = config.greylist
    if greylist.mode == "enforce" and not config.reputation.enabled:
        yield Problem(
            path="greylist.mode",
            text="Without reputation.enabled no sender can become known, so greylisting does nothing.",
            advice='Switch reputation on, or write greylist.mode = "off".',
            severity="warning",
        )


def _check_guard(config: Config) -> Iterator[Problem]:
    guard = config.guard
    if not guard.slow_at <= guard.hold_at <= guard.freeze_at:
        yield Problem(
            path="guard.hold_at",
            text="guard.slow_at, hold_at and freeze_at are {slow}, {hold} and {freeze}: they must rise.",
            advice="The defaults are 30, 100 and 130.",
            values={"slow": guard.slow_at, "hold": guard.hold_at, "freeze": guard.freeze_at},
        )
    for name in guard.ignore:
        if name not in NAMES:
            yield Problem(
                path="guard.ignore",
                text="The guard has no signal {name}.",
                advice="Its signals are: {names}.",
                values={"name": repr(name), "names": ", ".join(sorted(NAMES))},
            )


def _check_ledger(config: Config) -> Iterator[Problem]:
    url = config.ledger.why_url
    if url and not (_WHY_URL.match(url) and url.count("{") == url.count("}") == url.count("{id}") == 1):
        yield Problem(
            path="ledger.why_url",
            text="{url} is not an address that an id can be put into.",
            advice="Write it like https://mail.example.org/why/{place}, with {place} where the id goes.",
            values={"url": repr(url), "place": "{id}"},
        )


def _check_rest(config: Config) -> Iterator[Problem]:
    if config.metrics.port is not None and not ipaddress.ip_address(str(config.metrics.address)).is_loopback:
        yield Problem(
            path="metrics.address",
            text="{address} is not a loopback address; metrics reveal too much to be public.",
            advice='Write "127.0.0.1" or "::1", and let a proxy with a login stand before it.',
            values={"address": config.metrics.address},
        )
    if config.limits.header_octets > config.limits.message_octets:
        yield Problem(
            path="limits.header_octets",
            text="A header section could be larger than a whole message.",
            advice="Set it to at most limits.message_octets ({limit}).",
            values={"limit": config.limits.message_octets},
        )
