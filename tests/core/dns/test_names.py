from ipaddress import IPv4Address, IPv6Address

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.dns.message import read_name
from sekisho.core.dns.names import (
    BadName,
    name_to_wire,
    normalize_name,
    parent_name,
    reverse_name,
    reversed_for_list,
)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("", b"\0"),
        (".", b"\0"),
        ("Example.COM.", b"\x07example\x03com\0"),
        (r"a\.b.c", b"\x03a.b\x01c\0"),
        (r"a\046b.c", b"\x03a.b\x01c\0"),
        (r"x\255", b"\x02x\xff\0"),
        (r"a\092b", b"\x03a\\b\0"),
        (r"a\\.b", b"\x02a\\\x01b\0"),
    ],
)
def test_text_to_wire(text: str, wire: bytes) -> None:
    assert name_to_wire(text) == wire


@pytest.mark.parametrize(
    "text",
    ["a..b", ".a", "a" * 64, "é.example", "a b", "a\0b", "a\\", r"\256", ".".join(["a" * 60] * 5), r"\12x"],
)
def test_no_names(text: str) -> None:
    with pytest.raises(BadName):
        name_to_wire(text)


def test_longest_name() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert len(name_to_wire(longest)) == 255
    with pytest.raises(BadName):
        name_to_wire(longest + "d")


@given(
    st.lists(st.binary(min_size=1, max_size=63), max_size=10).filter(
        lambda labels: sum(map(len, labels)) + len(labels) < 255
    )
)
def test_any_labels_come_back(labels: list[bytes]) -> None:
    wire = dns.name.Name([*labels, b""]).to_wire()
    text, end = read_name(wire, 0)
    assert end == len(wire)
    assert name_to_wire(text) == wire.lower()
    assert normalize_name(text) == text


def test_parents() -> None:
    assert parent_name("a.b.c") == "b.c"
    assert parent_name("c") == parent_name("") == ""


@given(st.ip_addresses())
def test_reverse_names(address: IPv4Address | IPv6Address) -> None:
    assert reverse_name(address) == address.reverse_pointer


def test_names_for_lists() -> None:
    assert reversed_for_list(IPv4Address("127.0.0.2")) == "2.0.0.127"
    assert reversed_for_list(IPv6Address("::FFFF:7F00:2")).startswith("2.0.0.0.0.0.f.7.f.f.f.f.0")
