"""Chains that we make ourselves, broken in every way; dkimpy says what it thinks of the whole ones."""

import base64
import re
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.arc.chain import ArcSet, sealed_octets
from sekisho.core.mailauth.arc.seal import results_to_seal, seal_message
from sekisho.core.mailauth.arc.verify import ArcEvidence, ArcVerifier, verify_chain, verify_chain_now
from sekisho.core.mailauth.dkim.header_hash import CanonicalHeader
from sekisho.core.mailauth.dkim.keys import KeyRecord, is_signed_by, parse_key_record
from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningBody, SigningRefused
from sekisho.core.mailauth.synchronous import LookupResolver
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.door.sealers import sealed_pass
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType

NOW = 1_700_000_000
MESSAGE = (
    b"Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=example.org;\r\n\tdkim=pass "
    b"header.d=example.org\r\n"
    b"From: a@example.org\r\nTo: list@example.test\r\nSubject: Hi\r\nDate: Tue, 24 Nov 2026 05:20:51 "
    b"+0000\r\n\r\nHello\r\n"
)


@cache
def signer() -> DkimSigner:
    return DkimSigner("example.test", "arc", generate_private_key(65537, 2048))


class Zone:
    def __init__(self, status: DnsStatus | None = None) -> None:
        self.status = status
        self.asked: list[str] = []

    def lookup(self, name: str, rtype: RecordType) -> Answer:
        self.asked.append(name)
        if self.status is not None or name != signer().key_name:
            return Answer(name=name, rtype=rtype, status=self.status or DnsStatus.NXDOMAIN)
        return Answer(
            name=name, rtype=rtype, status=DnsStatus.NOERROR, records=(signer().key_record.encode(),)
        )

    def verify(self, message: bytes, now: int = NOW) -> ArcEvidence:
        return verify_chain_now(message, LookupResolver(self.lookup), now)


def seal(message: bytes, chain: ArcEvidence | None = None) -> bytes:
    header, body = HeaderSection(message), SigningBody()
    body.feed(message[header.body :])
    results = results_to_seal(header, "mx.example.test")
    return (
        seal_message(
            sealer=signer(),
            header=header,
            body_hash=body.finish(),
            results=results,
            chain=chain or Zone().verify(message),
            now_seconds=NOW,
        )
        + message
    )


@cache
def sealed(times: int = 1) -> bytes:
    message = MESSAGE
    for _ in range(times):
        message = seal(message)
    return message


@pytest.mark.parametrize("times", [1, 2, 5])
def test_our_own_chain(times: int) -> None:
    evidence = Zone().verify(sealed(times))
    assert (evidence.result, evidence.instances, evidence.sealers) == (
        "pass",
        times,
        ("example.test",) * times,
    )
    status, _, reason = dkim.ARC(sealed(times)).verify(
        dnsfunc=lambda name, timeout=5: signer().key_record.encode()
    )
    assert status == b"pass", reason


def test_results_are_gathered() -> None:
    more = (
        b"Authentication-Results: mx.example.test; dmarc=pass;\r\nAuthentication-Results: other.test; "
        b"dkim=fail\r\n" + MESSAGE
    )
    expected = (
        b"mx.example.test; dmarc=pass; spf=pass smtp.mailfrom=example.org;\tdkim=pass header.d=example.org"
    )
    assert results_to_seal(HeaderSection(more), "mx.example.test") == expected
    assert results_to_seal(HeaderSection(MESSAGE), "MX.Example.test").startswith(b"MX.Example.test; spf=pass")


def test_what_a_sealer_saw_is_read_back_from_a_chain_that_passes() -> None:
    trusted = frozenset({"example.test"})
    whole = Zone().verify(sealed(2))
    assert len(whole.seen) == 2 and sealed_pass(whole, "example.org", trusted) == "example.test"
    assert sealed_pass(whole, "example.net", trusted) == sealed_pass(whole, "example.org", frozenset()) == ""
    broken = Zone().verify(sealed(2).replace(b"Hello\r\n", b"Hullo\r\n"))
    assert broken.seen == () and sealed_pass(broken, "example.org", trusted) == ""


def test_no_chain() -> None:
    zone = Zone()
    assert zone.verify(MESSAGE) == ArcEvidence(result="none") and zone.asked == []


CHANGES = [
    (b"Hello", b"Hallo"),
    (b"Subject: Hi", b"Subject: Ho"),
    (b"Subject: Hi\r\n", b"Subject: Hi\r\nSubject: Ho\r\n"),
    (b"From: a@", b"From: e@evil.test\r\nFrom: a@"),
    (b"i=1; mx", b"i=2; mx"),
    (b"i=1; mx", b"i=0; mx"),
    (b"i=1; mx", b"i=51; mx"),
    (b"i=1; mx", b"mx"),
    (b"spf=pass", b"spf=fail"),
    (b"cv=none", b"cv=pass"),
    (b"cv=none", b"cv=maybe"),
    (b"cv=none; ", b""),
    (b"cv=none", b"cv=none; h=from"),
    (b"cv=none", b"cv=none; cv=none"),
    (b"ARC-Seal: a=rsa-sha256", b"ARC-Seal: a=rsa-sha1"),
    (b"ARC-Message-Signature: a=rsa-sha256", b"ARC-Message-Signature: a=rsa-sha1"),
    (b"ARC-Seal: a=rsa-sha256; ", b"ARC-Seal: "),
    (b"ARC-Seal: a=", b"ARC-Seal: t=x; a="),
    (b"ARC-Seal:", b"X-Seal:"),
    (b"ARC-Message-Signature:", b"X-Signature:"),
    (b"ARC-Authentication-Results:", b"X-Results:"),
    (b"h=from", b"h=arc-seal:from"),
    (b"h=from:from", b"h=x:x"),
    (b"c=relaxed/relaxed", b"c=relaxed/nothing"),
    (b"c=relaxed/relaxed", b"c=relaxed/relaxed; l=1"),
    (b"c=relaxed/relaxed", b"c=relaxed/relaxed; x=5"),
    (b"d=example.test", b"d=example.org"),
    (b"s=arc", b"s=cra"),
    (b"bh=", b"hb="),
    (b"t=1700000000", b"t=1700000001"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_chain_fails(change: tuple[bytes, bytes]) -> None:
    assert change[0] in sealed()
    assert Zone().verify(sealed().replace(*change)).result == "fail"


def test_the_reports_of_earlier_sets_are_sealed_but_their_signatures_may_break() -> None:
    message = sealed(2)
    changed_between = seal(
        sealed().replace(b"Subject: Hi", b"Subject: [list] Hi"),
        ArcEvidence(result="pass", reason="", instances=1, sealers=("example.test",)),
    )
    assert Zone().verify(changed_between).result == "pass"
    assert (
        Zone()
        .verify(message.replace(b"i=1; mx.example.test; spf=pass", b"i=1; mx.example.test; spf=fail"))
        .result
        == "fail"
    )


def test_a_seal_that_reports_failure_ends_the_chain() -> None:
    zone = Zone()
    evidence = zone.verify(sealed(2).replace(b"cv=pass", b"cv=fail"))
    assert evidence.result == "fail" and evidence.was_failed and zone.asked == []
    with pytest.raises(SigningRefused):
        seal(sealed(), evidence)


def broken_chains() -> dict[str, bytes]:
    return {
        "changed": sealed(2).replace(b"Hello\r\n", b"Hullo\r\n"),
        "without i": sealed().replace(b"i=1; mx", b"mx"),
        "a gap": sealed(2).replace(b"i=2; s=arc", b"i=7; s=arc"),
        "nonsense": b"ARC-Seal: nonsense\r\n" + MESSAGE,
    }


@pytest.mark.parametrize("how", ["changed", "without i", "a gap", "nonsense"])
def test_a_chain_that_failed_is_sealed_as_failed_by_switch(how: str) -> None:
    message = broken_chains()[how]
    chain = Zone().verify(message)
    assert chain.result == "fail"
    with pytest.raises(SigningRefused):
        seal(message)
    header, body = HeaderSection(message), SigningBody()
    body.feed(message[header.body :])
    added = seal_message(
        sealer=signer(),
        header=header,
        body_hash=body.finish(),
        results=b"mx.example.test; arc=fail",
        chain=chain,
        now_seconds=NOW,
        seals_failed=True,
    )
    own = HeaderSection(added)
    assert [field.name for field in own.fields] == [
        b"arc-seal",
        b"arc-message-signature",
        b"arc-authentication-results",
    ]
    number = max([0, *(int(found) for found in re.findall(rb"\bi=(\d)", message))]) + 1
    assert added.count(b" i=%d;" % number) == 3 and b"cv=fail" in added
    # RFC 8617 §5.1.2: the seal covers its own set alone.
    seal_field, signature_field, results_field = own.fields
    covered = sealed_octets(own, CanonicalHeader(own), [ArcSet(results_field, signature_field, seal_field)])
    key = parse_key_record(signer().key_record.encode())
    octets = re.search(rb" b=([^;]+);", added)
    assert isinstance(key, KeyRecord) and octets is not None
    assert is_signed_by(key, "sha256", base64.b64decode(octets[1]), covered, b"")
    again = Zone().verify(added + message)
    assert again.result == "fail" and (again.was_failed or how != "changed")
    header = HeaderSection(added + message)
    with pytest.raises(SigningRefused):  # once is enough
        seal_message(
            sealer=signer(),
            header=header,
            body_hash=b"x" * 32,
            results=b"mx.example.test; arc=fail",
            chain=again,
            now_seconds=NOW,
            seals_failed=True,
        )


def test_what_may_pass_at_the_next_hop_is_not_sealed_as_failed() -> None:
    chain = Zone(DnsStatus.SERVFAIL).verify(sealed())
    with pytest.raises(SigningRefused):
        seal_message(
            sealer=signer(),
            header=HeaderSection(sealed()),
            body_hash=b"x" * 32,
            results=b"mx",
            chain=chain,
            now_seconds=NOW,
            seals_failed=True,
        )


def test_two_key_records_and_bare_line_ends() -> None:
    other = DkimSigner("example.test", "arc", generate_private_key(65537, 2048)).key_record.encode()
    for records in ((other, signer().key_record.encode()), (signer().key_record.encode(), other)):
        resolver = LookupResolver(
            lambda name, rtype, records=records: Answer(
                name=name, rtype=rtype, status=DnsStatus.NOERROR, records=records
            )
        )
        assert verify_chain_now(sealed(2), resolver, NOW).result == "pass"
    evidence = Zone().verify(sealed().replace(b"\r\n", b"\n"))
    assert evidence.result == "fail" and evidence.reason.endswith(
        "convert them to CRLF first, as they were when it was signed"
    )


def test_sets_that_occur_twice_or_leave_gaps() -> None:
    message = sealed()
    own_field = message[: message.index(b"ARC-Message")]
    assert Zone().verify(own_field + message).reason == "two arc-seal fields with i=1"
    assert Zone().verify(sealed(2).replace(b"i=1", b"i=3")).result == "fail"
    many = b"".join(b"ARC-Seal: i=%d; a=b\r\n" % i for i in range(1, 60))
    assert Zone().verify(many + MESSAGE).result == "fail"


@pytest.mark.parametrize("status", [DnsStatus.SERVFAIL, DnsStatus.TIMEOUT, DnsStatus.BOGUS])
def test_dns_that_does_not_answer_is_marked(status: DnsStatus) -> None:
    evidence = Zone(status).verify(sealed())
    assert evidence.result == "fail" and evidence.is_temporary
    assert not Zone(DnsStatus.NXDOMAIN).verify(sealed()).is_temporary


async def test_a_body_in_pieces() -> None:
    message = sealed()
    resolver = LookupResolver(Zone().lookup)
    header = HeaderSection(message)
    verifier = ArcVerifier(header, NOW)
    assert verifier.wants_body and verifier.key_names == (signer().key_name,)
    for start in range(header.body, len(message), 3):
        verifier.feed(message[start : start + 3])
    assert (await verifier.finish(resolver)).result == "pass"
    assert (await verify_chain(message, resolver, NOW)).result == "pass"


def test_arc_fields_are_not_signed_by_the_message_signature() -> None:
    header = HeaderSection(MESSAGE)
    for names in (("from", "arc-seal"), ("to",)):
        with pytest.raises(SigningRefused):
            seal_message(
                sealer=signer(),
                header=header,
                body_hash=b"x" * 32,
                results=b"mx",
                chain=ArcEvidence(result="none"),
                now_seconds=NOW,
                names=names,
            )


@given(
    st.binary(max_size=200),
    st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]),
)
def test_garbage_fails_or_is_none(garbage: bytes, name: bytes) -> None:
    assert Zone().verify(garbage).result in ("none", "fail")
    assert Zone().verify(name + b":" + garbage + b"\r\nFrom: a@b.test\r\n\r\n").result == "fail"
    assert Zone().verify(sealed().replace(name + b":", name + b":" + garbage + b";", 1)).result == "fail"
