"""Address forms of RFC 5321 §4.1.2, RFC 6531 and the old Japanese carriers."""

import pytest

from sekisho.core.terms.address import Address, AddressError, parse_domain

GOOD = [
    ("user@example.org", "user", "example.org", "user@example.org"),
    ("User.Name+tag@EXAMPLE.org", "User.Name+tag", "example.org", "User.Name+tag@example.org"),
    ('"a b"@example.org', "a b", "example.org", '"a b"@example.org'),
    ('"a\\"b\\\\"@example.org', 'a"b\\', "example.org", '"a\\"b\\\\"@example.org'),
    ('"plain"@example.org', "plain", "example.org", "plain@example.org"),
    ("user@[192.0.2.1]", "user", "[192.0.2.1]", "user@[192.0.2.1]"),
    ("user@[ipv6:2001:DB8::1]", "user", "[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]"),
    ("会議@例え.jp", "会議", "xn--r8jz45g.jp", "会議@xn--r8jz45g.jp"),
]
BAD = [
    "",
    "user",
    "@example.org",
    "user@",
    "user@example.org.",
    "user@.example.org",
    "user@exa mple.org",
    "a..b@example.org",
    "a.@example.org",
    ".a@docomo.ne.jp",
    "a@b@example.org",
    "user@-example.org",
    "user@[192.0.2.300]",
    "user@[192.0.2.1",
    "user\r\n@example.org",
    "us\x00er@example.org",
    '"a@example.org',
    '""@example.org',
    '"a"b@example.org',
    "a" * 65 + "@example.org",
    "user@" + "a" * 64 + ".org",
    "user@" + ".".join(["a" * 60] * 5),
    "user@exam_ple.org",
]


@pytest.mark.parametrize(("text", "local", "domain", "wire"), GOOD)
def test_good_forms(text: str, local: str, domain: str, wire: str) -> None:
    address = Address.from_text(text)
    assert (address.local, address.domain, str(address)) == (local, domain, wire)


@pytest.mark.parametrize("text", BAD)
def test_bad_forms(text: str) -> None:
    with pytest.raises(AddressError):
        Address.from_text(text, loose_domains={"docomo.ne.jp"})


@pytest.mark.parametrize("local", ["a..b", "a.", "a...", "a.b..c."])
def test_old_carrier_addresses_are_written_back_unquoted(local: str) -> None:
    address = Address.from_text(f"{local}@docomo.ne.jp", loose_domains={"docomo.ne.jp"})
    assert str(address) == f"{local}@docomo.ne.jp"


def test_the_constructor_refuses_controls() -> None:
    with pytest.raises(AddressError):
        Address("a\r\nRCPT TO:<b@c>", "example.org")


def test_local_parts_compare_folded() -> None:
    assert Address.from_text("Straße@example.org").local_canonical == "strasse"


def test_domain_without_literals() -> None:
    with pytest.raises(AddressError):
        parse_domain("[192.0.2.1]", literals=False)
