"""The codec against dnspython, and against octets that are no answer."""

import struct
from ipaddress import IPv4Address, IPv6Address

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.core.dns.message import (
    MAX_CNAMES,
    Reading,
    WireError,
    answers_query,
    build_query,
    read_name,
    read_response,
)
from sekisho.core.dns.names import name_to_wire
from sekisho.core.terms.dns import DnsStatus, Mx, Record, RecordType, Soa, Srv, Tlsa

LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
U16 = st.integers(0, 65535)
U8 = st.integers(0, 255)
RECORDS: dict[RecordType, st.SearchStrategy[Record]] = {
    "A": st.ip_addresses(v=4),
    "AAAA": st.ip_addresses(v=6),
    "MX": st.builds(Mx, U16, NAME),
    "TXT": st.binary(max_size=600),
    "PTR": NAME,
    "NS": NAME,
    "CNAME": NAME,
    "SOA": st.builds(Soa, NAME, NAME, st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1)),
    "TLSA": st.builds(Tlsa, U8, U8, st.integers(3, 255), st.binary(min_size=1, max_size=64)),
    "SRV": st.builds(Srv, U16, U16, U16, NAME),
}


def _text(record: Record) -> str:
    match record:
        case Mx():
            return f"{record.preference} {record.host}."
        case Srv():
            return f"{record.priority} {record.weight} {record.port} {record.target}."
        case Soa():
            return f"{record.mname}. {record.rname}. {record.serial} 1 2 3 {record.minimum}"
        case Tlsa():
            return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"
        case bytes():
            parts = [record[i : i + 255] for i in range(0, len(record), 255)] or [b""]
            return " ".join('"' + "".join(f"\\{octet:03d}" for octet in part) + '"' for part in parts)
        case IPv4Address() | IPv6Address():
            return str(record)
    return f"{record}."


def _response(name: str, rtype: str) -> dns.message.Message:
    query = dns.message.from_wire(build_query(77, name_to_wire(name), rtype))  # type: ignore[arg-type]  # plain strings in this test
    return dns.message.make_response(query, recursion_available=True)


def _add(section: list[dns.rrset.RRset], owner: str, ttl: int, rtype: str, *records: Record) -> None:
    section.append(dns.rrset.from_text(owner + ".", ttl, "IN", rtype, *map(_text, records)))


@pytest.mark.parametrize("rtype", list(RECORDS))
@given(data=st.data())
@settings(max_examples=40)
def test_what_dnspython_writes_is_read(rtype: RecordType, data: st.DataObject) -> None:
    name = data.draw(NAME)
    records = data.draw(
        st.lists(RECORDS[rtype], min_size=1, max_size=1 if rtype in ("CNAME", "SOA") else 5, unique=True)
    )
    ttl = data.draw(st.integers(0, 2**31 - 1))
    response = _response(name, rtype)
    _add(response.answer, name, ttl, rtype, *records)
    reading = read_response(response.to_wire(), name, rtype)
    assert (reading.status, sorted(map(str, reading.records)), reading.ttl_seconds) == (
        DnsStatus.NOERROR,
        sorted(map(str, records)),
        ttl,
    )


def _rich_answer() -> bytes:
    response = _response("www.example.com", "MX")
    response.flags |= dns.flags.AD
    _add(response.answer, "www.example.com", 300, "CNAME", "web.example.com")
    _add(response.answer, "web.example.com", 200, "CNAME", "host.example.net")
    _add(response.answer, "host.example.net", 250, "MX", Mx(10, "mx1.example.net"), Mx(20, "mx2.example.net"))
    _add(response.authority, "example.net", 10, "NS", "ns.example.net")
    _add(response.additional, "mx1.example.net", 10, "A", IPv4Address("192.0.2.1"))
    response.use_edns(0, options=[dns.edns.EDEOption(3, "stale")])
    return response.to_wire()


def test_aliases_inside_one_message() -> None:
    reading = read_response(_rich_answer(), "www.example.com", "MX")
    expected = (Mx(10, "mx1.example.net"), Mx(20, "mx2.example.net"))
    assert (reading.status, set(reading.records), reading.ttl_seconds) == (
        DnsStatus.NOERROR,
        set(expected),
        200,
    )
    assert (reading.canonical_name, reading.authentic, reading.final) == ("host.example.net", True, True)


def test_every_prefix_is_a_clean_error() -> None:
    octets = _rich_answer()
    for end in range(len(octets)):
        with pytest.raises(WireError):
            read_response(octets[:end], "www.example.com", "MX")


@given(st.binary(max_size=300), st.sampled_from(list(RECORDS)))
def test_garbage_gives_only_wire_errors(octets: bytes, rtype: RecordType) -> None:
    header = struct.pack("!HHHHHH", 1, 0x8180, 1, 3, 1, 1)
    try:
        reading = read_response(header + b"\x01a\0\0\x01\0\x01" + octets, "a", rtype)
    except WireError:
        return
    assert isinstance(reading, Reading)


@given(st.data())
@settings(max_examples=300)
def test_a_changed_octet_gives_only_wire_errors(data: st.DataObject) -> None:
    octets = bytearray(_rich_answer())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(2, len(octets) - 1))] = data.draw(U8)
    try:
        reading = read_response(bytes(octets), "www.example.com", "MX")
    except WireError:
        return
    assert len(reading.records) <= 1000


@given(st.binary(max_size=80), st.integers(0, 79))
def test_names_in_garbage(octets: bytes, position: int) -> None:
    try:
        name, end = read_name(octets, position)
    except (WireError, IndexError):
        return
    assert position < end <= len(octets)
    if "\\" not in name:
        expected, used = dns.name.from_wire(octets, position)
        assert (name, end) == (
            expected.to_text(omit_final_dot=True).lower().removeprefix("@").removesuffix("."),
            position + used,
        )


@pytest.mark.parametrize(
    "octets",
    [
        b"\xc0\x00",  # a pointer to itself
        b"\x01a\xc0\x00",  # a loop over a label
        b"\xc0\x02\x00",  # forwards
        b"\x40" + b"a" * 64,  # a reserved label type
    ],
)
def test_bad_pointers(octets: bytes) -> None:
    with pytest.raises(WireError):
        read_name(octets, 0)


def test_many_pointers_end_early() -> None:
    octets = (
        b"\0" + b"\0" + b"".join(struct.pack("!H", 0xC000 | max(0, at - 2)) for at in range(2, 16_000, 2))
    )
    with pytest.raises(WireError, match="pointer"):
        read_name(octets, len(octets) - 2)


def test_negative_answers_live_as_the_soa_says() -> None:
    for rcode, status in [(dns.rcode.NXDOMAIN, DnsStatus.NXDOMAIN), (dns.rcode.NOERROR, DnsStatus.NODATA)]:
        response = _response("no.example", "A")
        response.set_rcode(rcode)
        assert read_response(response.to_wire(), "no.example", "A") == Reading(
            status=status, records=(), ttl_seconds=0, authentic=False, canonical_name="no.example"
        )
        _add(response.authority, "example", 500, "SOA", Soa("ns.example", "root.example", 1, 60))
        assert read_response(response.to_wire(), "no.example", "A").ttl_seconds == 60  # RFC 2308 §5


def test_an_alias_to_nothing() -> None:
    response = _response("www.example", "A")
    _add(response.answer, "www.example", 30, "CNAME", "gone.example")
    assert not read_response(response.to_wire(), "www.example", "A").final
    _add(response.authority, "example", 500, "SOA", Soa("ns.example", "root.example", 1, 60))
    reading = read_response(response.to_wire(), "www.example", "A")
    assert (reading.status, reading.final, reading.ttl_seconds, reading.canonical_name) == (
        DnsStatus.NODATA,
        True,
        30,
        "gone.example",
    )


def test_alias_chain_has_an_end() -> None:
    response = _response("n0.example", "A")
    for number in range(MAX_CNAMES + 1):
        _add(response.answer, f"n{number}.example", 30, "CNAME", f"n{number + 1}.example")
    with pytest.raises(WireError, match="aliases"):
        read_response(response.to_wire(), "n0.example", "A")


@pytest.mark.parametrize(
    ("code", "status"),
    [(6, DnsStatus.BOGUS), (7, DnsStatus.BOGUS), (22, DnsStatus.SERVFAIL), (None, DnsStatus.SERVFAIL)],
)
def test_extended_errors_tell_bogus_from_broken(code: int | None, status: DnsStatus) -> None:
    response = _response("a.example", "A")
    response.set_rcode(dns.rcode.SERVFAIL)
    if code is not None:
        response.use_edns(0, options=[dns.edns.EDEOption(code)])
    assert read_response(response.to_wire(), "a.example", "A").status is status


@pytest.mark.parametrize("rcode", [dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR, dns.rcode.BADVERS])
def test_other_rcodes_are_servfail(rcode: dns.rcode.Rcode) -> None:
    response = _response("a.example", "A")
    response.set_rcode(rcode)
    reading = read_response(response.to_wire(), "a.example", "A")
    assert (reading.status, reading.edns_refused) == (
        DnsStatus.SERVFAIL,
        rcode in (dns.rcode.NOTIMP, dns.rcode.FORMERR),
    )


def test_truncation_is_told_without_reading_on() -> None:
    octets = struct.pack("!HHHHHH", 1, 0x8380, 1, 9, 9, 9)
    assert read_response(octets, "a", "A").truncated


def test_too_many_records() -> None:
    octets = struct.pack("!HHHHHH", 1, 0x8180, 1, 1001, 0, 0) + b"\x01a\0\0\x01\0\x01"
    with pytest.raises(WireError, match="1000 records"):
        read_response(octets, "a", "A")


def test_query_as_dnspython_reads_it() -> None:
    query = dns.message.from_wire(build_query(4711, name_to_wire("_25._tcp.example.com"), "TLSA"))
    assert query.id == 4711
    assert query.question[0].to_text() == "_25._tcp.example.com. IN TLSA"
    assert query.flags == dns.flags.RD | dns.flags.AD
    assert (query.edns, query.payload) == (0, 1232)
    assert dns.message.from_wire(build_query(1, b"\0", "SOA", edns=False)).edns == -1


def test_only_the_same_id_and_question_answers_a_query() -> None:
    query = build_query(4711, name_to_wire("a.example"), "A")
    response = dns.message.make_response(dns.message.from_wire(query)).to_wire()
    assert answers_query(response, query)
    assert not answers_query(query, query)  # not a response
    assert not answers_query(b"\0" + response[1:], query)
    assert not answers_query(response.replace(b"example", b"exAmple"), query)
    assert not any(answers_query(response[:end], query) for end in range(27))
    assert not answers_query(response, build_query(4711, name_to_wire("a.example"), "AAAA"))
