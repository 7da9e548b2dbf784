"""DANE × MTA-STS × certificate: every row is exactly what the RFCs say, against a real TLS server."""

from typing import Literal

import pytest
from tests.services.hop.certificates import Kind, authority, chain, digest, server_context
from tests.services.hop.mailhost import MailHost
from tests.services.hop.world import RECORD, World, policy

Certificate = Literal["valid", "expired", "wrong name", "self-signed", "none"]
CERTIFICATES: tuple[Certificate, ...] = ("valid", "expired", "wrong name", "self-signed", "none")
DANE = ("none", "insecure", "key", "other key", "authority", "unusable", "bogus", "silent")
STS = ("none", "off", "testing", "enforce", "kept", "ended", "unreachable", "malformed", "other hosts")
Outcome = Literal["tls", "clear", "later"]


def tlsa(dane: str, certificate: Certificate, port: int) -> str:
    """`key` is that of the certificate which the host shows, whatever else is wrong with it."""
    name = f"_{port}._tcp.mx.example.com"
    kind: Kind = "valid" if certificate == "none" else certificate
    own, other = digest(chain(kind)[0][0]), "00" * 32
    return {
        "none": "",
        "insecure": f"$AD off\n{name} TLSA 3 1 1 {other}\n$AD on\n",
        "key": f"{name} TLSA 3 1 1 {other}\n{name} TLSA 3 1 1 {own}\n",
        "other key": f"{name} TLSA 3 1 1 {other}\n",
        "authority": f"{name} TLSA 2 1 1 {digest(authority()[0])}\n",
        "unusable": f"{name} TLSA 1 1 1 {own}\n{name} TLSA 3 1 9 {own}\n",
        "bogus": f"$BOGUS {name} TLSA\n",
        "silent": f"$TIMEOUT {name} TLSA\n",
    }[dane]


def by_dane(dane: str, certificate: Certificate) -> Outcome | None:
    """None: DANE does not apply."""
    if dane in ("none", "insecure"):
        return None
    if dane in ("bogus", "silent", "other key") or certificate == "none":
        return "later"  # RFC 7672 §2.1.1, §2.2
    if dane == "authority":
        return "tls" if certificate == "valid" else "later"  # RFC 7672 §3.1.2: names and dates count
    return "tls"  # RFC 7672 §3.1.1: they do not; §2.2: nothing usable, so nothing is proved


def by_sts(sts: str, certificate: Certificate) -> Outcome:
    if sts == "other hosts":
        return "later"  # RFC 8461 §4.1
    if sts in ("enforce", "kept"):
        return "tls" if certificate == "valid" else "later"  # RFC 8461 §5
    return "clear" if certificate == "none" else "tls"  # RFC 7435 §3


async def prepare(world: World, sts: str) -> None:
    if sts in ("off", "testing", "enforce", "malformed"):
        world.hosts.texts["example.com"] = policy("none" if sts == "off" else sts)
    elif sts == "other hosts":
        world.hosts.texts["example.com"] = policy("enforce", "mail.example.com", "*.mx.example.com")
    elif sts == "kept":
        await world.keep(policy("enforce"))
    elif sts == "ended":
        await world.keep(policy("enforce", max_age=60), ago_seconds=61)


@pytest.mark.parametrize("sts", STS)
@pytest.mark.parametrize("dane", DANE)
async def test_every_row(dane: str, sts: str) -> None:
    for certificate in CERTIFICATES:
        context = None if certificate == "none" else server_context(certificate)
        async with MailHost(context=context).listening() as host:
            has_record = sts not in ("none", "kept", "ended")
            world = World(host.port, (RECORD if has_record else "") + tlsa(dane, certificate, host.port))
            await prepare(world, sts)
            outcome = await world.send()
            await world.relay.close()
        expected = by_dane(dane, certificate) or by_sts(sts, certificate)
        row = (dane, sts, certificate)
        if expected == "later":
            assert outcome.result == "deferred" and not host.taken, row
            assert str(outcome.reply).startswith("451 4.7.5 "), row
        else:
            assert outcome.result == "delivered" and [one.tls for one in host.taken] == [expected == "tls"], (
                row
            )
        assert not world.journal.faults, row
        if by_dane(dane, certificate) is not None:
            assert not world.hosts.asked  # RFC 8461 §2: DANE goes before


@pytest.mark.parametrize("dane", ["key", "authority", "unusable", "other key"])
@pytest.mark.parametrize("answer", [b"454 4.7.0 not now\r\n", b"501 5.5.1 what?\r\n", b"250 ok\r\n"])
async def test_a_refused_starttls_is_no_way_around_dane(dane: str, answer: bytes) -> None:
    async with MailHost(context=server_context("valid"), go=answer).listening() as host:
        world = World(host.port, tlsa(dane, "valid", host.port))
        outcome = await world.send()
        assert outcome.result == "deferred" and not host.taken
        assert await world.counts() in ({"tlsa starttls-not-supported": 1}, {"tlsa validation-failure": 1})
        await world.relay.close()


async def test_a_refused_starttls_is_no_way_around_sts() -> None:
    async with MailHost(context=server_context("valid"), go=b"454 4.7.0 not now\r\n").listening() as host:
        world = World(host.port, RECORD)
        world.hosts.texts["example.com"] = policy("enforce")
        outcome = await world.send()
        assert outcome.result == "deferred" and not host.taken and outcome.reply is not None
        assert outcome.reply.cause == "mta-sts"
        assert await world.counts() == {"sts starttls-not-supported": 1}
        await world.relay.close()


@pytest.mark.parametrize(
    ("kind", "is_taken"),
    [("wildcard", True), ("deep wildcard", False), ("common name", False), ("not for servers", False)],
)
@pytest.mark.parametrize("way", ["sts", "dane"])
async def test_odd_certificates(way: str, kind: Kind, is_taken: bool) -> None:
    async with MailHost(context=server_context(kind)).listening() as host:
        world = World(host.port, RECORD if way == "sts" else tlsa("authority", "valid", host.port))
        world.hosts.texts["example.com"] = policy("enforce")
        outcome = await world.send()
        assert (outcome.result == "delivered", bool(host.taken)) == (is_taken, is_taken)
        await world.relay.close()


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        ("$BOGUS example.com MX\n", "bogus"),
        ("$SERVFAIL example.com MX\n", "servfail"),
        ("$BOGUS mx.example.com A\n", "bogus"),
        ("$SERVFAIL mx.example.com A\n", "servfail"),
    ],
)
async def test_a_broken_dns_is_no_permission(zone: str, reason: str) -> None:
    async with MailHost().listening() as host:
        world = World(host.port, zone)
        outcome = await world.send()
        assert outcome.result == "deferred" and reason in str(outcome.reply) and not host.connections


async def test_without_a_validated_mx_there_is_no_dane() -> None:
    async with MailHost().listening() as host:
        unsigned = "example.com MX 10 mx.example.com\n$AD on\nmx.example.com A 127.0.0.1\n"
        world = World(host.port, tlsa("other key", "valid", host.port), base=unsigned)
        assert (await world.send()).result == "delivered"
        assert not any(rtype == "TLSA" for _, rtype in world.resolver.questions)  # RFC 7672 §2.2.2
        await world.relay.close()


async def test_an_alias_is_followed_as_far_as_it_is_secure() -> None:
    """RFC 7672 §2.2.2 and §8.1: the name behind the alias is asked first, and stands in SNI."""
    base = (
        "$AD on\nexample.com MX 10 mx.example.com\n"
        "mx.example.com CNAME real.example.net\nreal.example.net A 127.0.0.1\n"
    )
    async with MailHost(context=server_context("self-signed")).listening() as host:
        world = World(host.port, base=base)
        for name, sni in (("mx.example.com", "mx.example.com"), ("real.example.net", "real.example.net")):
            record = f"_{host.port}._tcp.{name} TLSA 3 1 1 {digest(chain('self-signed')[0][0])}\n"
            world = World(host.port, record, base=base)
            assert (await world.send()).result == "delivered"
            assert host.asked_for[-1] == sni
            await world.relay.close()


async def test_the_next_host_may_be_better() -> None:
    """RFC 7672 §2.2.1: the order of the MX is kept, and what fails at one host is tried at the next."""
    async with MailHost(context=server_context("valid", "mx2.example.com")).listening() as host:
        base = (
            "$AD on\nexample.com MX 10 mx.example.com\nexample.com MX 20 mx2.example.com\n"
            "mx.example.com A 127.0.0.1\nmx2.example.com A 127.0.0.1\n"
        )
        records = (
            tlsa("other key", "valid", host.port)
            + f"_{host.port}._tcp.mx2.example.com TLSA 2 1 1 {digest(authority()[0])}\n"
        )
        world = World(host.port, records, base=base)
        outcome = await world.send()
        assert outcome.result == "delivered" and outcome.remote == "mx2.example.com [127.0.0.1]"
        assert await world.counts() == {"tlsa certificate-not-trusted": 1, "tlsa ok": 1}
        await world.relay.close()


async def test_what_is_counted_and_written_down() -> None:
    async with MailHost(context=server_context("expired")).listening() as host:
        world = World(host.port, RECORD)
        world.hosts.texts["example.com"] = policy("testing")
        assert (await world.send()).result == "delivered" and host.taken[0].tls
        assert await world.counts() == {"sts certificate-expired": 1}
        await world.relay.close()
    (attempt,) = [entry for entry in world.journal.entries if entry.kind == "relay.attempt"]
    assert (attempt.fields["policy"], attempt.fields["proof"]) == ("mta-sts-testing", "encrypted")


async def test_a_policy_from_before_is_called_so() -> None:
    async with MailHost(context=server_context("valid")).listening() as host:
        world = World(host.port)
        await world.keep(policy("enforce"))
        assert (await world.send()).result == "delivered"
        await world.relay.close()
    (connected,) = [entry for entry in world.journal.entries if entry.kind == "relay.connected"]
    assert "kept from before" in str(connected.fields["because"])


async def test_a_session_is_judged_anew_after_a_minute() -> None:
    """The policy came while it was open: it is used again if it is as safe as that asks, and not
    otherwise."""
    for kind, expected in (("valid", "delivered"), ("self-signed", "deferred")):
        async with MailHost(context=server_context(kind)).listening() as host:  # type: ignore[arg-type]
            world = World(host.port)
            assert (await world.send()).result == "delivered"  # without a policy nothing is verified
            world.resolver.zone.add("_mta-sts.example.com", "TXT", b"v=STSv1; id=1")
            world.hosts.texts["example.com"] = policy("enforce")
            world.clock.advance(61)
            assert (await world.send()).result == expected
            assert host.connections == 2
            world.clock.advance(61)
            assert (await world.send()).result == expected
            assert host.connections == (2 if kind == "valid" else 3)  # proved, and found as good as before
            await world.relay.close()


async def test_a_session_is_used_again_only_for_what_it_proved() -> None:
    """Two domains at one host: the second asks for more than the first."""
    async with MailHost(context=server_context("self-signed")).listening() as host:
        more = "other.example MX 10 mx.example.com\n" + RECORD.replace("example.com", "other.example")
        world = World(host.port, more)
        world.hosts.texts["other.example"] = policy("enforce")
        assert (await world.send()).result == "delivered"
        outcome = await world.send("eve@other.example", next_hop="other.example")
        assert outcome.result == "deferred" and len(host.taken) == 1
        await world.relay.close()


async def test_a_proved_session_serves_the_other_domain_too() -> None:
    async with MailHost(context=server_context("valid")).listening() as host:
        more = (
            "other.example MX 10 mx.example.com\n" + RECORD.replace("example.com", "other.example") + RECORD
        )
        world = World(host.port, more)
        world.hosts.texts |= {"other.example": policy("enforce"), "example.com": policy("enforce")}
        assert (await world.send()).result == "delivered"
        assert (await world.send("eve@other.example", next_hop="other.example")).result == "delivered"
        assert host.connections == 1
        await world.relay.close()
