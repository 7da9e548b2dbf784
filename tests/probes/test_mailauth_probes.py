from ipaddress import ip_address
from typing import cast

import pytest
from tests.stores.opened import OpenStore

from sekisho.core.mailauth.results import dmarc_result, iprev_result, spf_results
from sekisho.core.message.authentication_results import format_authentication_results
from sekisho.core.message.authorship import read_authorship
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.content import ContentWriter
from sekisho.ports.directory import Domain
from sekisho.ports.stream import Endpoint
from sekisho.probes.arrival import Arrival
from sekisho.probes.authorship import probe_authorship
from sekisho.probes.dmarc import probe_dmarc
from sekisho.probes.iprev import probe_iprev
from sekisho.probes.spf import probe_spf
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.zones import ZoneResolver

ZONE = """
example.com             TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com      TXT "v=DMARC1; p=reject"
mx.example.com          A   192.0.2.1
mx.example.com          TXT "v=spf1 a -all"
1.2.0.192.in-addr.arpa  PTR mx.example.com
"""

RESOLVER = ZoneResolver(ZONE)
SEVERAL = """
_dmarc.mild.example     TXT "v=DMARC1; p=none"
_dmarc.strict.example   TXT "v=DMARC1; p=reject"
$TIMEOUT _dmarc.broken.example
"""


def _arrival(
    client: str = "192.0.2.1",
    reverse_path: str = "joe@example.com",
    header: bytes = b"From: joe@example.com\r\n\r\n",
) -> Arrival:
    path = ReversePath(Address.from_text(reverse_path) if reverse_path else None)
    return Arrival(
        client=Endpoint(ip_address(client), 25000),
        hello="mx.example.com",
        envelope=Envelope(reverse_path=path),
        header=HeaderSection(header),
        content=cast(ContentWriter, None),  # none of these probes reads the body
        hostname="mx.example.org",
        at_us=1_800_000_000_000_000,
    )


async def _written(arrival: Arrival, dkim_domains: tuple[str, ...] = ()) -> list[str]:
    spf, iprev = await probe_spf(arrival, RESOLVER), await probe_iprev(arrival, RESOLVER)
    dmarc = await probe_dmarc(RESOLVER, read_authorship(arrival.header), spf, dkim_domains)
    results = (
        *spf_results(spf, str(arrival.envelope.reverse_path), arrival.hello),
        iprev_result(iprev),
        dmarc_result(dmarc),
    )
    field = format_authentication_results(arrival.hostname, results).decode()
    return [line.strip() for line in field.replace("\r\n\t  ", " ").split("\r\n\t")[1:]]


async def test_everything_passes() -> None:
    assert await _written(_arrival()) == [
        "spf=pass smtp.mailfrom=joe@example.com;",
        "spf=pass smtp.helo=mx.example.com;",
        "iprev=pass (mx.example.com) policy.iprev=192.0.2.1;",
        "dmarc=pass header.from=example.com policy.dmarc=reject",
    ]


async def test_a_stranger_in_the_name_of_the_domain() -> None:
    assert await _written(_arrival("192.0.2.66")) == [
        "spf=fail smtp.mailfrom=joe@example.com;",
        "spf=fail smtp.helo=mx.example.com;",
        "iprev=permerror policy.iprev=192.0.2.66;",
        "dmarc=fail header.from=example.com policy.dmarc=reject",
    ]


async def test_null_reverse_path_is_about_helo_and_aligns_with_it() -> None:
    assert (await _written(_arrival(reverse_path="")))[0] == "spf=pass smtp.helo=mx.example.com;"
    spf = await probe_spf(_arrival(reverse_path=""), RESOLVER)
    assert (spf.mailfrom.result, spf.mailfrom.domain) == ("pass", "mx.example.com")  # RFC 7208 §2.4


async def test_dkim_alone_can_pass() -> None:
    assert (await _written(_arrival("192.0.2.66"), ("example.com",)))[
        -1
    ] == "dmarc=pass header.from=example.com policy.dmarc=reject"


@pytest.mark.parametrize(
    ("author", "result", "domain"),
    [
        ("a@mild.example, b@example.com", "fail", "example.com"),  # the strictest of what fails
        ("b@example.com, a@mild.example", "fail", "example.com"),
        ("a@mild.example, b@nothing.example", "fail", "mild.example"),
        ("a@nothing.example, b@nowhere.example", "none", "nothing.example"),
        ("a@strict.example, b@example.com", "fail", "example.com"),
        (
            "a@strict.example, b@nothing.example",
            "none",
            "nothing.example",
        ),  # it passes only if it does for all
        ("a@broken.example, b@mild.example", "temperror", "broken.example"),
        ("a@broken.example, b@example.com", "fail", "example.com"),
        ("<b@example.com> <a@strict.example>", "fail", "example.com"),  # unreadable, and judged all the same
        (
            "<a@strict.example>; <a@strict.example>",
            "pass",
            "strict.example",
        ),  # which helps nobody: it cannot be read
        (", ".join(f"a@d{number}.example" for number in range(6)), "permerror", ""),
        ("nobody", "permerror", ""),
        ("a@[192.0.2.1]", "permerror", ""),
    ],
)
async def test_several_domains_are_as_good_as_the_strictest_of_them(
    author: str, result: str, domain: str
) -> None:
    """RFC 9989 §11.5."""
    arrival = _arrival("192.0.2.66", header=f"From: {author}\r\n\r\n".encode())
    finding = await probe_dmarc(
        ZoneResolver(ZONE + SEVERAL),
        read_authorship(arrival.header),
        await probe_spf(arrival, RESOLVER),
        ["strict.example"],
    )
    assert (finding.result, finding.author_domain) == (result, domain)


async def test_a_sender_of_ours_beside_a_foreign_author_is_found() -> None:
    directory = OpenStore(ManualClock(), SeededDice()).directory
    await directory.add_domain(Domain("ours.example", 0))
    fields = b"From: joe@example.com\r\nSender: Boss <boss@sub.ours.example>, x@elsewhere.example\r\n\r\n"
    arrival = _arrival(header=fields)
    finding = await probe_authorship(
        arrival,
        RESOLVER,
        read_authorship(arrival.header),
        directory,
        spf=await probe_spf(arrival, RESOLVER),
        dkim_domains=(),
    )
    assert (finding.own_senders, finding.own_shown, finding.shown) == (("ours.example",), (), ())
