import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.spf.macros import MacroError, parse_macro_string
from sekisho.core.mailauth.spf.record import Record, RecordError, is_spf_record, parse_record

LEGAL = (
    b"v=spf1 +a:%{ir}.x.example/24//64 mx/8 -ip4:192.0.2.0/24 ?ip6:2001:db8::/32 "
    b"~exists:%{L2r-}.e.example ptr x-y=%{d} exp=e.example"
)
LEGAL += b" redirect=r.example"


def test_directives_in_order() -> None:
    record = parse_record(
        b"v=spf1  a:a.example/24//64 MX -ip4:192.0.2.7/24 ?ip6:2001:db8:: ~include:i.example ptr:p.example "
        b"-all"
    )
    assert [(d.result, d.name) for d in record.directives] == [
        ("pass", "a"),
        ("pass", "mx"),
        ("fail", "ip4"),
        ("neutral", "ip6"),
        ("softfail", "include"),
        ("pass", "ptr"),
        ("fail", "all"),
    ]
    a, mx, ip4, ip6 = record.directives[:4]
    assert (a.shift, a.shift6, a.domain and a.domain.literal) == (8, 64, "a.example")
    assert (mx.shift, mx.shift6, mx.domain) == (0, 0, None)
    assert (ip4.network, ip4.shift) == (0xC00002, 8)
    assert (ip6.network, ip6.shift) == (0x20010DB8 << 96, 0)


@pytest.mark.parametrize(
    "terms",
    [
        "a/33", "a//129", "a/024", "a/", "a//", "a:", "a:/24", "a:example", "a:1.2.3.4", "a:e.example/24/64",
        "a.example",
        "mx/-1", "ip4", "ip4:", "ip4:1.2.3", "ip4:1.2.3.4/", "ip4:1.2.3.4/33", "ip4:1.2.3.4/08",
        "ip4:1.2.3.4//32",
        "ip6:1.2.3.4", "ip6::1%eth0", "ip6:::1/129", "all.", "all:x", "all/8", "include", "include:",
        "exists", "include/24",
        "ptr/24", "ptr:", "redirect=", "redirect=a", "exp=", "exp=a.example exp=b.example",
        "redirect=a.example redirect=a.example",
        "=x", "-redirect=a.example", "--all", "foo", "foo:bar", "x=%", "x=%{z}", "include:%{c}.example",
        "exists:%{d0}.example",
        "a:%{d", "a:%{d}}x", "a:x.example.-", "a:x.-y", "include:x..", "a:x.%{h}.", "\x7f",
        "a:\u00e9.example",
    ],
)  # fmt: skip
def test_syntax_errors(terms: str) -> None:
    with pytest.raises(RecordError):
        parse_record(f"v=spf1 {terms}".encode())


@pytest.mark.parametrize(
    "terms",
    ["", " ", "foo=", "foo=%{s}bar/baz:1", "Foo.bar-_=x", "a:%{d}", "a:%%.%{i}", "a:%{o}%-",
    "exists:%{D3R+-}", "a:x.y-z", "a:x.1a",
     "include:_spf.x.example."],
)  # fmt: skip
def test_legal_terms(terms: str) -> None:
    assert isinstance(parse_record(f"v=spf1 {terms}".encode()), Record)


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (b"v=spf1", True),
        (b"V=SPF1 all", True),
        (b"v=spf10 all", False),
        (b"v=spf1\tall", False),
        (b" v=spf1", False),
    ],
)
def test_version(octets: bytes, answer: bool) -> None:
    assert is_spf_record(octets) is answer


def test_every_prefix_is_read_or_is_a_syntax_error() -> None:
    whole = parse_record(LEGAL)
    assert len(whole.directives) == 6 and whole.redirect and whole.explanation
    for end in range(6, len(LEGAL)):
        try:
            record = parse_record(LEGAL[:end])
        except RecordError:
            continue
        assert len(record.directives) <= 6


PIECES = st.sampled_from(
    (
        "a",
        "mx",
        "ptr",
        "ip4",
        "ip6",
        "exists",
        "include",
        "all",
        "exp",
        "redirect",
        ":",
        "=",
        "/",
        "//",
        "24",
        "%{",
        "}",
        "d",
        "r",
        "2",
        "-",
        "+",
        ".",
        "example",
        "%",
        "::1",
        "192.0.2.1",
        " ",
    )
)


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_garbage_gives_only_record_errors(terms: str) -> None:
    try:
        record = parse_record(f"v=spf1 {terms}".encode())
    except RecordError:
        return
    assert all(directive.text in terms for directive in record.directives)


@given(
    st.text(st.characters(codec="ascii"), max_size=40), st.sampled_from(["domain", "explanation", "modifier"])
)
def test_macro_strings(text: str, kind: str) -> None:
    values = dict.fromkeys("slodiphcrtv", "A.b-c")
    try:
        macros = parse_macro_string(text, kind)  # type: ignore[arg-type]  # one of the three
    except MacroError:
        return
    expanded = macros.expand(values)
    assert isinstance(expanded, str)
    if "%" not in text:
        assert expanded == text


@pytest.mark.parametrize(
    "octets",
    [b"v=spf1 " + b"a " * 30_000, b"v=spf1 a:" + b"x." * 30_000, b"v=spf1 a:" + b"%{d}" * 15_000,
    b"v=spf1 x=" + b"%" * 60_000,
     b"v=spf1 a:" + b"/" * 60_000, b"v=spf1 a:" + b"-" * 60_000, b"v=spf1 a:x." + b"-" * 60_000,
     b"v=spf1 " + b"a" * 60_000],
)  # fmt: skip
def test_long_records_are_read_in_linear_time(octets: bytes) -> None:
    try:
        found = str(len(parse_record(octets).directives))
    except RecordError as error:
        found = str(error)
    assert len(found) < 300
