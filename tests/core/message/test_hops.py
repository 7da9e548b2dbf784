"""Received fields of many dialects, read for statistics."""

import pytest
from tests.effort import effort

from sekisho.core.message.hops import Hop, is_named_by, organisation, read_hop


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            (
                "from mail.example.org (mx.example.org [192.0.2.1]) by here.example (Postfix) with ESMTPS id "
                "1; Mon, 1 Jan 2024 00:00:00 +0900"
            ),
            Hop(
                hello="mail.example.org",
                name="mx.example.org",
                address="192.0.2.1",
                by="here.example",
                protocol="esmtps",
                zone="+0900",
            ),
        ),
        (
            "from x (unknown [203.0.113.9]) by here.example with SMTP; Mon, 1 Jan 2024 00:00:00 -0400 (EDT)",
            Hop(
                hello="x",
                name="",
                address="203.0.113.9",
                by="here.example",
                protocol="smtp",
                zone="-0400(EDT)",
                remark="unknown",
            ),
        ),
        (
            (
                "from [192.0.2.77] (helo=pc.example) by here.example with smtp id 3; Mon, 1 "
                "Jan 2024 00:00:00 "
                "+0000"
            ),
            Hop(
                hello="192.0.2.77",
                name="pc.example",
                address="192.0.2.77",
                by="here.example",
                protocol="smtp",
                zone="+0000",
            ),
        ),
        (
            "from a.example ([IPv6:2001:db8::1]) by b.example with ESMTP id 4",
            Hop(hello="a.example", name="", address="2001:db8::1", by="b.example", protocol="esmtp"),
        ),
        ("(qmail 123 invoked by uid 505); 7 May 2002 14:37:01 -0000", Hop(by="uid", zone="-0000")),
        ("", Hop()),
    ],
)
def test_read_hop(value: str, expected: Hop) -> None:
    assert read_hop(value) == expected


def test_private_addresses() -> None:
    assert read_hop("from localhost (localhost [127.0.0.1]) by x").is_private
    assert not read_hop("from a (b [192.0.2.1]) by x").is_private


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("mx1.mail.example.com", "example.com"),
        ("www.example.co.jp", "example.co.jp"),
        ("example.jp", "example.jp"),
        ("com", "com"),
        ("", ""),
    ],
)
def test_organisation(domain: str, expected: str) -> None:
    assert organisation(domain) == expected


def test_how_a_domain_appears_on_the_way() -> None:
    real, claimed = (
        Hop(hello="a.example", name="mx.sender.example"),
        Hop(hello="sender.example", name="dyn-1.provider.example"),
    )
    assert is_named_by([real], "sender.example") == "name"
    assert is_named_by([claimed], "sender.example") == "hello"
    assert is_named_by([Hop(by="mx.sender.example")], "sender.example") == "by"
    assert is_named_by([real], "other.example") == ""


def test_hostile_fields_cost_little() -> None:
    with effort(0.2):
        for value in (
            "from " * 200,
            "a." * 500,
            "from a (" + "b." * 400,
            "by " * 300,
            "+0000" * 200,
            "1." * 500,
        ):
            read_hop(value)
