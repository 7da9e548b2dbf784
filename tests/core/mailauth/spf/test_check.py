"""What the public suites do not show: both identities, shared limits, hostile DNS, the two entries."""

import random
from ipaddress import ip_address

import pytest
from tests.effort import effort

from sekisho.core.mailauth.spf.check import check_host, check_host_now, check_message, check_message_now
from sekisho.core.mailauth.spf.macros import MAX_DOMAIN_OCTETS, shorten_domain
from sekisho.core.mailauth.spf.terms import LookupBudget, SpfClient
from sekisho.core.mailauth.synchronous import LookupResolver
from sekisho.core.terms.dns import Answer, DnsStatus
from sekisho.testing.zones import Zone, ZoneResolver

CLIENT = SpfClient(ip_address("192.0.2.1"), "mx.example.com", "mx.example.org", 1_800_000_000)


async def test_both_identities() -> None:
    zone = 'example.com TXT "v=spf1 ip4:192.0.2.1 -all"\nmx.example.com TXT "v=spf1 -all"'
    evidence = await check_message(ZoneResolver(zone), CLIENT, "joe@example.com")
    assert (evidence.mailfrom.result, evidence.mailfrom.term, evidence.mailfrom.domain) == (
        "pass",
        "ip4:192.0.2.1",
        "example.com",
    )
    assert (evidence.helo.result, evidence.helo.term, evidence.helo.identity) == ("fail", "-all", "helo")


async def test_null_path_is_postmaster_at_helo() -> None:
    zone = 'mx.example.com TXT "v=spf1 exists:%{l}.ok.example -all"\npostmaster.ok.example A 127.0.0.1'
    resolver = ZoneResolver(zone)
    evidence = await check_message(resolver, CLIENT, "")
    assert (evidence.mailfrom.result, evidence.mailfrom.identity) == ("pass", "mailfrom")
    assert (evidence.helo.result, evidence.helo.identity) == ("pass", "helo")
    assert len(resolver.questions) == 2  # asked once


def _terms(count: int, name: str) -> str:
    return f'{name} TXT "v=spf1 {" ".join(f"a:h{i}.example.com" for i in range(count))} -all"\n'


HOSTS = "".join(f"h{i}.example.com A 198.51.100.1\n" for i in range(12))


async def test_limits_are_shared_but_never_change_the_result_of_mail_from() -> None:
    zone = HOSTS + _terms(9, "example.com") + _terms(2, "mx.example.com")
    evidence = await check_message(ZoneResolver(zone), CLIENT, "joe@example.com")
    assert evidence.mailfrom.result == "fail"
    assert evidence.helo.result == "temperror"
    assert "used up" in evidence.helo.problem


async def test_a_helo_record_that_is_too_long_on_its_own_is_permerror() -> None:
    zone = HOSTS + 'example.com TXT "v=spf1 -all"\n' + _terms(11, "mx.example.com")
    evidence = await check_message(ZoneResolver(zone), CLIENT, "joe@example.com")
    assert (evidence.mailfrom.result, evidence.helo.result) == ("fail", "permerror")


@pytest.mark.parametrize(("count", "result"), [(10, "fail"), (11, "permerror")])
async def test_ten_terms(count: int, result: str) -> None:
    assert (
        await check_host(ZoneResolver(HOSTS + _terms(count, "example.com")), CLIENT, "joe@example.com")
    ).result == result


@pytest.mark.parametrize(("count", "result"), [(2, "fail"), (3, "permerror")])
async def test_two_void_lookups(count: int, result: str) -> None:
    assert (
        await check_host(ZoneResolver(_terms(count, "example.com")), CLIENT, "joe@example.com")
    ).result == result


async def test_an_mx_term_without_addresses_counts_once() -> None:
    """RFC 7208 §4.6.4 limits the terms that find nothing: IPv4-only mail hosts must not break an IPv6
    client's check."""
    zone = 'example.com TXT "v=spf1 mx a:v6.example.com ~all"\nv6.example.com AAAA 2001:db8::1\n'
    zone += "".join(f"example.com MX {i} h{i}.example.com\n" for i in range(5)) + HOSTS
    client = SpfClient(ip_address("2001:db8::1"), "mx.example.com")
    assert (await check_host(ZoneResolver(zone), client, "joe@example.com")).result == "pass"


async def test_budget_may_be_the_callers() -> None:
    budget = LookupBudget(terms_left=1)
    finding = await check_host(
        ZoneResolver(HOSTS + _terms(2, "example.com")), CLIENT, "joe@example.com", budget=budget
    )
    assert finding.result == "permerror"


@pytest.mark.parametrize("rtype", ["TXT", "A", "MX"])
@pytest.mark.parametrize("status", [DnsStatus.SERVFAIL, DnsStatus.TIMEOUT, DnsStatus.BOGUS])
def test_what_could_not_be_known_is_temperror(rtype: str, status: DnsStatus) -> None:
    zone = Zone.from_text(
        'example.com TXT "v=spf1 a mx -all"\nexample.com A 198.51.100.1\nexample.com MX 1 h.example.com'
    )
    zone.break_name("example.com", status, rtype)  # type: ignore[arg-type]  # one of the types
    finding = check_host_now(ZoneResolver(zone), CLIENT, "joe@example.com")
    assert finding.result == "temperror"
    assert status.value in finding.problem


def test_mapped_addresses_are_ipv4() -> None:
    client = SpfClient(ip_address("::ffff:192.0.2.1"), "mx.example.com")
    assert (
        check_host_now(
            ZoneResolver('example.com TXT "v=spf1 ip4:192.0.2.1 -all"'), client, "a@example.com"
        ).result
        == "pass"
    )


@pytest.mark.parametrize(
    "sender",
    [
        "joe",
        "joe@localhost",
        "joe@a..b",
        "joe@[192.0.2.1]",
        "joe@" + "a" * 64 + ".example",
        "joe@",
        "@",
        "joe@\ud800.example",
    ],
)
def test_no_domain_is_none(sender: str) -> None:
    assert check_host_now(ZoneResolver(), CLIENT, sender).result == "none"


def test_international_domains_are_asked_for_as_a_labels() -> None:
    resolver = ZoneResolver('xn--bcher-kva.example TXT "v=spf1 ip4:192.0.2.1 -all"')
    assert check_host_now(resolver, CLIENT, "joe@Bücher.example").result == "pass"


def test_odd_local_parts_stay_names() -> None:
    """A local part is data: dots, quotes, spaces and UTF-8 in it reach DNS as octets of a label, or match
    nothing."""
    zone = 'example.com TXT "v=spf1 exists:%{l}.ok.example -all"\na\\032b\\195\\169.ok.example A 127.0.0.1'
    assert check_host_now(ZoneResolver(zone), CLIENT, "a bé@example.com").result == "pass"
    for local in ("x" * 64, "..", '"quoted"', "\\", "\udcff"):
        assert check_host_now(ZoneResolver(zone), CLIENT, f"{local}@example.com").result == "fail", local


def test_explanation_is_theirs_and_bounded() -> None:
    zone = (
        'example.com TXT "v=spf1 -all exp=why.example.com"\nwhy.example.com TXT "%{i} %{c} %{r} %{t} is %{S}"'
    )
    finding = check_host_now(ZoneResolver(zone), CLIENT, "joe+x@example.com")
    assert finding.explanation == "192.0.2.1 192.0.2.1 mx.example.org 1800000000 is joe%2Bx%40example.com"
    longer = 'example.com TXT "v=spf1 -all exp=why.example.com"\nwhy.example.com TXT "' + "%{h}" * 60 + '"'
    assert len(check_host_now(ZoneResolver(longer), CLIENT, "joe@example.com").explanation or "") == 500


def test_includes_cannot_loop() -> None:
    zone = 'a.example TXT "v=spf1 include:b.example -all"\nb.example TXT "v=spf1 redirect=a.example"'
    resolver = ZoneResolver(zone)
    assert check_host_now(resolver, CLIENT, "joe@a.example").result == "permerror"
    assert len(resolver.questions) <= 11


def test_synchronous_entry_over_a_function() -> None:
    def lookup(name: str, rtype: str) -> Answer:
        if (name, rtype) == ("example.com", "TXT"):
            return Answer(name=name, rtype="TXT", status=DnsStatus.NOERROR, records=(b"v=spf1 ?all",))
        return Answer(name=name, rtype="TXT", status=DnsStatus.NXDOMAIN)

    evidence = check_message_now(LookupResolver(lookup), CLIENT, "joe@example.com")
    assert (evidence.mailfrom.result, evidence.helo.result) == ("neutral", "none")


def test_long_names_lose_labels_on_the_left() -> None:
    def dropped_one_by_one(name: str) -> str:
        name = name.removesuffix(".")
        while len(name) > MAX_DOMAIN_OCTETS:
            name = name.partition(".")[2]
        return name

    dice = random.Random(1)
    names = [
        "a" * 254,
        "a" * 253,
        "a." * 127,
        ".".join("x" * dice.randint(1, 9) for _ in range(60)),
        "." * 300,
        "a." + "b" * 253,
        "b" * 252 + ".",
    ]
    for name in [
        *names,
        *("".join(dice.choices("ab.", (3, 3, 1), k=dice.randint(240, 600))) for _ in range(200)),
    ]:
        assert shorten_domain(name) == dropped_one_by_one(name)
    with effort(0.5):
        assert len(shorten_domain("a." * 2_000_000 + "example.org")) <= MAX_DOMAIN_OCTETS
