"""Who a message says has written it: what decides, and what any mail program might make of the same octets.

The strict reading of From (`address_list`) is asked first. Beside it stand the reader behind our ENVELOPE and
a naive one that takes whatever follows an "@" anywhere in the field, encoded words, comments, quoted strings
and odd characters taken apart in every way that mail programs do. Where they agree on one domain the author
is known although the form is sloppy; where they do not, nobody is.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from sekisho.core.message.address_list import MAX_VALUE_OCTETS, parse_address_list
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.lookalikes import read_as_latin
from sekisho.core.message.shown_addresses import AddressReader
from sekisho.core.message.text import charset_codec, decode_field, decode_q_or_b
from sekisho.core.terms.address import Address, AddressError, parse_domain

MOST_AUTHOR_DOMAINS = 5  # of one From: each costs the questions of DMARC
MOST_NAMED = 20  # domains that are looked for in one field
_MOST_FOUND = 2000  # places where one may stand

# What nearly everybody writes has one "@", and nothing that a reader could decode to another.
_SIMPLE = re.compile(rb"[ \"#$'*+,\-./0-9:;<>@A-Z\[\]^_`a-z{|}~]*\Z")
# RFC 5322 §3.2.3 atext, dots anywhere (old Japanese carriers), any length; before it a phrase of any kind
# without angle brackets.
_WORD = rb"[^\x00-\x20\"(),:;<>@\[\\\]\x7f]+"
_SLOPPY = re.compile(
    rb"(?:[^<>]*<[ \t]*(?P<local>%b)@(?P<domain>%b)[ \t]*>|[ \t]*(?P<bare>%b)@(?P<at>%b))[ "
    rb"\t]*(?:\([^()]*\))?[ \t]*\Z" % (_WORD, _WORD, _WORD, _WORD)
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]")  # all but TAB, and ESC of ISO-2022-JP
# A name that some program takes for "From": with white space, signs or octets around it that are no part of a
# name.
_ANY_FROM = re.compile(rb"^[^\n:0-9A-Za-z_\-]*from[^\n:0-9A-Za-z_\-]*:([^\n]*)", re.IGNORECASE | re.MULTILINE)
_ALMOST = re.compile(rb"[^0-9A-Za-z_\-]+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")

_SEAM = re.compile(rb"\?=[ \t\r\n]*=\?")
_WHOLE_SEAM = re.compile(rb"=*\?=[ \t\r\n]*=\?[^?]*\?[BbQq]\?")
_ENCODED = re.compile(rb"=\?([^?]*)\?([BbQq])\?([^?]*)(?:\?=|\?|\Z)")
_ENCODED_TIGHT = re.compile(rb"=\?([^?]*)\?([BbQq])\?([^? \t]*)(?:\?=|\?|(?=[ \t])|\Z)")
# Up to "?=", whatever question marks stand before it, as most programs read it.
_ENCODED_LONG = re.compile(rb"=\?([^?]*)\?([BbQq])\?(.*?)(?:\?=|\Z)", re.DOTALL)
_WIDE = re.compile(
    rb"=\?utf-?(?:16|32)[?*]", re.IGNORECASE
)  # without a mark of their order: both are read somewhere
_CHARSETS = (
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "euc_kr",
    "latin-1",
)  # that unlabelled octets are taken for

_DOTS = str.maketrans(
    {"\u3002": ".", "\uff61": ".", "\uff0e": "."}
)  # what IDNA takes for dots, and keyboards give
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164"
                     "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\x00-\x08\x0e-\x1f\x7f-"
                         "\x9f]")  # fmt: skip
_PAREN = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTES = re.compile("[\"'\\\\]")
_LABEL = r"[^\s@%!<>()\[\]{},;:\"'\\/|=?&#*$^~`+.]+"
_NAME = rf"{_LABEL}(?:\.+{_LABEL})*"
_BETWEEN = r"[\s<>()\[\]{}\"'\\:;,./=|~`]{0,20}"
_NAMED = re.compile(rf"(?:@|(?<=\w)%){_BETWEEN}({_NAME})")
_NAMED_APART = re.compile(rf"@{_BETWEEN}({_LABEL}(?:\s*\.[\s.]*{_LABEL})+)")
_BEFORE_BANG = re.compile(rf"({_NAME})\Z")
_RUN = re.compile(r"[^\W_](?:[^\W_]|-)*(?:\.[^\W_](?:[^\W_]|-)*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorship:
    """`addresses`: the authors, none where there is a `problem` (why nobody can tell who wrote it, "" else).
    `domains`: all that must speak for the message, in A-labels: of those addresses and of what our ENVELOPE
    would show; with a problem all that any reader finds, at most `MOST_NAMED`. `shown`: further domains that
    a mail program may show beside them. `senders`: of Sender, which some put before the author ("on behalf
    of")."""

    addresses: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    problem: str = ""


def read_authorship(header: HeaderSection) -> Authorship:
    """RFC 5322 §3.6: one From. THREATS 40."""
    values = _from_values(header)
    if header.too_many or len(values) != 1:
        problem = "there is no From field" if not values else f"there are {len(values)} From fields"
        if header.too_many:
            problem = "there are more header fields than are read"
        return Authorship(domains=tuple(_first(_domains_of(values))), problem=problem)
    (value,) = values
    found = _read(value)
    read_as = [
        name
        for domain in (*found.domains, *found.shown)
        if (name := read_as_latin(domain)) and name not in found.domains
    ]
    senders = _first(_domains_of(header.values(b"sender"))) if header.count(b"sender") else []
    if found.problem or not (read_as or senders):
        return found
    others = tuple(name for name in senders if name not in found.domains)
    return replace(found, shown=tuple(_first([*read_as, *found.shown])), senders=others)


def _from_values(header: HeaderSection) -> list[bytes]:
    """Of each field that some program could take for a From."""
    names = header.by_name
    if b"" in names or any(
        b"from" in name and name != b"from" and _ALMOST.sub(b"", name) == b"from" for name in names
    ):
        return [match[1].strip() for match in _ANY_FROM.finditer(_FOLD.sub(b"", header.octets[: header.end]))]
    return list(header.values(b"from"))


def _read(value: bytes) -> Authorship:
    addresses = parse_address_list(value)
    if (
        addresses
        and len(addresses) == 1
        and value.count(b"@") == 1
        and _SIMPLE.match(value)
        and not addresses[0].is_literal
    ):
        return Authorship(addresses=addresses, domains=(addresses[0].domain,))
    shown_as = _envelope_domains(value)
    named = list(dict.fromkeys(_named(value)))
    problem = "From cannot be read as a list of addresses"
    if not addresses:
        sloppy = _sloppy(value)
        own = {sloppy.domain} if sloppy is not None else set()
        if sloppy is not None and {name for name in (*named, *shown_as) if "." in name} <= own | {""}:
            addresses = (sloppy,)
        elif addresses is not None:
            problem = "From names nobody"
    domains = list(dict.fromkeys([*(address.domain for address in addresses or ()), *filter(None, shown_as)]))
    if addresses and any(address.is_literal for address in addresses):
        problem, addresses = "From names an IP address instead of a domain", None
    elif addresses and len(domains) > MOST_AUTHOR_DOMAINS:
        problem, addresses = f"From names more than {MOST_AUTHOR_DOMAINS} domains", None
    if not addresses:
        return Authorship(domains=tuple(_first([*domains, *named])), problem=problem)
    return Authorship(
        addresses=addresses,
        domains=tuple(domains),
        shown=tuple(_first(name for name in named if name not in domains)),
    )


def _first(domains: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(domain for domain in domains if domain and not domain.startswith("[")))[
        :MOST_NAMED
    ]


def _domains_of(values: Iterable[bytes]) -> Iterator[str]:
    for value in values:
        yield from _envelope_domains(value)
        yield from _named(value)


def _sloppy(value: bytes) -> Address | None:
    """One address behind what is no phrase of RFC 5322 §3.2.5, or with dots or a length that the grammar does
    not give."""
    match = _SLOPPY.match(value) if len(value) <= MAX_VALUE_OCTETS and not _CONTROLS.search(value) else None
    if match is None:
        return None
    try:
        return Address(
            (match["local"] or match["bare"]).decode(),
            parse_domain((match["domain"] or match["at"]).decode(), literals=False),
        )
    except (AddressError, UnicodeDecodeError):
        return None


def _envelope_domains(value: bytes) -> list[str]:
    """Of what IMAP's ENVELOPE shows; "" for an address without one."""
    reader = AddressReader()
    reader.read(value[:MAX_VALUE_OCTETS])
    hosts = dict.fromkeys(address.host for address in reader.found if address.host is not None)
    return [found for host in hosts for found in (_valid(host.decode("utf-8", "replace")) or [""])]


def _named(value: bytes) -> Iterator[str]:
    """Domains of whatever a mail program could show as an address, in A-labels."""
    seen: dict[str, None] = {}
    for text in _texts(value[:MAX_VALUE_OCTETS]):
        for shape in _shapes(text):
            for number, name in enumerate(_names(shape)):
                if number > _MOST_FOUND or len(seen) > _MOST_FOUND:
                    break
                seen[name] = None
    for name in seen:
        yield from _valid(name)


def _names(text: str) -> Iterator[str]:
    for pattern in (_NAMED, _NAMED_APART):
        for match in pattern.finditer(text):
            yield match[1]
    for piece, behind in _around_bangs(text):
        host = _BEFORE_BANG.search(piece[-256:]) if behind else None
        if host is not None:
            yield host[1]


def _around_bangs(text: str) -> Iterator[tuple[str, bool]]:
    """What stands before each "!" of a path (host!user), and whether something follows at once."""
    pieces = text.split("!", 50) if "!" in text else []
    for before, after in pairwise(pieces):
        yield before, bool(after) and (after[0].isalnum() or after[0] in "\"'")


def _shapes(text: str) -> Iterator[str]:
    """The text as it is, without comments, without quoting, and backwards where it says that it is to be read
    so."""
    yield text
    bare = _without_comments(text) if "(" in text else text
    if bare != text:
        yield bare
    for one in {text, bare}:
        if (unquoted := _QUOTES.sub("", one)) != one:
            yield unquoted


def _without_comments(text: str) -> str:
    """RFC 5322 §3.2.2: nested ones, and quoted parentheses. What opens and never ends is no comment."""
    kept, opened, depth, start = [], 0, 0, 0
    for mark in _PAREN.finditer(text):
        if mark[0] == "(":
            depth += 1
            opened = mark.start() if depth == 1 else opened
        elif mark[0] == ")" and depth:
            depth -= 1
            if not depth:
                kept.append(text[start:opened])
                start = mark.end()
    return "".join(kept) + text[start:]


def _texts(value: bytes) -> Iterator[str]:
    """The field decoded in the ways that mail programs decode it."""
    seen = set()
    for text in _decoded(value):
        for form in _forms(text):
            if form not in seen:
                seen.add(form)
                yield form


def _decoded(value: bytes) -> Iterator[str]:
    yield from _raw(value)
    if b"=?" in value:
        yield decode_field(value)
        for joined in (value, _SEAM.sub(b"?==?", value), _WHOLE_SEAM.sub(b"", value)):
            once = _ENCODED.sub(_word, joined)
            yield from _raw(once)
            yield from _raw(_ENCODED_TIGHT.sub(_apart, joined))
            if (whole := _ENCODED_LONG.sub(_word, joined)) != once:
                yield from _raw(whole)
            if _WIDE.search(joined):
                yield from _raw(_ENCODED_LONG.sub(_little_word, joined))
            if b"=?" in once:  # encoded twice
                yield from _raw(_ENCODED.sub(_word, _SEAM.sub(b"?==?", once)))


def _apart(match: re.Match[bytes]) -> bytes:
    return b" " + _word(match) + b" "


def _word(match: re.Match[bytes]) -> bytes:
    return (
        decode_q_or_b(match[2], match[3])
        .decode(charset_codec(match[1]), "replace")
        .encode("utf-8", "replace")
    )


def _little_word(match: re.Match[bytes]) -> bytes:
    codec = charset_codec(match[1])
    return (
        decode_q_or_b(match[2], match[3])
        .decode(codec.replace("-be", "-le"), "replace")
        .encode("utf-8", "replace")
    )


def _raw(value: bytes) -> Iterator[str]:
    """Unlabelled octets: UTF-8 (RFC 6532 §3), or what else programs guess."""
    try:
        yield value.decode()
    except UnicodeDecodeError:
        yield value.decode("utf-8", "replace")
        for charset in _CHARSETS:
            yield value.decode(charset, "replace")
    if b"\x1b" in value:
        yield value.decode("iso2022_jp_ext", "replace")


def _forms(text: str) -> Iterator[str]:
    """As the eye reads it: widths, dots of all kinds and signs that nobody sees make no other name."""
    if "\u202e" in text or "\u202b" in text or "\u2067" in text:
        yield _seen(text[::-1])
    yield _seen(text)
    if "&" in text or "%40" in text:
        yield _seen(html.unescape(text).replace("%40", "@"))


def _seen(text: str) -> str:
    if text.isascii() and text.isprintable():
        return _spaced(text.lower())
    return _spaced(
        _UNSEEN.sub(
            "", unicodedata.normalize("NFKC", _UNSEEN.sub("", text).translate(_DOTS)).translate(_DOTS)
        ).lower()
    )


def _spaced(text: str) -> str:
    """White space as screens show it."""
    return " ".join(text.split()) if "  " in text or not text.isprintable() else text


def _valid(name: str) -> list[str]:
    """The domain that a name is, or those that it holds: odd labels before and odd signs around are left
    out."""
    labels = [label for label in re.split(r"[\s.]+", name.strip().lower()) if label]
    labels = [label.strip("-_") for label in labels[-127:]]
    for at in range(max(1, len(labels) - 1)):
        domain = _domain(".".join(labels[at:]))
        if domain and (at == 0 or "." in domain):
            return [domain]
    return [domain for run in _RUN.findall(name)[:3] if (domain := _domain(run))]


def _domain(text: str) -> str:
    try:
        domain = parse_domain(text, literals=False)
    except AddressError:
        return ""
    return "" if domain.rpartition(".")[2].isdigit() else domain  # no top-level name is a number
