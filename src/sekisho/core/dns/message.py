"""The wire codec of a stub resolver: one question out, one answer in (RFC 1035 §4).

An answer is hostile octets (THREATS 23): every length is checked, a compression pointer may only point
backwards, and names, records and alias chains are capped. Whatever is wrong with it is a `WireError`; there
is no other exception.
"""

import re
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from sekisho.core.dns.names import MAX_LABEL_OCTETS, MAX_NAME_OCTETS, label_to_text, name_to_wire
from sekisho.core.terms.dns import DnsStatus, Mx, Record, RecordType, Soa, Srv, Tlsa

TYPE_CODES: dict[RecordType, int] = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "TLSA": 52,
}
MAX_RECORDS = 1000
MAX_CNAMES = 8
MAX_POINTERS = 64
UDP_PAYLOAD_OCTETS = 1232  # what passes everywhere without fragments

_QR, _TC, _RD, _AD = 0x8000, 0x0200, 0x0100, 0x0020
_CNAME, _SOA, _OPT = 5, 6, 41
_EDE_OPTION = 15
_NOERROR, _FORMERR, _NXDOMAIN, _NOTIMP = 0, 1, 3, 4
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_OPTION = struct.Struct("!HH")
_SOA_NUMBERS = struct.Struct("!IIIII")
_SRV_NUMBERS = struct.Struct("!HHH")
_MAX_TTL = 2**31 - 1
# RFC 8914 §4: DNSSEC Bogus, Signature Expired, Signature Not Yet Valid, DNSKEY Missing, RRSIGs Missing, No
# Zone Key Bit Set, NSEC Missing.
_BOGUS_CODES = frozenset(range(6, 13))
_PLAIN_LABELS = re.compile(rb"[!-\[\]-~]*\Z")


class WireError(ValueError):
    """The octets are no well-formed answer."""


class Reading(NamedTuple):
    """What one message says about one question.

    `final` is False when an alias chain ends, without any proof, at `canonical_name`: that name must be asked
    next. `ttl_seconds` is 0 for what may not be cached (RFC 2308 §5: no SOA).
    """

    status: DnsStatus
    records: tuple[Record, ...] = ()
    ttl_seconds: int = 0
    authentic: bool = False  # the AD bit (RFC 4035 §3.2.3)
    canonical_name: str = ""
    final: bool = True
    truncated: bool = False
    edns_refused: bool = False  # RFC 6891 §7: ask again without EDNS


def build_query(query_id: int, name_wire: bytes, rtype: RecordType, *, edns: bool = True) -> bytes:
    """A recursive question. AD is set to learn of the validation without its signatures (RFC 6840 §5.7).

    `name_wire` comes from `name_to_wire`; letters in it may be put in upper case, the answer must repeat them
    so.
    """
    # RFC 6891 §6.1.2: the OPT record's class is our payload size; version 0, no flags, no options.
    opt = b"\0" + _RECORD.pack(_OPT, UDP_PAYLOAD_OCTETS, 0, 0) if edns else b""
    header = _HEADER.pack(query_id, _RD | _AD, 1, 0, 0, 1 if edns else 0)
    return header + name_wire + struct.pack("!HH", TYPE_CODES[rtype], 1) + opt


def answers_query(response: bytes, query: bytes) -> bool:
    """Does it carry that query's id and exactly its question (RFC 5452 §9.1)? The source is the socket's
    business."""
    end = 12
    while query[end]:
        end += 1 + query[end]
    end += 5
    return (
        len(response) >= end
        and response[:2] == query[:2]
        and response[2] >= 0x80
        and response[12:end] == query[12:end]
    )


def read_response(octets: bytes, name: str, rtype: RecordType) -> Reading:
    """The answer to `name`/`rtype` (normalised), aliases inside the message followed; raises WireError.

    The caller has checked id and question with `answers_query`; raises BadName for a name that no query can
    have.
    """
    try:
        return _read(octets, name, rtype)
    except (struct.error, IndexError) as error:
        raise WireError("the message ends too early") from error


def read_name(octets: bytes, position: int) -> tuple[str, int]:
    """The name at `position` as text, and the position behind it; raises WireError or IndexError.

    A pointer must point before the labels it was reached from (RFC 1035 §4.1.4: "a prior occurrence"), so no
    loop exists.
    """
    labels: list[bytes] = []
    start, end, size, pointers = position, -1, 1, 0
    while length := octets[position]:
        if length <= MAX_LABEL_OCTETS:
            size += 1 + length
            if size > MAX_NAME_OCTETS:
                raise WireError("a name longer than 255 octets")
            labels.append(octets[position + 1 : position + 1 + length])
            position += 1 + length
            continue
        target = (length & 0x3F) << 8 | octets[position + 1]
        pointers += 1
        if length < 0xC0 or target >= start or pointers > MAX_POINTERS:
            raise WireError("a bad compression pointer")
        end = position + 2 if end < 0 else end
        start = position = target
    joined = b".".join(labels)
    if _PLAIN_LABELS.match(joined) and joined.count(b".") == len(labels) - 1:
        text = joined.decode("ascii").lower()
    else:
        text = ".".join(map(label_to_text, labels))
    return text, position + 1 if end < 0 else end


class _Row(NamedTuple):
    owner: str
    code: int
    class_: int
    ttl: int
    start: int
    end: int


def _read(octets: bytes, name: str, rtype: RecordType) -> Reading:
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(octets)
    if not flags & _QR or questions != 1:
        raise WireError("not an answer to one question")
    if answers + authorities + additionals > MAX_RECORDS:
        raise WireError(f"more than {MAX_RECORDS} records")
    if flags & _TC:
        return Reading(DnsStatus.SERVFAIL, truncated=True)
    wire = name_to_wire(name)
    position = 12 + len(wire)
    if octets[12:position].lower() != wire:
        raise WireError("an answer to another question")
    rows, position = _read_rows(octets, position + 4, answers, name)
    authority, position = _read_rows(octets, position, authorities, name)
    extra, _ = _read_rows(octets, position, additionals, name)
    extended, bogus = _read_opt(octets, extra)
    rcode = extended << 4 | flags & 0xF
    if rcode not in (_NOERROR, _NXDOMAIN):
        return Reading(
            DnsStatus.BOGUS if bogus else DnsStatus.SERVFAIL, edns_refused=rcode in (_FORMERR, _NOTIMP)
        )
    end, ttl, found = _follow(octets, rows, name, TYPE_CODES[rtype])
    authentic = flags & _AD != 0
    if found:
        parse = _PARSERS[rtype]
        return Reading(
            status=DnsStatus.NOERROR,
            records=tuple([parse(octets, row.start, row.end) for row in found]),
            ttl_seconds=ttl,
            authentic=authentic,
            canonical_name=end,
        )
    negative = _negative_ttl(octets, authority)
    if rcode == _NOERROR and end != name and negative is None:
        return Reading(
            status=DnsStatus.NODATA,
            records=(),
            ttl_seconds=ttl,
            authentic=authentic,
            canonical_name=end,
            final=False,
        )
    status = DnsStatus.NXDOMAIN if rcode == _NXDOMAIN else DnsStatus.NODATA
    return Reading(
        status=status,
        records=(),
        ttl_seconds=min(ttl, negative or 0),
        authentic=authentic,
        canonical_name=end,
    )


def _read_rows(octets: bytes, position: int, count: int, question: str) -> tuple[list[_Row], int]:
    rows = []
    for _ in range(count):
        if octets[position] == 0xC0 and octets[position + 1] == 12:  # nearly always: the question's name
            owner, position = question, position + 2
        elif octets[position] == 0:  # the root: the OPT record's
            owner, position = "", position + 1
        else:
            owner, position = read_name(octets, position)
        code, class_, ttl, length = _RECORD.unpack_from(octets, position)
        start = position + _RECORD.size
        position = start + length
        rows.append(
            _Row(
                owner=owner,
                code=code,
                class_=class_,
                ttl=0 if ttl > _MAX_TTL else ttl,
                start=start,
                end=position,
            )
        )  # RFC 2181 §8
    if position > len(octets):
        raise WireError("a record that ends too early")
    return rows, position


def _follow(octets: bytes, rows: list[_Row], name: str, code: int) -> tuple[str, int, list[_Row]]:
    """(the name at the end of the alias chain, the least TTL on the way, its records of the type)."""
    ttl = _MAX_TTL
    for _ in range(MAX_CNAMES + 1):
        here = [row for row in rows if row.owner == name and row.class_ == 1]
        if found := [row for row in here if row.code == code]:
            return name, min(ttl, *[row.ttl for row in found]), found
        alias = next((row for row in here if row.code == _CNAME), None)
        if alias is None:
            return name, ttl, []
        ttl = min(ttl, alias.ttl)
        name = _read_whole_name(octets, alias.start, alias.end)
    raise WireError(f"more than {MAX_CNAMES} aliases")


def _negative_ttl(octets: bytes, authority: list[_Row]) -> int | None:
    """RFC 2308 §5: the lesser of the SOA's own TTL and its MINIMUM; None without an SOA."""
    for row in authority:
        if row.code == _SOA and row.class_ == 1:
            return min(row.ttl, _soa(octets, row.start, row.end).minimum)
    return None


def _read_opt(octets: bytes, extra: list[_Row]) -> tuple[int, bool]:
    """The upper bits of the RCODE (RFC 6891 §6.1.3), and whether an extended error says that DNSSEC
    validation failed."""
    opt = next((row for row in extra if row.code == _OPT), None)
    if opt is None:
        return 0, False
    (extended,) = octets[opt.start - 6 : opt.start - 5]
    position, bogus = opt.start, False
    while position < opt.end:
        option, length = _OPTION.unpack_from(octets, position)
        value = octets[position + 4 : position + 4 + length]
        position += 4 + length
        if option == _EDE_OPTION and length >= 2:  # RFC 8914 §2
            bogus = bogus or int.from_bytes(value[:2], "big") in _BOGUS_CODES
    if position != opt.end:
        raise WireError("an option that ends too early")
    return extended, bogus


def _read_whole_name(octets: bytes, start: int, end: int) -> str:
    name, behind = read_name(octets, start)
    if behind != end:
        raise WireError("a name that does not fill its record")
    return name


def _ipv4(octets: bytes, start: int, end: int) -> Record:
    if end - start != 4:
        raise WireError("an A record must have 4 octets")
    return IPv4Address(octets[start:end])


def _ipv6(octets: bytes, start: int, end: int) -> Record:
    if end - start != 16:
        raise WireError("an AAAA record must have 16 octets")
    return IPv6Address(octets[start:end])


def _mx(octets: bytes, start: int, end: int) -> Record:
    return Mx(octets[start] << 8 | octets[start + 1], _read_whole_name(octets, start + 2, end))


def _txt(octets: bytes, start: int, end: int) -> Record:
    length = octets[start]
    if end - start == length + 1:
        return octets[start + 1 : end]
    strings = []
    while start < end:
        length = octets[start]
        strings.append(octets[start + 1 : start + 1 + length])
        start += 1 + length
    if start != end or not strings:
        raise WireError("a character-string that ends too early")
    return b"".join(strings)


def _soa(octets: bytes, start: int, end: int) -> Soa:
    mname, position = read_name(octets, start)
    rname, position = read_name(octets, position)
    if end - position != 20:
        raise WireError("an SOA record must end in five numbers")
    serial, _, _, _, minimum = _SOA_NUMBERS.unpack_from(octets, position)
    return Soa(mname, rname, serial, 0 if minimum > _MAX_TTL else minimum)


def _tlsa(octets: bytes, start: int, end: int) -> Record:
    if end - start < 4:  # RFC 6698 §2.1
        raise WireError("a TLSA record without data")
    return Tlsa(octets[start], octets[start + 1], octets[start + 2], octets[start + 3 : end])


def _srv(octets: bytes, start: int, end: int) -> Record:
    priority, weight, port = _SRV_NUMBERS.unpack_from(octets, start)
    return Srv(priority, weight, port, _read_whole_name(octets, start + 6, end))


_PARSERS: dict[RecordType, Callable[[bytes, int, int], Record]] = {
    "A": _ipv4,
    "NS": _read_whole_name,
    "CNAME": _read_whole_name,
    "SOA": _soa,
    "PTR": _read_whole_name,
    "MX": _mx,
    "TXT": _txt,
    "AAAA": _ipv6,
    "SRV": _srv,
    "TLSA": _tlsa,
}
