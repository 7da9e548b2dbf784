"""`check message`: a receiver's findings in sentences, each problem with its remedy."""

from ipaddress import ip_address
from typing import Any

import pytest
from tests.admin.check.keys import PEM, record_of

from sekisho.admin.check.message import CheckMessage, MessageReport, check_message, with_line_ends
from sekisho.admin.check.signatures import REASONS, _wording
from sekisho.admin.context import AdminRefused
from sekisho.core.mailauth.arc.seal import seal_message
from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningBody, sign_message
from sekisho.core.message.header import HeaderSection
from sekisho.testing.zones import ZoneResolver

NOW = 1_800_000_000
ZONE = f"""
example.org             TXT "v=spf1 ip4:192.0.2.0/24 -all"
mx.example.org          A   192.0.2.25
mx.example.org          TXT "v=spf1 a -all"
25.2.0.192.in-addr.arpa PTR mx.example.org
_dmarc.example.org      TXT "v=DMARC1; p=reject"
s1._domainkey.example.org TXT "{record_of("ed25519")}"
"""
SIGNER = DkimSigner.from_pem("example.org", "s1", PEM["ed25519"])
PLAIN = (
    b"From: Alice <alice@example.org>\r\nDate: Tue, 24 Nov 2026 05:20:51 +0000\r\nMessage-ID: "
    b"<1@example.org>\r\n\r\nHello,  Bob\r\n"
)
SIGNED = sign_message([SIGNER], PLAIN, NOW) + PLAIN
STRICT = ZONE + '_dmarc.strict.example TXT "v=DMARC1; p=reject"\n'
CLIENT = ip_address("192.0.2.25")


def _by(*others: bytes) -> bytes:
    """Signed, with further authors."""
    plain = PLAIN.replace(b"From: ", b"From: " + b", ".join(others) + b", ")
    return sign_message([SIGNER], plain, NOW) + plain


async def check(octets: bytes = SIGNED, zone: str = ZONE, **request: Any) -> MessageReport:
    asked: dict[str, Any] = {"client": CLIENT, "reverse_path": "alice@example.org"} | request
    report = await check_message(ZoneResolver(zone), CheckMessage(octets=octets, **asked), NOW)
    for finding in report.findings:
        assert "{" not in finding.text.format(**finding.values) + finding.remedy.format(**finding.values)
        assert finding.remedy or finding.level in ("good", "unknown")
    return report


def problems(report: MessageReport) -> list[tuple[str, str, str]]:
    return [
        (one.level, one.topic, one.text.format(**one.values))
        for one in report.findings
        if one.level != "good"
    ]


async def test_a_message_in_order() -> None:
    report = await check()
    assert problems(report) == []
    assert [one.topic for one in report.findings] == ["FORM", "PTR", "SPF", "SPF", "DKIM", "DMARC"]
    for word in (
        "spf=pass smtp.mailfrom=alice@example.org",
        "smtp.helo=mx.example.org",
        "dkim=pass",
        "dmarc=pass",
        "iprev=pass",
    ):
        assert word in report.authentication_results.replace("\r\n\t", " ")


async def test_a_file_of_this_system_is_read_as_it_travelled() -> None:
    assert with_line_ends(b"From alice Tue\n" + SIGNED.replace(b"\r\n", b"\n")) == SIGNED
    assert problems(await check(SIGNED.replace(b"\r\n", b"\n"))) == []


@pytest.mark.parametrize(
    ("octets", "zone", "level", "topic", "text"),
    [
        (PLAIN, ZONE, "bad", "DKIM", "is not signed"),
        (
            SIGNED.replace(b"Hello", b"Hallo"),
            ZONE,
            "bad",
            "DKIM",
            "the body is not the one that was signed (body hash did not verify)",
        ),
        (SIGNED.replace(b"<alice@", b"<malice@"), ZONE, "bad", "DKIM", "a field of the header section"),
        (SIGNED.replace(b"v=1;", b"v=7;"), ZONE, "bad", "DKIM", "cannot be read"),
        (SIGNED, ZONE.replace("s1._domainkey", "s2._domainkey"), "bad", "DKIM", "no key of that name"),
        (SIGNED, ZONE.replace("k=ed25519;", "k=ed25519; t=y;"), "hint", "DKIM", "says that it is a test"),
        (SIGNED, ZONE + "$TIMEOUT s1._domainkey.example.org\n", "unknown", "DKIM", "could not be fetched"),
        (sign_message([SIGNER], PLAIN, NOW - 9 * 86_400) + PLAIN, ZONE, "bad", "DKIM", "it has expired"),
        (
            SIGNED,
            ZONE.replace("ip4:192.0.2.0/24 ", ""),
            "bad",
            "SPF",
            "MAIL FROM: 192.0.2.25 may not send for example.org",
        ),
        (
            SIGNED,
            ZONE.replace("-all", "?all").replace("ip4:192.0.2.0/24", ""),
            "bad",
            "SPF",
            "does not say whether",
        ),
        (SIGNED, ZONE.replace("v=spf1 ip4", "v=spf1 ip7"), "bad", "SPF", "is in error"),
        (SIGNED, ZONE + "$SERVFAIL example.org TXT\n", "unknown", "SPF", "did not say who may send"),
        (
            SIGNED,
            ZONE.replace("in-addr.arpa PTR mx.", "in-addr.arpa PTR my."),
            "bad",
            "PTR",
            "does not lead back",
        ),
        (SIGNED, ZONE + "$SERVFAIL 25.2.0.192.in-addr.arpa\n", "unknown", "PTR", "reverse name"),
        (PLAIN, ZONE.replace("ip4:192.0.2.0/24 ", ""), "bad", "DMARC", "nothing authenticates example.org"),
        (SIGNED, ZONE.replace("_dmarc", "_dmarx"), "hint", "DMARC", "publishes no DMARC record"),
        (SIGNED, ZONE + "$SERVFAIL _dmarc.example.org\n", "unknown", "DMARC", "did not say"),
        (_by(b"Bob <b@strict.example>"), STRICT, "bad", "DMARC", "nothing authenticates strict.example"),
        (
            _by(*(b"b@%d.example" % number for number in range(5))),
            ZONE,
            "bad",
            "FORM",
            "does not name a readable author",
        ),
        (_by(b"b@[192.0.2.1]"), ZONE, "bad", "DMARC", "cannot be applied"),
        (b"From: b@example.org\r\n" + SIGNED, ZONE, "bad", "FORM", "from is given 2 times"),
        (b"From: b@example.org\r\n" + SIGNED, ZONE, "bad", "DMARC", "cannot be applied"),
        (SIGNED.replace(b"Date:", b"X-Date:"), ZONE, "bad", "FORM", "no Date field"),
        (PLAIN.replace(b"Alice <", b"Alice <<"), ZONE, "bad", "FORM", "does not name a readable author"),
        (b"Subject: x", ZONE, "bad", "FORM", "No empty line"),
    ],
)
async def test_what_is_wrong_is_said(octets: bytes, zone: str, level: str, topic: str, text: str) -> None:
    found = problems(await check(octets, zone))
    assert any((one[0], one[1]) == (level, topic) and text in one[2] for one in found), found


async def test_of_several_authors_the_strictest_policy_counts_as_at_the_door() -> None:
    """Each of them must be spoken for, and the answer is that of the domain that asks for most."""
    report = await check(_by(b"Carol <c@quiet.example>", b"Bob <b@strict.example>"), STRICT)
    assert "dmarc=fail" in report.authentication_results and "strict.example" in report.authentication_results
    assert problems(await check(_by(b"Al <al@example.org>"))) == []


async def test_a_second_signature_that_fails_is_only_a_hint() -> None:
    other = sign_message([DkimSigner.from_pem("far.example", "x", PEM["ed25519"])], PLAIN, NOW)
    assert [one[:2] for one in problems(await check(other + SIGNED))] == [("hint", "DKIM")]


async def test_without_a_sender_only_what_the_message_says() -> None:
    report = await check(client=None)
    assert [one[:2] for one in problems(report)] == [
        ("hint", "SPF")
    ] and "spf=" not in report.authentication_results
    report = await check(reverse_path=None)
    assert problems(report)[0][1] == "SPF" and report.findings[2].values == {"option": "--mail-from"}
    assert problems(await check(b"Return-Path: <alice@example.org>\r\n" + SIGNED, reverse_path=None)) == []


async def test_a_notice() -> None:
    """With an empty sender SPF looks at the name in EHLO."""
    report = await check(reverse_path="<>", hello="mx.example.org")
    assert problems(report) == [] and [one.topic for one in report.findings].count("SPF") == 1
    report = await check(reverse_path="<>", hello="mail.example.org")
    assert [one[:2] for one in problems(report)] == [("hint", "PTR"), ("hint", "SPF")]
    with pytest.raises(AdminRefused, match="not an address"):
        await check(reverse_path="alice")


async def test_a_chain_of_seals() -> None:
    header, body = HeaderSection(PLAIN), SigningBody()
    body.feed(PLAIN[header.body :])
    chain = seal_message(
        sealer=SIGNER,
        header=header,
        body_hash=body.finish(),
        results=b"lists.example; none",
        chain=ArcEvidence(result="none"),
        now_seconds=NOW,
    )
    arc = [one for one in (await check(chain + PLAIN)).findings if one.topic == "ARC"]
    assert [(one.level, one.values["sealers"]) for one in arc] == [("good", "example.org")]
    (broken,) = [
        one for one in (await check(chain + PLAIN.replace(b"Hello", b"Hallo"))).findings if one.topic == "ARC"
    ]
    assert broken.level == "hint"
    dead = await check(chain + PLAIN, ZONE + "$SERVFAIL s1._domainkey.example.org\n")
    assert ("unknown", "ARC") in [one[:2] for one in problems(dead)]


def test_every_reason_of_dkim_has_its_words() -> None:
    assert all(_wording(start + " …") is wording for start, wording in REASONS.items())
    assert _wording("signature syntax: a tag occurs twice").why == "the signature cannot be read"
