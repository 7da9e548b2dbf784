"""MTA-STS records and policies: the vectors, and what a host must be called."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import find_vectors

from sekisho.core.tlspolicy.sts import MAX_AGE_SECONDS, POLICY_OCTETS, StsError, find_sts_id, parse_sts_policy
from sekisho.core.tlspolicy.tlsrpt import TlsrptError, find_report_uris


def cases(name: str) -> list[dict[str, object]]:
    path = find_vectors("mta-sts", name)
    return json.loads(path.read_text("utf-8")) if path.exists() else []


@pytest.mark.parametrize("case", cases("record-syntax.json"), ids=lambda case: case["input"])
def test_records(case: dict[str, str]) -> None:
    texts = [case["input"].encode()]
    if case["valid"]:
        assert find_sts_id(texts)
    elif case["input"].startswith(("v=STSv0", "v=STSv10", "v=STSv2")):
        assert find_sts_id(texts) is None  # RFC 8461 §3.1: not a record of ours
    else:
        with pytest.raises(StsError):
            find_sts_id(texts)


@pytest.mark.parametrize("case", cases("policy-syntax.json"), ids=lambda case: case["input"])
def test_policies(case: dict[str, str]) -> None:
    if case["valid"]:
        assert parse_sts_policy(case["input"].encode()).max_age_seconds >= 0
    else:
        with pytest.raises(StsError):
            parse_sts_policy(case["input"].encode())


@pytest.mark.parametrize("case", cases("tlsrpt-record-syntax.json"), ids=lambda case: case["input"])
def test_report_records(case: dict[str, str]) -> None:
    texts = [case["input"].encode()]
    if case["valid"]:
        assert find_report_uris(texts)
    elif not case["input"].startswith("v=TLSRPTv1;") and case["input"] != "v=TLSRPTv1":
        assert find_report_uris(texts) == ()
    else:
        with pytest.raises(TlsrptError):
            find_report_uris(texts)


def test_which_record_counts() -> None:
    ours, other = b"v=STSv1; id=a1", b"v=spf1 -all"
    assert find_sts_id([other, ours]) == "a1"
    assert find_sts_id([other]) is None
    assert find_sts_id([b"v=STSv1; more=x; id=b2; id=c3"]) == "b2"
    with pytest.raises(StsError):
        find_sts_id([ours, b"v=STSv1; id=b"])
    assert find_report_uris([other, b"v=TLSRPTv1; rua=mailto:a@b.example,https://c.example/x"]) == (
        "mailto:a@b.example",
        "https://c.example/x",
    )
    with pytest.raises(TlsrptError):
        find_report_uris([b"v=TLSRPTv1; rua=mailto:a@b.example"] * 2)


@pytest.mark.parametrize(
    ("pattern", "host", "is_named"),
    [
        ("mx.example.com", "mx.example.com", True),
        ("mx.example.com", "MX.Example.COM.", True),
        ("mx.example.com", "a.mx.example.com", False),
        ("*.example.com", "mx.example.com", True),
        ("*.example.com", "a.mx.example.com", False),  # RFC 8461 §4.1: one label
        ("*.example.com", "example.com", False),
        ("*.com", "com", False),
        ("mx.example.com", "mx.example.org", False),
    ],
)
def test_names(pattern: str, host: str, is_named: bool) -> None:
    policy = parse_sts_policy(f"version: STSv1\nmode: enforce\nmx: {pattern}\nmax_age: 9999999999\n".encode())
    assert policy.names(host) is is_named
    assert policy.max_age_seconds == MAX_AGE_SECONDS


def test_the_first_of_a_field_counts_and_lines_are_kept() -> None:
    policy = parse_sts_policy(
        b"version: STSv1\r\nmode: testing\r\nmode: enforce\r\nmx: a.example\r\nmax_age: 5\r\n"
    )
    assert (policy.mode, policy.max_age_seconds) == ("testing", 5)
    assert policy.lines == ("version: STSv1", "mode: testing", "mode: enforce", "mx: a.example", "max_age: 5")


@pytest.mark.parametrize(
    "octets",
    [b"\xff", b"version: STSv1\n\nmode: none\nmax_age: 1", b"x" * (POLICY_OCTETS + 1), b"mode: none\x00"],
)
def test_what_is_no_policy(octets: bytes) -> None:
    with pytest.raises(StsError):
        parse_sts_policy(octets)


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    for read in (
        lambda: parse_sts_policy(octets),
        lambda: find_sts_id([octets]),
        lambda: find_sts_id([b"v=STSv1;" + octets]),
    ):
        try:
            read()
        except StsError:
            pass
    try:
        find_report_uris([b"v=TLSRPTv1; rua=mailto:" + octets])
    except TlsrptError:
        pass
