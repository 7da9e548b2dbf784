"""The streams against the RFC's examples, another implementation, and themselves in pieces."""

import hashlib

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import example, given
from hypothesis import strategies as st

from sekisho.core.mailauth.dkim.canonical import (
    BodyCanonicalizer,
    BodyHashes,
    BodyHashSpec,
    relax_field,
    relax_values,
)
from sekisho.core.mailauth.dkim.header_hash import MAX_AT_ONCE, CanonicalHeader
from sekisho.core.mailauth.dkim.signature import remove_signature_value
from sekisho.core.mailauth.dkim.tags import TagError, parse_tags
from sekisho.core.message.header import Field, HeaderSection

LINES = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r\n\r\n", b"\xe3\x81\x82", b"  \t ", b"b c"]), max_size=40
).map(b"".join)
BROKEN = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"\0"]), max_size=40).map(
    b"".join
)
SIZES = st.lists(st.integers(0, 4), max_size=40)


def canonical(name: str, body: bytes, sizes: list[int]) -> bytes:
    canonicalizer, out, position = BodyCanonicalizer(name), [], 0
    for size in [*sizes, len(body)]:
        out.append(canonicalizer.feed(body[position : position + size]))
        position += size
    return b"".join([*out, canonicalizer.finish()])


def test_the_example_of_the_rfc() -> None:  # RFC 6376 §3.4.5
    body = b" C \r\nD \t E\r\n\r\n\r\n"
    assert canonical("relaxed", body, []) == b" C\r\nD E\r\n"
    assert canonical("simple", body, []) == b" C \r\nD \t E\r\n"
    assert relax_field(b"a", b" X\r\n") == b"a:X"
    assert relax_field(b"b", b" Y\t\r\n\tZ  \r\n") == b"b:Y Z"


def test_empty_bodies() -> None:  # RFC 6376 §3.4.3, §3.4.4
    for body in (b"", b"\r\n", b"\r\n\r\n\r\n"):
        assert canonical("simple", body, []) == b"\r\n"
        assert canonical("relaxed", body, []) == b""
    assert hashlib.sha256(canonical("simple", b"", [])).hexdigest().startswith("7eb7")


@given(LINES)
@example(b" \r\n")
@example(b"a \r\n \r\n\t\r\n")
def test_another_implementation_agrees(body: bytes) -> None:
    terminated = body + b"\r\n"
    assert canonical("relaxed", terminated, []) == Relaxed.canonicalize_body(terminated)
    assert canonical("simple", terminated, []) == Simple.canonicalize_body(terminated)


@given(LINES | BROKEN, SIZES, st.sampled_from(["simple", "relaxed"]))
def test_pieces_do_not_matter(body: bytes, sizes: list[int], name: str) -> None:
    assert canonical(name, body, sizes) == canonical(name, body, [])


@given(LINES | BROKEN, st.sampled_from(["simple", "relaxed"]))
def test_it_is_idempotent(body: bytes, name: str) -> None:
    once = canonical(name, body, [])
    assert canonical(name, once, []) == once


@pytest.mark.parametrize("name", ["simple", "relaxed"])
def test_what_is_held_back_is_counted_not_kept(name: str) -> None:
    canonicalizer = BodyCanonicalizer(name)
    canonicalizer.feed(b"a")
    for piece in (b"\r\n" * 30_000, b" " * 60_000, b"\t \t" * 20_000):
        for _ in range(20):
            canonicalizer.feed(piece)
            assert len(canonicalizer._tail) <= 2


@given(LINES, st.integers(0, 30), SIZES)
def test_hashes_with_and_without_a_limit(body: bytes, limit: int, sizes: list[int]) -> None:
    specs = [BodyHashSpec(c, "sha256", n) for c in ("simple", "relaxed") for n in (None, limit)]
    hashes, position = BodyHashes(specs), 0
    for size in [*sizes, len(body)]:
        hashes.feed(body[position : position + size])
        position += size
    hashes.finish()
    for spec in specs:
        whole = canonical(spec.canonicalization, body, [])
        assert hashes.digest(spec) == hashlib.sha256(whole[: spec.limit_octets]).digest()
        assert hashes.canonical_octets(spec.canonicalization) == len(whole)


@given(st.lists(LINES | BROKEN, max_size=6))
@example([b" a  b\r\n", b"\0", b""])
def test_values_together_are_as_each_alone(values: list[bytes]) -> None:
    assert relax_values(values) == [relax_field(b"", value)[1:] for value in values]


@given(
    st.lists(
        st.sampled_from([b"a", b"b", b"b", b"bb", b"c", b"=", b"b=", b";", b";", b" ", b"\r\n\t", b"x"]),
        max_size=30,
    ).map(b"".join)
)
@example(b" a=b=x; b =y;")
@example(b"b=x")
def test_only_the_value_of_b_is_taken_out(value: bytes) -> None:
    try:
        tags = parse_tags(value)
    except TagError:
        return
    pieces = value.split(b";")
    for index, piece in enumerate(pieces):
        name, equals, _ = piece.partition(b"=")
        if name.strip(b" \t\r\n") == b"b":
            pieces[index] = name + equals
    assert remove_signature_value(value) == b";".join(pieces)
    assert (b"b" in tags) == (remove_signature_value(value) != value or not tags.get(b"b", b"x"))


HEADERS = st.lists(
    st.sampled_from(
        [b"A: 1\r\n", b"a:  2 \r\n\tx\r\n", b"B : 3\r\n", b"D: s\r\n", b"c:\r\n", b"no field\r\n"]
    ),
    max_size=8,
)


@given(
    HEADERS.map(b"".join),
    st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e"]), max_size=8).map(tuple),
    st.integers(0, 3),
)
def test_fields_are_taken_bottom_up_each_once(octets: bytes, names: tuple[bytes, ...], which: int) -> None:
    header = HeaderSection(octets + b"\r\n")
    own: Field | None = ([*header.all(b"d"), None, None, None, None])[which]
    left = {name: [field for field in header.all(name) if field is not own] for name in names}
    expected = [left[name].pop() for name in names if left[name]]
    canonical = CanonicalHeader(header)
    for form in ("simple", "relaxed"):
        assert canonical.fields(own, names, form) == [canonical.field(field, form) for field in expected]
        if own is not None:
            signed = b"".join(canonical.fields(own, names, form)) + canonical.field(own, form).removesuffix(
                b"\r\n"
            )
            assert canonical.signed_octets(own, names, form) == signed  # it has no b= to be taken out


@given(st.integers(1, 200), st.integers(0, 200), st.sampled_from([b" ", b"\t", b" \t"]))
def test_runs_of_any_length_become_one_space(first: int, second: int, kind: bytes) -> None:
    body = b"a" + kind * first + b"b" + kind * second + b"\r\n"
    assert canonical("relaxed", body, []) == b"a b\r\n"
    assert relax_field(b"x", body) == b"x:a b"


def test_a_huge_section_is_made_canonical_the_same() -> None:
    header = HeaderSection(b"A:  1 \r\n\tx\r\nB: " + b"y  " * MAX_AT_ONCE + b"\r\nD:  s\r\n\r\n")
    canonical, own = CanonicalHeader(header), header.all(b"d")[0]
    expected = b"a:1 x\r\nb:" + (b"y " * MAX_AT_ONCE).rstrip() + b"\r\n"
    assert b"".join(canonical.fields(own, (b"a", b"b", b"d"), "relaxed")) == expected
    assert canonical.signed_octets(own, (b"a", b"b", b"d"), "relaxed") == expected + b"d:s"
