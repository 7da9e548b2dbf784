"""All checks together: the same evidence whether the answers are in the cache, have to be asked for, or some
of each."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.stores.opened import OpenStore

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.dnsbl import Blocklist, CodeRange
from sekisho.core.policy.evidence import Evidence
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.dns import Answer, RecordType
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.directory import Domain
from sekisho.ports.stream import Endpoint
from sekisho.probes.arrival import Arrival
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.table import gather_evidence
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.zones import ZoneResolver

NOW = 1_800_000_000
SIGNER = DkimSigner("example.com", "s1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
ZONE = f"""
example.com             TXT "v=spf1 include:_spf.example.com -all"
_spf.example.com        TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com      TXT "v=DMARC1; p=reject"
mx.example.com          A   192.0.2.1
1.2.0.192.in-addr.arpa  PTR mx.example.com
1.2.0.192.one.test      A   127.0.0.2
{SIGNER.key_name}       TXT "{SIGNER.key_record}"
"""
PLAIN = b"From: joe@example.com\r\nList-Id: <club.example.com>\r\n\r\n" + b"a line  of text \r\n" * 10_000
LISTS = tuple(
    Blocklist(zone=zone, codes=(CodeRange.parse("127.0.0.2"),)) for zone in ("one.test", "two.test")
)
MESSAGE = sign_message([SIGNER], PLAIN, NOW) + PLAIN


class Cached(ZoneResolver):
    """Those questions that `is_at_hand` are answered from the cache; the others yield to the loop first."""

    def __init__(self, is_at_hand: Callable[[str, RecordType], bool]) -> None:
        super().__init__(ZONE)
        self._is_at_hand = is_at_hand

    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        return self.zone.answer(name, rtype) if self._is_at_hand(name, rtype) else None

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        await asyncio.sleep(0)
        return await super().resolve(name, rtype)


class Content:
    """A content that tells how often each piece was read."""

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.size_octets = len(MESSAGE)

    def write(self, octets: bytes) -> None:
        raise AssertionError

    def head(self, limit_octets: int) -> bytes:
        return MESSAGE[:limit_octets]

    async def read(self, offset: int, length: int) -> bytes:
        self.reads.append(offset)
        return MESSAGE[offset : offset + length]

    def discard(self) -> None:
        pass


async def gather(resolver: Cached, content: Content) -> Evidence:
    store = OpenStore(ManualClock(), SeededDice())
    await store.directory.add_domain(Domain("example.com", 0))
    header = HeaderSection(MESSAGE)
    arrival = Arrival(
        client=Endpoint(ip_address("192.0.2.1"), 25000),
        hello="mx.example.com",
        envelope=Envelope(reverse_path=ReversePath(Address.from_text("joe@example.com"))),
        header=header,
        content=content,
        hostname="mx.example.org",
        at_us=NOW * 1_000_000,
        body_offset=header.body,
    )
    return await gather_evidence(arrival, BudgetedResolver(resolver), store.directory, blocklists=LISTS)


@pytest.mark.parametrize(
    "missing",
    ["", "arpa", "_spf", "_domainkey", "_dmarc", "two.test", "."],
    ids=[
        "all at hand",
        "no reverse name",
        "no included record",
        "no key",
        "no policy",
        "no second list",
        "nothing at hand",
    ],
)
async def test_the_evidence_is_the_same(missing: str) -> None:
    resolver, content = Cached(lambda name, rtype: not missing or missing not in name), Content()
    evidence = await gather(resolver, content)
    assert (evidence.iprev and evidence.iprev.name, evidence.spf and evidence.spf.mailfrom.result) == (
        "mx.example.com",
        "pass",
    )
    assert (
        [one.result for one in evidence.dkim or ()] == ["pass"]
        and evidence.arc is not None
        and evidence.arc.result == "none"
    )
    assert evidence.dmarc is not None and (evidence.dmarc.result, evidence.dmarc.spf_aligned) == (
        "pass",
        "example.com",
    )
    assert (
        evidence.dnsbl is not None
        and [one.zone for one in evidence.dnsbl.listed] == ["one.test"]
        and evidence.dnsbl.asked == 2
    )
    assert (evidence.own_authors, evidence.list_id) == (("example.com",), "club.example.com")
    assert len(content.reads) == len(set(content.reads)) == 3  # each piece of the body once
    assert all(missing in name for name, _ in resolver.questions) and bool(missing) == bool(
        resolver.questions
    )


async def test_a_strangers_slow_zone_uses_up_no_time_for_dmarc() -> None:
    """SPF and keys are asked beside the author's policy, of which the answer is then at hand."""
    resolver = Cached(
        lambda name, rtype: name == "_dmarc.example.com" and (name, rtype) in resolver.questions
    )
    await gather(resolver, Content())
    names = [name for name, _ in resolver.questions]
    assert names.count("_dmarc.example.com") == 1 and names.index("_dmarc.example.com") < names.index(
        "_spf.example.com"
    )


async def test_no_task_is_made_where_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*coroutines: object) -> object:
        raise AssertionError("a task was made")

    monkeypatch.setattr(asyncio, "gather", refuse)
    evidence = await gather(Cached(lambda name, rtype: True), Content())
    assert evidence.dmarc is not None and evidence.dmarc.result == "pass"
