"""Notices are read back with the standard library's parser, which shares no code with ours."""

import dataclasses
import email
import email.policy
from email.message import Message
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.core.message.dsn import ComposedDsn, Dsn, DsnRecipient, compose_dsn, status_for
from sekisho.core.message.dsn_text import ReplyMeaning
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Recipient
from sekisho.core.terms.reply import EnhancedStatus, Reply

ORIGINAL = b"From: a@example.com\r\nSubject: hello\r\nMessage-ID: <m1@example.com>\r\n\r\nbody text\r\n"
T0 = 1_800_000_000_000_000


def failed(
    address: str = "bob@remote.example", text: str = "5.1.1 No such user", **more: object
) -> DsnRecipient:
    reply = Reply.of(550, "5.1.1", text)
    recipient = Recipient(Address.from_text(address), orcpt=more.pop("orcpt", None))  # type: ignore[arg-type]  # test shorthand
    return DsnRecipient(
        recipient=recipient,
        action="failed",
        status=EnhancedStatus(5, 1, 1),
        reply=reply,
        remote="mx.remote.example [192.0.2.1]",
        last_attempt_at_us=T0,
    )


def notice(*recipients: DsnRecipient, **more: object) -> Dsn:
    fields: dict[str, object] = {
        "id": "d1234abcd",
        "reporting_mta": "mail.example.com",
        "to": Address.from_text("alice@example.com"),
        "date_us": T0,
        "arrived_at_us": T0 - 60_000_000,
        "recipients": recipients or (failed(),),
        "original": ORIGINAL,
        "message_id": "q77",
    }
    return Dsn(**(fields | more))  # type: ignore[arg-type]  # test shorthand


def parts(composed: ComposedDsn) -> tuple[Message, list[Any]]:
    message = email.message_from_bytes(composed.octets)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    payload = message.get_payload()
    assert isinstance(payload, list) and len(payload) == 3 and not message.defects
    return message, payload


def status_groups(part: Message) -> list[Message]:
    assert part.get_content_type() == "message/delivery-status"
    return part.get_payload()  # type: ignore[return-value]  # the parser splits the groups


def is_clean(octets: bytes) -> bool:
    return octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r") and b"\0" not in octets


def test_a_failure() -> None:
    composed = compose_dsn(
        notice(failed(orcpt="rfc822;Bob+x@remote.example"), failed("eve@other.example"), envid="QQ 314")
    )
    message, (text, status, original) = parts(composed)
    assert composed.octets.isascii() and is_clean(composed.octets)
    assert (composed.body, composed.smtputf8) == ("7BIT", False)
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mail.example.com>"
    assert message["To"] == "<alice@example.com>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<m1@example.com>"
    assert message["Message-ID"] == "<d1234abcd@mail.example.com>"
    assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert (
        "bob@remote.example" in text.get_payload()
        and "q77" in text.get_payload()
        and "no such address" in text.get_payload()
    )
    whole, first, second = status_groups(status)
    assert whole["Reporting-MTA"] == "dns; mail.example.com"
    assert whole["Original-Envelope-Id"] == "QQ 314"
    assert whole["Arrival-Date"] == "Fri, 15 Jan 2027 07:59:00 +0000"
    assert first["Original-Recipient"] == "rfc822; Bob+x@remote.example"
    assert first["Final-Recipient"] == "rfc822; bob@remote.example"
    assert first["Action"] == "failed" and first["Status"] == "5.1.1"
    assert first["Remote-MTA"] == "dns; mx.remote.example"
    assert first["Diagnostic-Code"] == "smtp; 550 5.1.1 5.1.1 No such user"
    assert first["Last-Attempt-Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert first["Will-Retry-Until"] is None
    assert second["Original-Recipient"] is None and second["Final-Recipient"] == "rfc822; eve@other.example"
    assert original.get_content_type() == "text/rfc822-headers"
    assert original.get_payload() == ORIGINAL[: ORIGINAL.index(b"\r\n\r\n") + 2].decode().replace(
        "\r\n", "\r\n"
    )


def test_a_delay_says_until_when() -> None:
    delayed = DsnRecipient(
        recipient=Recipient(Address.from_text("bob@remote.example")),
        action="delayed",
        status=EnhancedStatus(4, 4, 1),
        reply=Reply.of(451, "4.4.1", "No answer"),
        last_attempt_at_us=T0,
        will_retry_until_us=T0 + 86400_000_000,
    )
    _, (text, status, _) = parts(compose_dsn(notice(delayed)))
    group = status_groups(status)[1]
    assert group["Will-Retry-Until"] == "Sat, 16 Jan 2027 08:00:00 +0000"
    assert group["Remote-MTA"] is None
    assert group["Diagnostic-Code"] == "x-sekisho; 451 4.4.1 No answer"
    assert "Sat, 16 Jan 2027" in text.get_payload()


def test_relayed_has_no_diagnosis_in_its_text() -> None:
    relayed = DsnRecipient(
        recipient=Recipient(Address.from_text("b@r.example")),
        action="relayed",
        status=EnhancedStatus(2, 0, 0),
        reply=Reply.of(250, "2.0.0", "queued as Z"),
    )
    message, (text, status, _) = parts(compose_dsn(notice(relayed)))
    assert message["Subject"] == "Your message was passed on"
    assert status_groups(status)[1]["Action"] == "relayed"
    assert "queued as Z" not in text.get_payload()


def test_full_originals_are_kept_octet_by_octet() -> None:
    composed = compose_dsn(notice(original=ORIGINAL, is_whole=True))
    assert b"\r\n\r\n" + ORIGINAL + b"\r\n--=_d1234abcd--\r\n" in composed.octets
    assert parts(composed)[1][2].get_content_type() == "message/rfc822"


def test_full_8bit_originals_make_an_8bit_notice() -> None:
    composed = compose_dsn(notice(original=ORIGINAL + b"caf\xe9\r\n", is_whole=True))
    assert composed.body == "8BITMIME" and b"caf\xe9\r\n" in composed.octets
    assert parts(composed)[0]["Content-Transfer-Encoding"] == "8bit"


@pytest.mark.parametrize(
    "original", [ORIGINAL + b"bare\nlf\r\n", ORIGINAL + b"nul\0\r\n", ORIGINAL + b"x" * 70_000 + b"\r\n"]
)
def test_full_originals_that_must_not_leave_become_headers(original: bytes) -> None:
    composed = compose_dsn(notice(original=original, is_whole=True))
    assert parts(composed)[1][2].get_content_type() == "text/rfc822-headers" and is_clean(composed.octets)


def test_japanese_comes_with_english() -> None:
    message, (text, _, _) = parts(compose_dsn(notice(language="ja")))
    subject = email.message_from_string(f"Subject: {message['Subject']}\n\n", policy=email.policy.default)[
        "Subject"
    ]
    assert subject == "メールを配送できませんでした"
    body = text.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "このアドレスは存在しません" in body.decode() and "There is no such address" in body.decode()


def test_internationalised_addresses() -> None:
    composed = compose_dsn(
        notice(failed("太郎@例え.jp", orcpt="utf-8;太郎@例え.jp"), to=Address.from_text("花子@example.com"))
    )
    assert (composed.body, composed.smtputf8) == ("8BITMIME", True)
    octets = composed.octets
    assert b"Content-Type: message/global-delivery-status\r\n" in octets
    assert "Final-Recipient: utf-8; 太郎@xn--r8jz45g.jp\r\n".encode() in octets
    assert "Original-Recipient: utf-8; 太郎@例え.jp\r\n".encode() in octets
    assert "To: <花子@example.com>\r\n".encode() in octets


def test_utf8_headers_and_other_8bit_headers() -> None:
    utf8 = compose_dsn(notice(original="Subject: 会議\r\n\r\n".encode()))
    assert b"message/global-headers" in utf8.octets and utf8.body == "8BITMIME"
    latin = compose_dsn(notice(original=b"Subject: caf\xe9\r\n\r\n"))
    assert (
        b"text/rfc822-headers" in latin.octets and b"Subject: caf?" in latin.octets and latin.body == "7BIT"
    )


def test_a_status_without_enhanced_code() -> None:
    assert status_for(Reply.of(550, None, "no"), "failed") == EnhancedStatus(5, 0, 0)
    assert status_for(Reply.of(450, None, "no"), "delayed") == EnhancedStatus(4, 0, 0)
    assert status_for(Reply.of(552, "5.2.2", "full"), "failed") == EnhancedStatus(5, 2, 2)
    assert status_for(None, "failed") == EnhancedStatus(4, 0, 0)
    assert status_for(None, "delivered") == EnhancedStatus(2, 0, 0)


HOSTILE = st.text(st.sampled_from('a;+= \r\n\0\t\x85\u2028\u202e字:<>"\\-'), max_size=60) | st.text(
    max_size=1500
)


@settings(max_examples=150)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.binary(max_size=400), st.booleans())
def test_nothing_can_be_injected(
    envid: str, orcpt: str, said: str, remote: str, original: bytes, whole: bool
) -> None:
    reply = Reply(code=550, enhanced=None, lines=(said, said))
    recipient = DsnRecipient(
        recipient=Recipient(Address.from_text("b@r.example"), orcpt=orcpt),
        action="failed",
        status=EnhancedStatus(5, 0, 0),
        reply=reply,
        remote=remote,
    )
    composed = compose_dsn(
        notice(recipient, envid=envid, original=original, is_whole=whole, message_id=said, language="ja")
    )
    assert is_clean(composed.octets)
    assert composed.octets.isascii() or composed.body == "8BITMIME"
    header, _, _ = composed.octets.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in header.split(b"\r\n") if not line.startswith(b" ")]
    assert names[:6] == [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted"]
    assert set(names[6:]) <= {
        b"In-Reply-To",
        b"References",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Transfer-Encoding",
    }
    assert composed.octets.count(b"--=_d1234abcd") == 4
    status = composed.octets.split(b"--=_d1234abcd")[2].partition(b"\r\n\r\n")[2]
    fields = [line.partition(b":")[0] for line in status.split(b"\r\n") if line and not line.startswith(b" ")]
    assert set(fields) <= {
        b"Reporting-MTA",
        b"Original-Envelope-Id",
        b"Arrival-Date",
        b"Original-Recipient",
        b"Final-Recipient",
        b"Action",
        b"Status",
        b"Remote-MTA",
        b"Diagnostic-Code",
    }
    assert len(fields) == len(set(fields))
    assert all(len(line) <= 998 for line in status.split(b"\r\n"))


@pytest.mark.parametrize(("language", "label"), [("en", "What to do: "), ("ja", "対処: ")])
def test_what_a_reply_means_is_told_with_what_to_do(language: str, label: str) -> None:
    explained = ReplyMeaning(
        ("They slow us.", "制限中です。"), ("Wait.", "お待ちください。"), "https://far.example/"
    )
    told = dataclasses.replace(failed(), explained=explained)
    _, (text, status, _) = parts(compose_dsn(notice(told, language=language)))
    payload = text.get_payload(decode=True)
    assert isinstance(payload, bytes)
    words = payload.decode("utf-8" if language == "ja" else "ascii")
    assert "They slow us." in words and "Wait." in words and "https://far.example/" in words
    assert "550 5.1.1" in words and label in words
    assert ("制限中です。" in words) == (language == "ja")
    assert "far.example/" not in str(status_groups(status)[1])
