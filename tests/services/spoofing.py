"""Forms of a From field that show somebody in the name of another: what mail programs may make an author of,
whatever a grammar says.

A form is the whole header section's beginning; `V` in it is the address in whose name it is written, `D` its
domain, `A` the attacker's.
"""

import base64
import quopri
from collections.abc import Iterator

ATTACKER = "attack.example"


def _word(text: str, encoding: str = "q", charset: str = "utf-8", *, codec: str = "") -> bytes:
    octets = text.encode(codec or charset)
    inside = (
        base64.b64encode(octets)
        if encoding in "bB"
        else quopri.encodestring(octets, header=True).replace(b"?", b"=3F")
    )
    return b"=?%b?%b?%b?=" % (charset.encode(), encoding.encode(), inside.replace(b"=\n", b""))


# What strict parsers cannot read, or read otherwise than some program.
_VALUES = r"""
V|<V>|"The Boss" <V>|Boss [Local] <V>|V <V>|Boss <V|<V>text|V.|<<V>>|V; A|<V> <A>|<A> <V>|V, A|A, V|<V>, <A>
A, <V>
<V>,<A>,<V>|Boss: V;|Boss: V, A;|Boss: A, V;|V:A;|V: <A>|V:;|A; V|A : V|Boss <A> <V>|Boss <A>, V|Boss <V>, A
<V>;<A>|<A>;<V>
(c)V|V(c)|<(c)V>|boss(c)@D|boss@(c)D|boss@D(c)|boss @ D|boss@ D|boss @D|<boss @ D>|< V >|<V >|boss@D (A)
A (V)|A (V|(V) A|(V)|((V)) <A>
A (\) V, x (y)|A ( " ) V (" )|A (a(b)V)|A (Boss <V>)|"V" <A>|'V' <A>|V <A>|<V> A|"Boss <V>" <A>|"<V>" <A>
"Boss (V)" <A>|Boss V <A>
"V"@attack.example|"V" <x@attack.example>|"boss\@D" <A>|"bo\ss@D" <A>|boss\@D <A>|V\, <A>|<V>\,<A>|\<V\> <A>
"V\"" <A>|"\"V" <A>
"V, A" <A>|"V" "x" <A>|"boss@" D <A>|boss@"D"|<boss@"D">|"boss"@D|<"boss"@D>|"boss"@"D"|"bo ss"@D|bo"ss"@D
"boss@D|"boss@D" A
<@D:A>|<@A,@D:A>|<@attack.example:V>|<@attack.example,@x.example:V>|<@D,@attack.example:x@attack.example>
@attack.example:V|<@D:x@attack.example>
boss%D@attack.example|boss%D|boss%40D@attack.example|D!boss|D!boss@attack.example|<D!boss>
attack.example!D!boss|boss@D@attack.example
<boss@D@attack.example>|<x@attack.example@D>|x@attack.example@D|boss@@D|<boss@@D>|@V|V@|boss@.D|boss@D.
<boss@D.>|boss@D..|boss.@D|.boss@D|b..oss@D
&lt;V&gt; <A>|boss&#64;D <A>|boss&#x40;D <A>|<a href="mailto:V">x</a> <A>|mailto:V <A>|<mailto:V>|[V] <A>
{V} <A>|V / A
V = A|=V|?V|~V <A>|V! <A>
<V|<A> V|<A>V|V<A>|V>|V> <A|>V<|<>V|V<>|<>, V|V,|,V|,,V,,|V,,A|<V,A>|<A,V>|<V;A>|<V A>|<V><A>|<V>><A>
<<V> <A>|<V<A>>|<A<V>>|Boss <<V> A>
boss@[D]|<boss@[D]>|boss@<D>|<boss>@D|boss@D]|[boss@D|boss@D>|boss@D"|"boss@D" <>|V <>|Boss <> V|V <A|V (A
(x V|x) V|V) <A>|V \ <A>|V\ <A>
boss@sub.D|<boss@sub.D>|"B" <boss@a.b.D>|"boss@sub.D" <A>|boss@sub.D, A|boss@a_b.D|<boss@a_b.D> <A>|boss@-.D
"boss@a_b.D" <A>|boss@*.D
"Boss @ D" <A>|"boss @D" <A>|"boss@ D" <A>|"boss at@D" <A>|(boss @ D) A|Boss via @D <A>|"@D" <A>|@D <A>
"x@x.example; V" <A>|"x V y" <A>
""".strip()


def _values() -> Iterator[str]:
    for line in _VALUES.split("\n"):
        yield from line.split("|")
    yield "V|A"
    yield "A|V"
    yield ", ".join(f"x{number}@attack.example" for number in range(1100)) + ", V"
    yield ", ".join(f"x@a{number}.example" for number in range(8)) + ", V"
    yield '"' + " ".join(f"x@a{number}.example" for number in range(60)) + ' V" <A>'
    yield "x" * 70_000 + " <V>"
    yield "(" * 120 + "V" + ")" * 120 + " <A>"


def _encoded(victim: str, domain: str, attacker: str) -> Iterator[bytes]:
    last = attacker.encode()
    for text in (victim, f"<{victim}>", f"Boss <{victim}>", f"{victim}, x", f'"{victim}"', f"({victim})"):
        for encoding in "qQbB":
            word = _word(text, encoding)
            yield from (
                word,
                word + b" <%b>" % last,
                b'"%b" <%b>' % (word, last),
                b"%b (%b)" % (last, word),
                b"<%b>" % word,
                word + last,
            )
    local, _, _ = victim.partition("@")
    at = domain.encode()
    for charset in (
        "iso-8859-1",
        "windows-1252",
        "iso-2022-jp",
        "shift_jis",
        "euc-jp",
        "utf-7",
        "us-ascii",
        "gb18030",
        "utf-8*en",
        "x-none",
    ):
        codec = "ascii" if charset in ("utf-8*en", "x-none") else charset
        yield _word(victim, "b", charset, codec=codec) + b" <%b>" % last
    for charset in ("iso-2022-jp", "shift_jis", "euc-jp", "gb18030", "utf-16-be"):
        wide = victim.replace("@", "\uff20")
        yield _word(wide, "b", charset) + b" <%b>" % last
    half = len(victim) // 2
    yield _word(victim[:half]) + b" " + _word(victim[half:]) + b" <%b>" % last
    yield _word(victim[:half], "b") + b" " + _word(victim[half:], "b") + b" <%b>" % last
    yield _word(victim[:half], "b") + b"\r\n " + _word(victim[half:], "q") + b" <%b>" % last
    whole = base64.b64encode(victim.encode())
    yield b"=?utf-8?b?%b?= =?utf-8?b?%b?= <%b>" % (whole[:7], whole[7:], last)
    yield b"=?utf-8?b?%b <%b>" % (whole, last)  # never ends
    yield b"=?utf-8?q?%b=40%b <%b>" % (local.encode(), at, last)
    yield b"=?utf-8?q?%b=40%b?x?= <%b>" % (local.encode(), at, last)
    yield b"%b=?utf-8?q?=40?=%b <%b>" % (local.encode(), at, last)
    yield b"%b@=?utf-8?q?%b?= <%b>" % (local.encode(), at, last)
    yield b"%b@=?utf-8?q?%b?=" % (local.encode(), at)
    yield b"=?utf-8?q?%b?=@%b" % (local.encode(), at)
    yield b"<=?utf-8?q?%b?=@%b>" % (local.encode(), at)
    yield _word(_word(victim).decode()) + b" <%b>" % last  # twice
    yield b"=?utf-8?b?" + base64.b64encode(f"<{victim}>".encode()) + b"?=, <%b>" % last
    yield _word(f"{victim}\x00") + b" <%b>" % last
    yield _word(f"{victim}\n{attacker}", "b") + b" <%b>" % last


def _signs(victim: str, domain: str, attacker: str) -> Iterator[bytes]:
    """Octets and characters that some programs leave out, or take for others."""
    local, _, _ = victim.partition("@")
    wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in domain)
    for text in (
        f"{local}\uff20{domain}", f"{local}\ufe6b{domain}", f"{local}@{wide}",
        f"{local}@{domain.replace('.', chr(0x3002))}",
        f"{local}@{domain.replace('.', chr(0xFF0E))}", f"{local}@{domain.replace('.', chr(0xFF61))}",
        f"{local}\uff05{domain}@{ATTACKER}",
        f"{local}@{domain.upper()}", f"{local}@{domain.title()}", f"{local}@\u200b{domain}",
        f"{local}\u200b@{domain}",
        f"{local}@{domain[:2]}\u200b{domain[2:]}", f"{local}@{domain[:2]}\u00ad{domain[2:]}",
        f"{local}@{domain[:2]}\u2060{domain[2:]}",
        f"{local}@{domain[:2]}\ufeff{domain[2:]}", f"{local}@{domain[:2]}\u034f{domain[2:]}",
        f"{local}@{domain}\u3002",
        f"\u202e{victim[::-1]}\u202c", f"{local}@\u00a0{domain}", f"{local}\u2003@\u3000{domain}",
        f"{local}@{domain}\u00b7",
        f"\u201c{victim}\u201d", f"\u2018{victim}\u2019", f"\u300c{victim}\u300d", f"\uff1c{victim}\uff1e",
        f"\u3008{victim}\u3009",
    ):  # fmt: skip
        for form in (
            f"{text}",
            f"<{text}>",
            f"Boss <{text}>",
            f'"{text}" <{attacker}>',
            f"{text} <{attacker}>",
            f"{attacker} ({text})",
        ):
            yield form.encode()
        yield _word(text, "b") + f" <{attacker}>".encode()
    for octet in (0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x7F, 0x80, 0xA0, 0xFE, 0xFF):
        sign = bytes((octet,))
        whole, at = victim.encode(), victim.index("@")
        for place in (0, at, at + 1, at + 3, len(whole)):
            octets = whole[:place] + sign + whole[place:]
            yield octets
            yield b"<%b>" % octets
            yield b"%b <%b>" % (octets, attacker.encode())
    for charset in ("shift_jis", "euc-jp", "iso-2022-jp", "gb18030"):
        yield f"{local}\uff20{domain} <{attacker}>".encode(charset)
        yield f"\u4f1a\u9577 {victim} <{attacker}>".encode(charset)


def _fields(victim: str, attacker: str) -> Iterator[bytes]:
    """Several fields, and names that are not quite From."""
    good, bad = f"<{attacker}>".encode(), f"<{victim}>".encode()
    for name in (
        *(b'From from FROM fRoM "From" >From *From* From\xa0 \x7fFrom \xef\xbb\xbfFrom'.split(b" ")),
        b"From ",
        b"From\t",
        b"From \t ",
        b"From\x0b",
    ):
        yield name + b": " + bad
        yield b"From: " + good + b"\r\n" + name + b": " + bad
        yield name + b": " + bad + b"\r\nFrom: " + good
    yield b" From: " + bad + b"\r\nFrom: " + good
    yield b"From: " + good + b"\r\nFrom\r\n : " + bad
    yield b"From\r\n : " + bad + b"\r\nFrom: " + good
    yield b"From: " + bad + b"\r\nFrom: " + bad
    yield b"From: " + good + b"\r\nFrom:"
    yield b"From:\r\nFrom: " + bad
    yield b"Subject: x"
    yield b"From:\r\n " + bad
    yield b"From:\r\n\t\r\n\t" + bad
    yield b"From: Boss\r\n <" + victim.replace("@", "\r\n @").encode() + b">"
    yield b"From: Boss\r\n <" + victim.replace(".", "\r\n .").encode() + b">"
    yield b"From: <x@attack.example>\r\n ,\r\n " + bad
    yield b"From:" + b" " * 900 + b"\r\n " + bad
    yield b"From: " + good + b"\r\n \r\nFrom: " + bad
    for index in range(30):
        yield (
            b"".join(b"From: <x%d@attack.example>\r\n" % number for number in range(index)) + b"From: " + bad
        )


def forms(victim: str, attacker: str = f"x@{ATTACKER}") -> list[bytes]:
    """Header fields, without the last CRLF, that show `victim` in some way."""
    domain = victim.partition("@")[2]
    values = [
        value.replace("V", victim).replace("D", domain).replace("A", attacker).encode() for value in _values()
    ]
    found = [*values, *_encoded(victim, domain, attacker), *_signs(victim, domain, attacker)]
    fields = [b"From: " + value for value in found if value != attacker.encode()]
    return list(dict.fromkeys(fields + list(_fields(victim, attacker))))
