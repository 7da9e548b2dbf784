"""What the body of a message says: its words, and apart from them its build (parts, markup, links) as tokens
for statistics."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from sekisho.core.message.hops import organisation
from sekisho.core.message.hypertext import Hypertext, read_hypertext
from sekisho.core.message.structure import Part
from sekisho.core.message.text import BodyDecoder
from sekisho.core.message.words import MAX_CHARACTERS, words
from sekisho.core.policy.classifier.headtokens import shape

Add = Callable[[str], None]

MAX_PARTS = 50
MAX_LINKS = 200
MAX_HIDDEN_WORDS = 100

_URL = re.compile(r"\b(?:https?|ftp)://([^\s<>\"')]{1,500})|\bmailto:([^\s<>\"')?]{1,200})", re.IGNORECASE)
_HOST_END = re.compile(r"[/?#]")
_ADDRESS_HOST = re.compile(r"[\dx.]{4,}\Z")
_NAMED_HOST = re.compile(r"\b(?:[\w\-]{1,63}\.){1,6}[A-Za-z]{2,24}\b")
_PATH_WORD = re.compile(r"[^\W\d_]{2,20}")
_MARKUP = re.compile(r"<(?:html|body|table|font|a\s+href|div)\b", re.IGNORECASE)
_MONEY = re.compile(r"[$€£¥]\s?\d[\d.,]{0,15}|(?<![\d.,])\d[\d.,]{0,15}\s?(?:円|万円|元)")
_WROTE = re.compile(r"wrote:\s{0,4}$", re.MULTILINE)
_SIGNATURE = re.compile(r"^-- \r?$", re.MULTILINE)
_TOLL_FREE = re.compile(r"\b1?-?\(?8(?:00|88|77|66)\)?[\-. ]\d{3}|0120-\d")
_JIS = re.compile(rb"\x1b\$[@B]")
_GUESS_OCTETS = 4096
_GAP = re.compile(r"[ \t]{10}")
_CAPITALS = re.compile(r"[A-Z]{4,}")
_URL_SIGNS = ("://", "mailto:")
_MONEY_SIGNS = tuple("$€£¥円元")
_TOLL_FREE_SIGNS = ("800", "888", "877", "866", "0120-")


class TextBody(NamedTuple):
    """One text part: its octets as they came, as far as they are looked at."""

    part: Part
    octets: bytes


def body_tokens(
    parts: Iterable[Part], size: int, bodies: Iterable[TextBody], author: str, add: Add, add_word: Add
) -> None:
    """`author`: the organisation that From names; `add` takes the build, `add_word` the words."""
    _build(list(parts), size, add)
    left, kinds, hosts = MAX_CHARACTERS, set(), Hosts(author)
    for body in bodies:
        if left <= 0:
            break
        text = decoded(body)[:left]
        left -= len(text)
        is_html = body.part.subtype == b"html"
        kinds.add(body.part.subtype[:20].decode("latin-1"))
        if is_html or _MARKUP.search(text[:2000]):
            page = read_hypertext(text)
            _markup(page, is_html, hosts, add)
            text = page.shown
        else:
            hosts.read(text)
        _text(_URL.sub(" ", text) if _holds_url(text) else text, add, add_word)
    add("kinds:" + "+".join(sorted(kinds)))
    hosts.tell(add)


def decoded(body: TextBody) -> str:
    encoding = body.part.encoding
    charset = body.part.parameter(b"charset") or b""
    is_plain = encoding not in (b"base64", b"quoted-printable")
    if (
        is_plain
        and charset.lower() in (b"", b"us-ascii")
        and (b"\x1b" in body.octets or not body.octets.isascii())
    ):
        charset = _guessed(body.octets)
    return BodyDecoder(encoding, charset or b"utf-8").feed(body.octets, final=True)


def _guessed(octets: bytes) -> bytes:
    """The charset of text that names none."""
    if _JIS.search(octets):
        return b"iso-2022-jp"
    for charset in ("utf-8", "euc_jp", "cp932"):
        try:
            # The text may have been cut within a character.
            octets[:_GUESS_OCTETS].rpartition(b"\n")[0].decode(charset)
        except UnicodeDecodeError:
            continue
        return charset.encode()
    return b"latin-1"


def _build(parts: list[Part], size: int, add: Add) -> None:
    add(f"parts#{len(parts).bit_length()}")
    add(f"size#{size.bit_length()}")
    for part in parts[:MAX_PARTS]:
        add("t:" + f"{part.type[:20].decode('latin-1')}/{part.subtype[:40].decode('latin-1')}")
        if boundary := part.parameter(b"boundary"):
            add("b:" + shape(boundary.decode("latin-1")))
        if charset := part.parameter(b"charset"):
            add("cs:" + charset[:30].lower().decode("latin-1"))
        if encoding := part.first(b"content-transfer-encoding"):
            add("te:" + encoding[:20].lower().decode("latin-1"))
        if name := part.parameter(b"name"):
            add("ext:" + name[-40:].rpartition(b".")[2][:8].lower().decode("latin-1"))


class Hosts:
    """Where links lead, over all texts of a message."""

    def __init__(self, author: str) -> None:
        self._author = author
        self._count = 0
        self._found: set[str] = set()
        self._tokens: set[str] = set()

    def read(self, text: str) -> None:
        """Links written out in a text."""
        if not _holds_url(text):
            return
        for match in _URL.finditer(text):
            if self._count >= MAX_LINKS:
                return
            self._count += 1
            self._one(match[1], match[2])

    def link(self, target: str, shown: str) -> None:
        """A link of HTML; `shown` is what its reader sees, which may name another place."""
        match = _URL.match(target.strip())
        if not match or self._count >= MAX_LINKS:
            return
        self._count += 1
        host = self._one(match[1], match[2])
        named = _NAMED_HOST.search(shown[:200].lower())
        if host and named:
            self._tokens.add(
                "u:as shown" if organisation(named[0]) == organisation(host) else "u:not as shown"
            )

    def _one(self, rest: str | None, address: str | None) -> str:
        tokens = self._tokens
        if rest is None:
            tokens.add("u:mailto")
            tokens.add("u:to:" + organisation((address or "").lower().rpartition("@")[2]))
            return ""
        rest = rest.lower()
        host = _HOST_END.split(rest, maxsplit=1)[0]
        path = rest[len(host) :]
        _user, at, host = host.rpartition("@")
        if at:
            tokens.add("u:user")
        if "%" in host:
            tokens.add("u:percent")
            host = unquote(host)
        host, colon, _ = host.partition(":")
        if colon:
            tokens.add("u:port")
        if _ADDRESS_HOST.match(host):
            tokens.add("u:address")
        if "@" in path or "%40" in path:
            tokens.add("u:recipient")
        owner = organisation(host)
        self._found.add(owner)
        tokens.update(("u:" + host, "u:" + owner, "ut:" + host.rpartition(".")[2][:10]))
        for word in _PATH_WORD.findall(path)[:6]:
            tokens.add("up:" + word)
        return host

    def tell(self, add: Add) -> None:
        for token in self._tokens:
            add(token)
        add(f"u#{self._count.bit_length()}")
        add(f"uh#{len(self._found).bit_length()}")
        if self._found and self._author:
            add(
                "ua:"
                + (
                    "all"
                    if self._found == {self._author}
                    else "some"
                    if self._author in self._found
                    else "none"
                )
            )


def _markup(page: Hypertext, is_html: bool, hosts: Hosts, add: Add) -> None:
    add("html" if is_html else "html in text")
    for name in page.tags:
        add("<" + name)
    for mark in page.marks:
        add("<" + mark)
    add(f"tags#{sum(page.tags.values()).bit_length()}")
    add(f"imgs#{page.tags.get('img', 0).bit_length()}")
    add(f"links#{len(page.links).bit_length()}")
    if page.comments:
        add(f"comments#{page.comments.bit_length()}")
    for link in page.links[:MAX_LINKS]:
        hosts.link(link.target, link.shown)
    for source in page.sources[:MAX_LINKS]:
        hosts.link(source, "")
    if hidden := words(page.hidden)[:MAX_HIDDEN_WORDS]:
        add(f"hidden#{len(hidden).bit_length()}")
        for word in hidden:
            add("hid:" + word)


# The patterns below cost a millisecond for a long text, a search for what each of them needs costs
# microseconds.


def _holds_url(text: str) -> bool:
    return _holds(text.lower(), _URL_SIGNS)


def _holds(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)


def _text(text: str, add: Add, add_word: Add) -> None:
    found = words(text)
    for word in dict.fromkeys(found):
        add_word(word)
    capitals = _count_capitals(text)
    add(f"words#{len(found).bit_length()}")
    add(f"capitals#{10 * capitals // max(len(found), 1)}")
    add(f"bangs#{text.count('!').bit_length()}")
    add(f"line#{(len(text) // (text.count(chr(10)) + 1)).bit_length()}")
    if _holds(text, _MONEY_SIGNS):
        for money in _MONEY.findall(text)[:20]:
            add("$:" + shape(money, 12))
    for token in _habits(text):
        add(token)
    if "!!" in text:
        add("!!")
    if not text.isascii():
        add("8bit")


def _habits(text: str) -> Iterator[str]:
    """How its writer, or its program, lays out a text."""
    if text.startswith(">") or "\n>" in text:
        yield "quoted"
    if "wrote:" in text and _WROTE.search(text):
        yield "wrote"
    if "-- " in text and _SIGNATURE.search(text):
        yield "signature"
    if _holds(text, _TOLL_FREE_SIGNS) and _TOLL_FREE.search(text):
        yield "tollfree"
    if " " * 10 in text or ("\t" in text and _GAP.search(text)):
        yield "gap"


def _count_capitals(text: str) -> int:
    """Words of four or more capital letters and nothing else."""
    count, size = 0, len(text)
    for match in _CAPITALS.finditer(text):
        begin, end = match.span()
        count += not ((begin and _is_of_word(text[begin - 1])) or (end < size and _is_of_word(text[end])))
    return count


def _is_of_word(character: str) -> bool:
    return character == "_" or character.isalnum()
