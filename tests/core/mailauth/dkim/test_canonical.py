"""The streams against the RFC's examples, another implementation, and themselves in pieces."""

import hashlib

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import example, given
from hypothesis import strategies as st

from sekisho.core.mailauth.dkim.canonical import BodyCanonicalizer, BodyHashes, BodyHashSpec, relax_field

LINES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r\n\r\n", b"\xe3\x81\x82", b"  \t ", b"b c"]), max_size=40).map(b"".join)
BROKEN = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"\0"]), max_size=40).map(b"".join)
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
