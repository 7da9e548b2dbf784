"""Findings kept for the lifetime of the DNS answers behind them: when they are, for how long, and when
never."""

from ipaddress import ip_address

import pytest

from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.dns import Answer, DnsStatus, Record, RecordType
from sekisho.probes.kept import KeptFindings
from sekisho.probes.lifetime import MOST_SECONDS, Findings
from sekisho.testing.clock import ManualClock
from sekisho.testing.zones import ZoneResolver

DMARC = b"v=DMARC1; p=reject"
CLIENT = ip_address("192.0.2.1")
ZONE = """
example.com             600 TXT "v=spf1 include:_spf.example.com -all"
_spf.example.com        120 TXT "v=spf1 ip4:192.0.2.1 -all"
mx.example.com          300 A   192.0.2.1
mx.example.com          300 TXT "v=spf1 a -all"
personal.example        300 TXT "v=spf1 exists:%{l}.ok.example -all"
joe.ok.example          300 A   127.0.0.1
explained.example       300 TXT "v=spf1 -all exp=why.example"
why.example             300 TXT "at %{t}"
long.example       10000000 TXT "v=spf1 +all"
fleeting.example          0 TXT "v=spf1 +all"
bypath.example          300 TXT "v=spf1 exists:%{o}.ok.example -all"
bypath.example.ok.example 300 A 127.0.0.1
_dmarc.example.com      200 TXT "v=DMARC1; p=reject"
1.2.0.192.in-addr.arpa   60 PTR mx.example.com
2.2.0.192.in-addr.arpa   60 PTR silent.example
$SERVFAIL silent.example
$SERVFAIL _dmarc.silent.example
"""


class Asked(ZoneResolver):
    """Counts the questions; `changed` answers come before those of the zone."""

    def __init__(self) -> None:
        super().__init__(ZONE)
        self.count = 0
        self.changed: dict[tuple[str, RecordType], Answer] = {}

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        self.count += 1
        return self.changed.get((name, rtype)) or await super().resolve(name, rtype)


def answer(name: str, rtype: RecordType, records: tuple[Record, ...], ttl_seconds: int) -> Answer:
    status = DnsStatus.NOERROR if records else DnsStatus.NODATA
    return Answer(name=name, rtype=rtype, status=status, records=records, ttl_seconds=ttl_seconds)


def path(text: str) -> ReversePath:
    return ReversePath(Address.from_text(text)) if text else ReversePath()


def client(hello: str = "mx.example.com", address: str = "192.0.2.1", now_seconds: int = 0) -> SpfClient:
    return SpfClient(ip_address(address), hello, "mx.example.org", now_seconds)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kept(clock: ManualClock) -> KeptFindings:
    return KeptFindings(clock.monotonic)


async def test_iprev_at_the_greeting_serves_the_message_too(kept: KeptFindings) -> None:
    resolver = Asked()
    first = await kept.iprev(resolver, CLIENT)
    asked = resolver.count
    assert first.result == "pass" and asked == 2
    assert await kept.iprev(resolver, CLIENT) == first and resolver.count == asked


async def test_spf_of_a_second_sender_of_the_domain_is_the_same(kept: KeptFindings) -> None:
    resolver = Asked()
    first = await kept.spf(resolver, client(), path("joe@example.com"))
    asked = resolver.count
    assert (first.mailfrom.result, first.helo.result) == ("pass", "pass")
    assert await kept.spf(resolver, client(), path("jim@example.com")) == first and resolver.count == asked


@pytest.mark.parametrize(
    ("other", "sender"),
    [
        (client(address="192.0.2.9"), "joe@example.com"),
        (client(hello="other.example"), "joe@example.com"),
        (client(), "joe@bypath.example"),
        (client(), ""),
    ],
)
async def test_another_client_hello_or_domain_is_asked_for(
    kept: KeptFindings, other: SpfClient, sender: str
) -> None:
    resolver = Asked()
    await kept.spf(resolver, client(), path("joe@example.com"))
    asked = resolver.count
    fresh = await KeptFindings(lambda: 0.0).spf(Asked(), other, path(sender))
    assert await kept.spf(resolver, other, path(sender)) == fresh and resolver.count > asked


async def test_the_shortest_answer_ends_it(kept: KeptFindings, clock: ManualClock) -> None:
    """_spf.example.com lives 120 s, all others longer: then a change is seen."""
    resolver = Asked()
    await kept.spf(resolver, client(), path("joe@example.com"))
    denied = answer("_spf.example.com", "TXT", (b"v=spf1 -all",), 300)
    resolver.changed["_spf.example.com", "TXT"] = denied
    clock.advance(119.9)
    assert (await kept.spf(resolver, client(), path("joe@example.com"))).mailfrom.result == "pass"
    clock.advance(0.2)
    assert (await kept.spf(resolver, client(), path("joe@example.com"))).mailfrom.result == "fail"


async def test_an_answer_that_was_old_already_ends_it_the_sooner(
    kept: KeptFindings, clock: ManualClock
) -> None:
    """As the cache of the resolver gives it: with the time that it still has to live."""
    resolver = Asked()
    whole = await resolver.resolve("example.com", "TXT")
    resolver.changed["example.com", "TXT"] = answer("example.com", "TXT", whole.records, 7)
    await kept.spf(resolver, client(), path("joe@example.com"))
    asked = resolver.count
    clock.advance(7)
    await kept.spf(resolver, client(), path("joe@example.com"))
    assert resolver.count > asked


@pytest.mark.parametrize(
    "sender", ["joe@fleeting.example", "joe@personal.example", "joe@explained.example", "joe@silent.example"]
)
async def test_what_is_fleeting_personal_explained_or_unknown_is_never_kept(
    kept: KeptFindings, sender: str
) -> None:
    resolver = Asked()
    await kept.spf(resolver, client(), path(sender))
    asked = resolver.count
    await kept.spf(resolver, client(), path(sender))
    assert resolver.count == 2 * asked


async def test_a_personal_record_is_asked_about_each_person(kept: KeptFindings) -> None:
    results = [
        (await kept.spf(Asked(), client(), path(f"{name}@personal.example"))).mailfrom.result
        for name in ("joe", "jim", "joe")
    ]
    assert results == ["pass", "fail", "pass"]


async def test_a_temperror_of_iprev_is_never_kept(kept: KeptFindings) -> None:
    resolver, address = Asked(), ip_address("192.0.2.2")
    assert (await kept.iprev(resolver, address)).result == "temperror"
    resolver.changed["silent.example", "A"] = answer("silent.example", "A", (address,), 300)
    assert (await kept.iprev(resolver, address)).result == "pass"


async def test_a_domain_that_exists_is_asked_once_and_an_unknown_one_again(kept: KeptFindings) -> None:
    resolver = Asked()
    for _ in range(2):
        found = await kept.existence(resolver, path("joe@example.com"))
        assert found is not None and found.state == "exists" and resolver.count == 1
    for asked in (2, 3):
        found = await kept.existence(resolver, path("joe@silent.example"))
        assert found is not None and found.state == "unknown" and resolver.count == asked
    assert await kept.existence(resolver, path("")) is None and resolver.count == 3


async def test_dmarc_of_other_papers_is_another(kept: KeptFindings, clock: ManualClock) -> None:
    resolver = Asked()
    passed = await kept.dmarc(resolver, ["example.com"], "example.com", [])
    asked = resolver.count
    assert passed.result == "pass"
    assert (
        await kept.dmarc(resolver, ["example.com"], "example.com", []) == passed and resolver.count == asked
    )
    assert (await kept.dmarc(resolver, ["example.com"], None, [])).result == "fail"
    assert (await kept.dmarc(resolver, ["example.com"], None, ["example.com"])).result == "pass"
    assert (await kept.dmarc(resolver, ["silent.example"], None, [])).result == "temperror"
    resolver.changed["_dmarc.silent.example", "TXT"] = answer("_dmarc.silent.example", "TXT", (DMARC,), 60)
    assert (await kept.dmarc(resolver, ["silent.example"], None, [])).result == "fail"
    resolver.changed["_dmarc.example.com", "TXT"] = answer("_dmarc.example.com", "TXT", (), 60)
    clock.advance(200)
    assert (await kept.dmarc(resolver, ["example.com"], "example.com", [])).result == "none"


async def test_nothing_is_kept_for_longer_than_an_hour(kept: KeptFindings, clock: ManualClock) -> None:
    resolver = Asked()
    resolver.changed["mx.example.com", "TXT"] = answer("mx.example.com", "TXT", (), 10_000_000)
    await kept.spf(resolver, client(), path("joe@long.example"))
    asked = resolver.count
    clock.advance(MOST_SECONDS)
    await kept.spf(resolver, client(), path("joe@long.example"))
    assert resolver.count > asked


def test_it_is_bounded_and_the_one_that_was_not_used_for_longest_goes(clock: ManualClock) -> None:
    findings: Findings[int, str] = Findings(clock.monotonic, 2)
    for number in (1, 2):
        findings.keep(number, str(number), 60)
    assert findings.get(1) == "1"
    findings.keep(3, "3", 60)
    assert (findings.get(1), findings.get(2), findings.get(3), len(findings)) == ("1", None, "3", 2)
