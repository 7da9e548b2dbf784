import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.vectors import vectors

from sekisho.core.message.authentication_results import (
    AuthenticationResults,
    MethodResult,
    Property,
    find_forged,
    format_authentication_results,
    parse_authentication_results,
)
from sekisho.core.message.header import HeaderSection

OURS = "mx.example.org"


def _cases() -> list[Any]:
    cases: list[Any] = json.loads(vectors("authres", "authres-cases.json").read_text("utf-8"))
    return cases


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case["header"][:60])
def test_vectors(case: dict[str, Any]) -> None:
    parsed = parse_authentication_results(case["header"].partition(":")[2].encode())
    if not case["valid"]:
        assert parsed is not None  # what is wrong in them costs only that part
        return
    assert parsed is not None
    assert (parsed.authserv_id, parsed.version) == (case["authserv_id"], case["version"])
    expected = [
        MethodResult(
            method=r["method"],
            result=r["result"],
            properties=tuple(Property(*p) for p in r["properties"]),
            reason=r["reason"],
            version=r["version"],
        )
        for r in case["results"]
    ]
    assert list(parsed.results) == expected
    assert parsed.dropped == 0


def test_the_whole_grammar() -> None:
    value = (
        b'(a) "my host" (b) 1 (c);\r\n\tspf / 2 = (x) Pass (y(z)) reason = "a \\"b\\"; c" smtp . (w) '
        b'mailFrom = "q r"@x (k) ; none'
    )
    assert parse_authentication_results(value) == AuthenticationResults(
        "my host",
        (
            MethodResult(
                method="spf",
                result="pass",
                properties=(Property("smtp", "mailfrom", "q r@x"),),
                reason='a "b"; c',
                version=2,
            ),
        ),
        1,
    )
    assert parse_authentication_results(b"example.org; none") == AuthenticationResults("example.org")
    assert parse_authentication_results(b"example.org 1; none") == AuthenticationResults("example.org", (), 1)


@pytest.mark.parametrize(
    "value", [b"", b" ", b";spf=pass", b"(only a comment)", b"a b c; none", b'"open', b"(open"]
)
def test_no_authserv_id(value: bytes) -> None:
    assert parse_authentication_results(value) is None


def test_bad_parts_are_dropped() -> None:
    parsed = parse_authentication_results(b"a; spf; =pass; dkim=pass header.d=b; x=(open")
    assert parsed is not None
    assert (parsed.results, parsed.dropped) == (
        (MethodResult(method="dkim", result="pass", properties=(Property("header", "d", "b"),)),),
        4,
    )


def test_written_field() -> None:
    results = (
        MethodResult(
            method="spf", result="pass", properties=(Property("smtp", "mailfrom", "joe@example.com"),)
        ),
        MethodResult(
            method="dkim",
            result="fail",
            properties=(Property("header", "d", "example.com"),),
            reason='bad "hash"',
            comment="2048 bit (rsa)",
        ),
        MethodResult(method="iprev", result="pass", properties=(Property("policy", "iprev", "2001:db8::1"),)),
        MethodResult(method="spf", result="none", properties=(Property("smtp", "helo", "evil\r\nX: y"),)),
    )
    octets = format_authentication_results(OURS, results)
    assert octets == (
        b"Authentication-Results: mx.example.org;\r\n"
        b"\tspf=pass smtp.mailfrom=joe@example.com;\r\n"
        b'\tdkim=fail (2048 bit ?rsa?) reason="bad \\"hash\\"" header.d=example.com;\r\n'
        b'\tiprev=pass policy.iprev="2001:db8::1";\r\n'
        b'\tspf=none smtp.helo="evil??X: y"\r\n'
    )
    assert format_authentication_results(OURS, ()) == b"Authentication-Results: mx.example.org;\r\n\tnone\r\n"


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
VALUES = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="\x7f"), min_size=1, max_size=30
)


@example("a\x85", ())
@settings(max_examples=50)
@given(
    VALUES,
    st.lists(
        st.builds(
            MethodResult,
            method=NAMES,
            result=NAMES,
            properties=st.lists(st.builds(Property, NAMES, NAMES, VALUES), max_size=4).map(tuple),
            reason=st.none() | VALUES,
            version=st.none() | st.integers(0, 99),
            comment=VALUES,
        ),
        max_size=4,
    ).map(tuple),
)
def test_what_is_written_is_read(authserv_id: str, results: tuple[MethodResult, ...]) -> None:
    octets = format_authentication_results(authserv_id, results)
    assert len(HeaderSection(octets).fields) == 1
    parsed = parse_authentication_results(octets.partition(b":")[2])
    assert parsed is not None
    assert parsed.authserv_id == authserv_id
    assert parsed.results == results


@given(st.binary(max_size=200) | st.text('()\\";=. \r\n\tabc/', max_size=100).map(str.encode))
def test_garbage_is_read_or_not(value: bytes) -> None:
    parse_authentication_results(value)
    find_forged(HeaderSection(b"Authentication-Results:" + value), OURS)


def test_results_that_differ_only_in_what_is_not_compared_are_written_apart() -> None:
    """A comment is no part of what makes two results equal, but of what is written."""
    one, other = (
        MethodResult(method="iprev", result="pass", comment=name) for name in ("a.example", "b.example")
    )
    assert one == other
    written = [format_authentication_results("mx.example", (each,)) for each in (one, other, one)]
    assert b"(a.example)" in written[0] and b"(b.example)" in written[1] and written[2] == written[0]


def test_hostile_sizes_stay_cheap() -> None:
    for value in [
        b"(" * 1_000_000,
        b"a;" * 500_000,
        b"a; b=c" + b" d.e=f" * 200_000,
        b'"' * 999_999,
        b"a; x=y" + b" (" * 400_000,
        b"\\" * 900_000,
    ]:
        parsed = parse_authentication_results(value)
        assert parsed is None or len(parsed.results) <= 100
        find_forged(HeaderSection(b"Authentication-Results: " + value), OURS)


@pytest.mark.parametrize(
    "field",
    [
        "Authentication-Results: mx.example.org; spf=pass",
        "authentication-RESULTS : MX.Example.ORG; spf=pass",
        "Authentication-Results:\r\n\tmx.example.org;\r\n spf=pass",
        "Authentication-Results: (hi (there)) mx.example.org (x) 1; spf=pass",
        'Authentication-Results: "mx.example.org"; spf=pass',
        'Authentication-Results: "mx.exa\\mple.org"; spf=pass',
        'Authentication-Results: mx."example".org; spf=pass',
        "Authentication-Results: mx(a).example(b).org; spf=pass",
        "Authentication-Results: mx . example\r\n . org; spf=pass",
        "Authentication-Results: mx.example.org.; spf=pass",
        "Authentication-Results: mx.example.org spf=pass",
        "Authentication-Results: x mx.example.org; spf=pass",
        "Authentication-Results: mx.example.org",
        "Authentication-Results: \uff4d\uff58.example.org; spf=pass",
        "Authentication-Results: (mx.example.org; spf=pass",
        'Authentication-Results: "mx.example.org; spf=pass',
        "Authentication-Results: ex (mx.example.org; spf=pass",
        "Authentication-Results: mx.\r\n example.org; spf=pass",
    ],
)
def test_forged_fields_are_found(field: str) -> None:
    section = HeaderSection((f"From: a@b\r\n{field}\r\nTo: c@d\r\n\r\n").encode())
    assert [section.octets[f.start : f.end].decode() for f in find_forged(section, OURS)] == [f"{field}\r\n"]


def test_what_is_too_much_to_read_is_cut() -> None:
    late = b"Authentication-Results: (" + b"x" * 2000 + b") mx.example.org; spf=pass\r\n"
    assert len(find_forged(HeaderSection(late + b"\r\n"), OURS)) == 1
    many = HeaderSection(b"Authentication-Results: other.example; none\r\n" * 150 + b"\r\n")
    assert [found.start for found in find_forged(many, OURS)] == [found.start for found in many.fields[100:]]


def test_forged_international_names_are_found() -> None:
    section = HeaderSection("Authentication-Results: ＭＸ.Bücher.example; spf=pass\r\n\r\n".encode())
    assert len(find_forged(section, "mx.xn--bcher-kva.example")) == 1
    assert len(find_forged(section, "mx.bücher.example")) == 1


@pytest.mark.parametrize(
    "field",
    [
        "Authentication-Results: example.org; spf=pass",
        "Authentication-Results: mx.example.org.evil.example; spf=pass",
        "Authentication-Results: other.example (relayed by mx.example.org); spf=pass",
        "Authentication-Results: other.example; spf=pass smtp.helo=mx.example.org",
        "X-Authentication-Results: mx.example.org; spf=pass",
        "Received: by mx.example.org; now",
    ],
)
def test_fields_of_others_are_left(field: str) -> None:
    assert find_forged(HeaderSection(f"{field}\r\n\r\n".encode()), OURS) == []
