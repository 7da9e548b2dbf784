"""Trace fields, dates and ids."""

from ipaddress import ip_address

from sekisho.core.message.date import format_date
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id, header_references
from sekisho.core.message.trace import (
    TraceHop,
    format_received,
    format_return_path,
    is_looping,
    new_message_id,
)
from sekisho.core.terms.address import Address, ReversePath

AT_US = 1_795_498_200_000_000  # Tue, 24 Nov 2026 05:30:00 UTC


def test_date() -> None:
    assert format_date(AT_US) == "Tue, 24 Nov 2026 05:30:00 +0000"
    assert format_date(AT_US, 540) == "Tue, 24 Nov 2026 14:30:00 +0900"
    assert format_date(AT_US, -210) == "Tue, 24 Nov 2026 02:00:00 -0330"


def test_received_from_a_stranger() -> None:
    hop = TraceHop(
        by="mx.example",
        message_id="abc",
        at_us=AT_US,
        hello="c.example",
        client=ip_address("192.0.2.7"),
        client_name="c.example",
        tls_cipher="TLS_AES_256_GCM_SHA384",
        recipient=Address.from_text("u@mx.example"),
    )
    assert format_received(hop) == (
        b"Received: from c.example (c.example [192.0.2.7])\r\n\tby mx.example with ESMTPS id abc\r\n\tfor "
        b"<u@mx.example>\r\n"
        b"\ttls TLS_AES_256_GCM_SHA384;\r\n\tTue, 24 Nov 2026 05:30:00 +0000\r\n"
    )


def test_received_hides_and_names_the_protocol() -> None:
    hidden = TraceHop(
        by="mx.example", message_id="abc", at_us=AT_US, tls_cipher="X", authenticated=True, smtputf8=True
    )
    assert format_received(hidden).startswith(b"Received: by mx.example with UTF8SMTPSA id abc\r\n\ttls X;")
    old = TraceHop(
        by="mx.example",
        message_id="abc",
        at_us=AT_US,
        hello="c",
        client=ip_address("2001:db8::7"),
        extended=False,
    )
    assert format_received(old).startswith(
        b"Received: from c ([IPv6:2001:db8::7])\r\n\tby mx.example with SMTP id abc;"
    )


def test_an_internationalised_recipient_is_named_only_in_internationalised_messages() -> None:
    address = Address.from_text("太郎@mx.example")
    assert b"for <" not in format_received(
        TraceHop(by="mx.example", message_id="abc", at_us=AT_US, recipient=address)
    )
    assert "for <太郎@mx.example>".encode() in format_received(
        TraceHop(by="mx.example", message_id="abc", at_us=AT_US, recipient=address, smtputf8=True)
    )


def test_return_path() -> None:
    assert format_return_path(ReversePath()) == b"Return-Path: <>\r\n"
    assert (
        format_return_path(ReversePath(Address.from_text('"a b"@c.example')))
        == b'Return-Path: <"a b"@c.example>\r\n'
    )


def test_looping() -> None:
    header = HeaderSection(b"Received: x\r\n" * 11 + b"\r\n")
    assert is_looping(header, 10) and not is_looping(header, 11)


def test_ids_ascend() -> None:
    first, second = new_message_id(AT_US, b"\xff" * 8), new_message_id(AT_US + 1, b"\0" * 8)
    assert first < second and len(first) == 29 and first.isalnum() and first == first.lower()


def test_message_ids_for_threads() -> None:
    header = HeaderSection(
        b"Message-ID: (x) <A.b@c.example>\r\nReferences: <1@x>\r\n <2@x> junk <3@\r\n x>\r\nIn-Reply-To: "
        b"<3@x> <4@x>\r\n\r\n"
    )
    assert header_message_id(header) == "A.b@c.example"
    assert header_references(header) == ("1@x", "2@x", "3@x", "4@x")
    assert header_message_id(HeaderSection(b"Message-ID: a@b\r\n\r\n")) == "a@b"
    assert header_message_id(HeaderSection(b"Message-ID: none at all\r\n\r\n")) == ""
    many = HeaderSection(b"References:" + b"".join(b" <%d@x>" % n for n in range(500)) + b"\r\n\r\n")
    assert (
        len(header_references(many)) == 100
        and header_references(many)[0] == "0@x"
        and header_references(many)[-1] == "499@x"
    )
