"""What the header section of a message says about what kind of message it is, as tokens for statistics."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import dropwhile, pairwise

from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.message.hops import MAX_HOPS, Hop, is_named_by, organisation, read_hop
from sekisho.core.message.text import decode_field
from sekisho.core.message.words import words

Add = Callable[[str], None]

MAX_FIELDS = 200
MAX_VALUE_OCTETS = 1000
# Added by the mailbox or its reader, not by who sent the message.
STORE_FIELDS = frozenset(
    (
        b"return-path", b"delivered-to", b"delivery-date", b"x-original-to", b"envelope-to", b"status",
        b"x-status", b"x-keywords",
        b"x-uid", b"x-uidl", b"lines", b"content-length", b"x-mozilla-status", b"x-mozilla-status2",
        b"x-gmail-labels",
        b"authentication-results", b"received-spf",
    )
)  # fmt: skip
# What other filters said: their word is not to be learned by heart.
FILTER_FIELDS = (b"x-spam", b"x-rspam", b"x-bogosity", b"x-dspam", b"x-junk", b"x-sekisho")
_READ_APART = frozenset(
    (
        b"received", b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to",
        b"references",
        b"content-type", b"content-transfer-encoding", b"mime-version", b"dkim-signature", b"arc-seal",
        b"arc-message-signature",
        b"arc-authentication-results", b"x-google-dkim-signature", b"return-path",
    )
)  # fmt: skip
_ADDRESS = re.compile(r"(?<![\w.+=\-/&'~])([\w.+=\-/&'~]{1,64})@([\w\-]{1,63}(?:\.[\w\-]{1,63}){0,8})")
_PART = re.compile(r"[^\W\d_]{1,30}|\d{1,10}")
_CAPITALS, _SMALLS, _DIGITS = re.compile(r"[A-Z]+"), re.compile(r"[a-z]+"), re.compile(r"\d+")
_TRAILING = re.compile(r"\s{3,}\S{1,40}\Z")
_REPLY = re.compile(r"(?:re|aw|sv|fwd?|tr|wg|返信|転送)\s{0,2}[:\uff1a]", re.IGNORECASE)
_ENCODED = re.compile(rb"=\?([\w\-]{1,40})\?")


def shape(text: str, limit: int = 40) -> str:
    """What a text looks like: `Ab3d-77` is `Aa9a-9`. Programs that write mail are known by the shapes they
    write."""
    text = text[: limit * 4]
    return _DIGITS.sub("9", _SMALLS.sub("a", _CAPITALS.sub("A", text)))[:limit]


def header_tokens(header: HeaderSection, add: Add, client: Hop | None = None) -> str:
    """Hands each token to `add`; gives back the organisation that From names, or "".

    `client`: who handed the message to us, where that is known apart from the header; else the topmost host
    outside is looked for.
    """
    return _Reader(header, add, client).read()


def _is_ours(name: bytes) -> bool:
    return name in STORE_FIELDS or name.startswith(FILTER_FIELDS)


def _outside(hops: Iterable[Hop]) -> list[Hop]:
    """Without what the recipient's own side wrote: fetching, filtering and the name of the host that took the
    message."""
    outside = list(dropwhile(lambda hop: hop.is_private or not hop.address, hops))
    if outside:
        outside[0] = replace(outside[0], by="", zone="", protocol="")
    return outside


class _Reader:
    def __init__(self, header: HeaderSection, add: Add, client: Hop | None) -> None:
        self._header = header
        self._add = add
        self._fields = [field for field in header.fields[:MAX_FIELDS] if not _is_ours(field.name)]
        hops = (read_hop(self._decoded(field)) for field in header.all(b"received")[:MAX_HOPS])
        self._hops = _outside(hops) if client is None else [client, *hops]
        self._author = ("", "")

    def _decoded(self, field: Field) -> str:
        return decode_field(self._header.value(field)[:MAX_VALUE_OCTETS])

    def _text(self, name: bytes) -> str:
        value = self._header.first(name)
        return decode_field(value[:MAX_VALUE_OCTETS]) if value else ""

    def read(self) -> str:
        self._order()
        self._way()
        self._from()
        organisation_of_author = organisation(self._author[1]) if self._author[1] else ""
        self._message_id(organisation_of_author)
        self._others(organisation_of_author)
        self._recipients()
        self._subject()
        self._date()
        self._rest()
        return organisation_of_author

    def _order(self) -> None:
        """The order of fields betrays the program that wrote them."""
        before = ""
        for field in self._fields:
            if field.name == b"received":
                continue
            name = field.name[:40].decode("latin-1")
            if name != before:
                self._add(f"o:{before}>{name}")
            before = name

    def _way(self) -> None:
        add = self._add
        count = len(self._hops)
        add(f"hops:{min(count, 8)}")
        for hop in self._hops:
            self._hop(hop)
        if self._hops:
            first = self._hops[-1]
            add(f"r0:{first.protocol} {'private' if first.is_private else ''} {first.remark}")

    def _hop(self, hop: Hop) -> None:
        add = self._add
        if hop.address and not hop.is_private:
            octets = hop.address.split("." if "." in hop.address else ":")
            add("r:ip:" + ".".join(octets[:1]))
            add("r:ip:" + ".".join(octets[:2]))
            add("r:ip:" + ".".join(octets[:3]))
        elif hop.address:
            add("r:private")
        if hop.hello:
            if hop.hello.replace(".", "").isdigit():
                add("r:hello:address")
            elif "." not in hop.hello:
                add("r:hello:nodot")
            else:
                add("r:hello:" + organisation(hop.hello))
                add("r:tld:" + hop.hello.rpartition(".")[2])
        if hop.name:
            add("r:name:" + organisation(hop.name))
            add("r:nametld:" + hop.name.rpartition(".")[2])
            add("r:label:" + shape(hop.name.partition(".")[0], 16))
            add("r:same" if organisation(hop.name) == organisation(hop.hello) else "r:differs")
        elif hop.hello:
            add("r:noname")
        if hop.remark:
            add("r:" + hop.remark)
        add("r:by:" + organisation(hop.by))
        add("r:with:" + hop.protocol)
        add("r:zone:" + hop.zone)

    def _from(self) -> None:
        add, text = self._add, self._text(b"from")
        found = _ADDRESS.search(text)
        name, bracket, _ = text.partition("<")
        add(
            "from:"
            + (
                "only"
                if not bracket
                else "quoted"
                if name.lstrip().startswith('"')
                else "bare"
                if name.strip()
                else "empty"
            )
        )
        for word in words(name if bracket else "")[:20]:
            add("fn:" + word)
        if not found:
            add("from:none")
            return
        local, domain = found[1].lower(), found[2].lower()
        self._author = (local, domain)
        add(f"from:{local}@{domain}")
        add("fd:" + domain)
        add("fd:" + organisation(domain))
        add("ft:" + domain.rpartition(".")[2])
        add("fs:" + shape(found[1], 12))
        for part in _PART.findall(local)[:8]:
            add("fl:" + part if not part.isdigit() else "fl:#")
        self._aligned("from", organisation(domain))

    def _aligned(self, what: str, domain: str) -> None:
        self._add(f"al:{what}:{is_named_by(self._hops, domain)}")

    def _message_id(self, author: str) -> None:
        add, text = self._add, self._text(b"message-id")
        local, at, domain = text.rpartition("@")
        add("mid:" + shape(local or text))
        if not at:
            add("mid:nodomain")
            return
        owner = organisation(domain.strip("<> "))
        add("md:" + owner)
        add("mid:" + ("author" if owner == author else is_named_by(self._hops, owner) or "nobody"))

    def _others(self, author: str) -> None:
        add = self._add
        if found := _ADDRESS.search(self._text(b"reply-to")):
            owner = organisation(found[2])
            add("rt:author" if owner == author else "rt:other")
            add("rt:" + owner)
        if found := _ADDRESS.search(self._text(b"sender")):
            add("sd:" + organisation(found[2]))
        if value := self._text(b"list-id"):
            add("li:" + value.rpartition("<")[2].strip("> ")[:60].lower())

    def _recipients(self) -> None:
        add, text = self._add, self._text(b"to")
        found = _ADDRESS.findall(text)
        add(f"to#{min(len(found), 5)}")
        masked = _ADDRESS.sub("x", text[:300], count=1)
        add("ts:" + shape(masked, 20))
        if self._author[1] and f"{self._author[0]}@{self._author[1]}" in text.lower():
            add("to:author")
        if copied := _ADDRESS.findall(self._text(b"cc")):
            add(f"cc#{len(copied).bit_length()}")
            for _, domain in copied[:10]:
                add("cd:" + organisation(domain))

    def _subject(self) -> None:
        add, text = self._add, self._text(b"subject")
        raw = self._header.first(b"subject") or b""
        found = words(text)[:60]
        for word in found:
            add("s:" + word)
        for first, second in pairwise(found):
            add(f"s:{first} {second}")
        for mark in "!?$":
            if mark in text:
                add("s" + mark)
        if text.isupper():
            add("s:CAPITALS")
        if _TRAILING.search(text):
            add("s:trailing")
        if not raw.isascii():
            add("s:8bit")
        elif encoded := _ENCODED.search(raw):
            add("s:in:" + encoded[1].lower().decode("latin-1"))
        if _REPLY.match(text):
            answers = self._header.count(b"in-reply-to") or self._header.count(b"references")
            add("s:reply" if answers else "s:reply to nothing")

    def _date(self) -> None:
        text = self._text(b"date")
        self._add("date:" + shape(text))
        zone = re.search(r"[+\-]\d{4}|\b[A-Z]{3,4}\b", text[20:])
        self._add("zone:" + (zone[0] if zone else ""))

    def _rest(self) -> None:
        add = self._add
        for kind in (b"content-type", b"content-transfer-encoding", b"mime-version"):
            if value := self._text(kind):
                add(f"{kind.decode()}={_DIGITS.sub('9', value.lower())[:60]}")
        for field in self._fields:
            if field.name in _READ_APART or field.name.startswith((b"list-", b"resent-")):
                continue
            name = field.name[:40].decode("latin-1")
            value = self._decoded(field)[:200].lower()
            add(f"{name}={_DIGITS.sub('9', value)[:60]}")
            for word in words(value)[:8]:
                add(f"{name}:{word}")
