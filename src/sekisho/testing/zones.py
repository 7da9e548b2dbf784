"""A resolver over zone text, so that a test can write its own Internet.

The text is a small subset of master files (RFC 1035 §5.1). Names without a trailing dot stand under
`$ORIGIN`, which is the root until it is set. Comments begin with `;`; a line that begins with white space has
the owner of the line before.

    example.com        MX     10 mail.example.com
                       TXT    "v=spf1 mx -all"
    mail.example.com   A      192.0.2.1
    *.wild.example     A      192.0.2.9
    _25._tcp.mail.example.com  TLSA 3 1 1 0123abcd…

Directives, each on a line of its own:

    $TTL 600                  default time to live from here on
    $ORIGIN example.com.      what relative names stand under from here on
    $AD on | off              are the sets that follow secure (AD bit)?
    $SERVFAIL name [TYPE]     questions for that name (and type) end so; likewise $TIMEOUT and $BOGUS
    $TRUNCATE name [TYPE]     the test server answers with TC over UDP, in full over TCP
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import cast, get_args

from sekisho.core.dns.names import BadName, normalize_name, parent_name
from sekisho.core.terms.dns import Answer, DnsStatus, Mx, Record, RecordType, Soa, Srv, Tlsa

MAX_CNAMES = 8
_TYPES = frozenset(get_args(RecordType))
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s";]+)|;.*')
_ESCAPE = re.compile(rb"\\([0-9]{3})|\\(.)")
_FAULTS = {"$SERVFAIL": DnsStatus.SERVFAIL, "$TIMEOUT": DnsStatus.TIMEOUT, "$BOGUS": DnsStatus.BOGUS}


class ZoneTextError(ValueError):
    """A line of zone text that cannot be read; the message quotes it."""


@dataclass(slots=True)
class RecordSet:
    ttl_seconds: int
    secure: bool
    records: list[Record] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Zone:
    """What exists. `faults` with type None are for every type of the name and go before its records."""

    sets: dict[tuple[str, RecordType], RecordSet] = field(default_factory=dict)
    faults: dict[tuple[str, RecordType | None], DnsStatus] = field(default_factory=dict)
    truncated: set[tuple[str, RecordType | None]] = field(default_factory=set)
    names: dict[str, bool] = field(default_factory=lambda: {"": False})  # existing names: is the name secure
    negative_ttl_seconds: int = 300

    @classmethod
    def from_text(cls, text: str) -> "Zone":
        """Raises ZoneTextError."""
        reader = _Reader(zone=cls())
        for line in text.splitlines():
            try:
                reader.read(line)
            except (ValueError, LookupError) as error:
                raise ZoneTextError(f"cannot read the zone line {line.strip()!r}: {error}") from error
        return reader.zone

    def add(
        self, name: str, rtype: RecordType, record: Record, ttl_seconds: int = 300, *, secure: bool = False
    ) -> None:
        """One more record; `name` as in `normalize_name`."""
        name = normalize_name(name)
        found = self.sets.setdefault((name, rtype), RecordSet(ttl_seconds, secure))
        found.records.append(record)
        while name not in self.names:  # RFC 4592 §2.2.2: empty non-terminals exist
            self.names[name] = secure
            name = parent_name(name)

    def break_name(self, name: str, status: DnsStatus, rtype: RecordType | None = None) -> None:
        """Let questions for `name` end with `status`."""
        self.faults[(normalize_name(name), rtype)] = status

    def fault(self, name: str, rtype: RecordType) -> DnsStatus | None:
        return self.faults.get((name, None)) or self.faults.get((name, rtype))

    def closest_name(self, name: str) -> str:
        """The nearest existing name at or above `name`."""
        while name not in self.names:
            name = parent_name(name)
        return name

    def owner(self, name: str) -> str | None:
        """The name whose sets answer for `name`: itself, or the wildcard of RFC 4592 §3.3.1; None if there is
        none."""
        if name in self.names:
            return name
        closest = self.closest_name(name)
        wildcard = f"*.{closest}" if closest else "*"
        return wildcard if wildcard in self.names else None

    def soa(self, name: str) -> tuple[str, RecordSet] | None:
        """The SOA at or above `name` with its owner."""
        while True:
            if (found := self.sets.get((name, "SOA"))) is not None:
                return name, found
            if not name:
                return None
            name = parent_name(name)

    def answer(self, name: str, rtype: RecordType) -> Answer:
        """What a perfect resolver would say."""
        try:
            current = question = normalize_name(name)
        except BadName:
            return Answer(
                name=name,
                rtype=rtype,
                status=DnsStatus.NXDOMAIN,
                ttl_seconds=self.negative_ttl_seconds,
                canonical_name=name,
            )
        ttl, secure = 2**31 - 1, True
        for _ in range(MAX_CNAMES + 1):
            if (status := self.fault(current, rtype)) is not None:
                return Answer(name=question, rtype=rtype, status=status, canonical_name=current)
            owner = self.owner(current)
            if (
                owner is None
                or (found := self.sets.get((owner, rtype)) or self.sets.get((owner, "CNAME"))) is None
            ):
                status = DnsStatus.NXDOMAIN if owner is None else DnsStatus.NODATA
                secure = secure and self.names[self.closest_name(current)]
                return Answer(
                    name=question,
                    rtype=rtype,
                    status=status,
                    records=(),
                    ttl_seconds=min(ttl, self._negative_ttl(current)),
                    secure=secure,
                    canonical_name=current,
                )
            ttl, secure = min(ttl, found.ttl_seconds), secure and found.secure
            if (owner, rtype) in self.sets:
                return Answer(
                    name=question,
                    rtype=rtype,
                    status=DnsStatus.NOERROR,
                    records=tuple(found.records),
                    ttl_seconds=ttl,
                    secure=secure,
                    canonical_name=current,
                )
            current = cast(str, found.records[0])
        return Answer(name=question, rtype=rtype, status=DnsStatus.SERVFAIL, canonical_name=current)

    def _negative_ttl(self, name: str) -> int:
        found = self.soa(name)
        if found is None:
            return self.negative_ttl_seconds
        soa = cast(Soa, found[1].records[0])
        return min(found[1].ttl_seconds, soa.minimum)  # RFC 2308 §5


class ZoneResolver:
    """A `Resolver` over a zone. `questions` lists what was asked, in order; the zone may be changed at any
    time."""

    def __init__(self, zone: Zone | str = "") -> None:
        self.zone = Zone.from_text(zone) if isinstance(zone, str) else zone
        self.questions: list[tuple[str, RecordType]] = []

    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        """Nothing is at hand: every question is counted."""
        return None

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        self.questions.append((name, rtype))
        return self.zone.answer(name, rtype)


@dataclass(slots=True, kw_only=True)
class _Reader:
    zone: Zone
    origin: str = ""
    owner: str = ""
    ttl_seconds: int = 300
    secure: bool = False

    def read(self, line: str) -> None:
        tokens = _tokens(line)
        if not tokens:
            return
        if tokens[0].startswith(b"$") and not line[0].isspace():
            self._directive([token.decode("ascii") for token in tokens])
            return
        if not line[0].isspace():
            self.owner = self._name(tokens.pop(0))
        ttl = self.ttl_seconds
        while tokens and (tokens[0].isdigit() or tokens[0].upper() == b"IN"):
            word = tokens.pop(0)
            ttl = int(word) if word.isdigit() else ttl
        rtype = _record_type(tokens.pop(0).decode("ascii"))
        self.zone.add(self.owner, rtype, _PARSERS[rtype](self, tokens), ttl, secure=self.secure)

    def _directive(self, words: list[str]) -> None:
        verb = words[0].upper()
        if verb == "$TTL":
            self.ttl_seconds = int(words[1])
        elif verb == "$ORIGIN":
            self.origin = normalize_name(words[1])
        elif verb == "$AD":
            self.secure = {"on": True, "off": False}[words[1].lower()]
        elif verb in _FAULTS or verb == "$TRUNCATE":
            name = self._name(words[1].encode())
            rtype = _record_type(words[2]) if len(words) > 2 else None
            if verb == "$TRUNCATE":
                self.zone.truncated.add((name, rtype))
            else:
                self.zone.break_name(name, _FAULTS[verb], rtype)
        else:
            raise ZoneTextError(f"unknown directive {verb}")

    def _name(self, token: bytes) -> str:
        text = token.decode("ascii")
        if text == "@":
            return self.origin
        if text.endswith(".") or not self.origin:
            return normalize_name(text)
        return normalize_name(f"{text}.{self.origin}")

    def mx(self, tokens: list[bytes]) -> Record:
        return Mx(int(tokens[0]), self._name(tokens[1]))

    def soa(self, tokens: list[bytes]) -> Record:
        # mname rname serial refresh retry expire minimum
        return Soa(self._name(tokens[0]), self._name(tokens[1]), int(tokens[2]), int(tokens[6]))

    def srv(self, tokens: list[bytes]) -> Record:
        return Srv(int(tokens[0]), int(tokens[1]), int(tokens[2]), self._name(tokens[3]))

    def name(self, tokens: list[bytes]) -> Record:
        return self._name(tokens[0])


def _record_type(word: str) -> RecordType:
    if word.upper() not in _TYPES:
        raise ZoneTextError(f"unknown record type {word}")
    return cast(RecordType, word.upper())


def _tokens(line: str) -> list[bytes]:
    """Words and quoted strings (unescaped); names keep their escapes."""
    out = []
    for match in _TOKEN.finditer(line):
        if match[1] is not None:
            out.append(_ESCAPE.sub(lambda m: bytes((int(m[1]),)) if m[1] else m[2], match[1].encode()))
        elif match[2] is not None:
            out.append(match[2].encode())
    return out


def _ipv4(_: _Reader, tokens: list[bytes]) -> Record:
    return IPv4Address(tokens[0].decode("ascii"))


def _ipv6(_: _Reader, tokens: list[bytes]) -> Record:
    return IPv6Address(tokens[0].decode("ascii"))


def _txt(_: _Reader, tokens: list[bytes]) -> Record:
    return b"".join(tokens)


def _tlsa(_: _Reader, tokens: list[bytes]) -> Record:
    return Tlsa(
        int(tokens[0]), int(tokens[1]), int(tokens[2]), bytes.fromhex(b"".join(tokens[3:]).decode("ascii"))
    )


_PARSERS: dict[RecordType, Callable[[_Reader, list[bytes]], Record]] = {
    "A": _ipv4,
    "AAAA": _ipv6,
    "MX": _Reader.mx,
    "TXT": _txt,
    "PTR": _Reader.name,
    "CNAME": _Reader.name,
    "NS": _Reader.name,
    "SOA": _Reader.soa,
    "TLSA": _tlsa,
    "SRV": _Reader.srv,
}
