"""What we sign, dkimpy and we accept; what dkimpy signs, we accept; and every way not to pass."""

import re
import time
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.dkim.evidence import DkimEvidence, DkimPolicy
from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningBody, SigningRefused, sign_message
from sekisho.core.mailauth.dkim.verify import MAX_KEYS, DkimVerifier, verify_message, verify_message_now
from sekisho.core.mailauth.synchronous import LookupResolver, run_synchronously
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType

NOW = 1_800_000_000
MESSAGE = (
    b"Received: from somewhere\r\nFrom: Alice <alice@example.test>\r\nTo: bob@example.net\r\nSubject: A  "
    b"long\r\n\tsubject\r\n"
    b"Date: Tue, 24 Nov 2026 05:20:51 +0000\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n\r\n"
    b"Hello,  Bob \r\n\r\n.\r\nBye\r\n\r\n\r\n"
)


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


@cache
def signers() -> tuple[DkimSigner, DkimSigner]:
    ed25519 = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    return DkimSigner("example.test", "r2026", rsa_key()), DkimSigner("example.test", "e2026", ed25519)


class Zone:
    """TXT records; a status instead of text is a name that answers so."""

    def __init__(self, **changes: str | DnsStatus) -> None:
        self.records: dict[str, str | DnsStatus] = {s.key_name: s.key_record for s in signers()}
        self.records |= {
            name.replace("__", "._domainkey.").replace("_t", ".t"): value for name, value in changes.items()
        }
        self.asked: list[str] = []

    def lookup(self, name: str, rtype: RecordType) -> Answer:
        self.asked.append(name)
        value = self.records.get(name, DnsStatus.NXDOMAIN)
        if isinstance(value, DnsStatus):
            return Answer(name=name, rtype=rtype, status=value)
        return Answer(
            name=name, rtype=rtype, status=DnsStatus.NOERROR, records=(value.encode(),), ttl_seconds=60
        )

    def verify(self, message: bytes, now: int = NOW, **options: object) -> list[DkimEvidence]:
        return list(verify_message_now(message, LookupResolver(self.lookup), now, **options))


def outcomes(evidence: list[DkimEvidence]) -> list[tuple[str, str]]:
    return [(e.result, e.reason) for e in evidence]


def signed(message: bytes = MESSAGE, which: int | None = 0) -> bytes:
    chosen = signers() if which is None else [signers()[which]]
    return sign_message(list(chosen), message, NOW) + message


def dkimpy_dns(zone: Zone) -> object:
    return lambda name, timeout=5: str(zone.records.get(name.decode().rstrip("."), "")).encode()


def test_we_accept_our_own() -> None:
    rsa, ed25519 = Zone().verify(signed(which=None))
    assert (rsa.result, rsa.domain, rsa.selector, rsa.algorithm, rsa.key_bits) == (
        "pass",
        "example.test",
        "r2026",
        "rsa-sha256",
        2048,
    )
    assert (ed25519.result, ed25519.algorithm) == ("pass", "ed25519-sha256")
    assert rsa.expires_at == NOW + 7 * 86_400 and rsa.signed_at == NOW and rsa.identity == "@example.test"
    assert len(rsa.signature_start) == 8


def test_dkimpy_accepts_ours() -> None:
    message = sign_message(list(signers()), MESSAGE, int(time.time())) + MESSAGE  # dkimpy reads the clock
    verifier = dkim.DKIM(message)
    assert all(verifier.verify(idx=index, dnsfunc=dkimpy_dns(Zone())) for index in (0, 1))


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("algorithm", [b"rsa-sha256", b"ed25519-sha256"])
def test_we_accept_dkimpys(header: bytes, body: bytes, algorithm: bytes) -> None:
    if algorithm == b"rsa-sha256":
        key = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    else:
        key = dkim.base64.b64encode(b"k" * 32)
    selector = signers()[algorithm != b"rsa-sha256"].selector.encode()
    field = dkim.sign(
        MESSAGE, selector, b"example.test", key, canonicalize=(header, body), signature_algorithm=algorithm
    )
    assert outcomes(Zone().verify(field + MESSAGE)) == [("pass", "")]


def test_the_form_of_a_signature() -> None:
    field = signed().partition(b"Received: ")[0]
    assert field.endswith(b"\r\n") and all(len(line) <= 78 for line in field.split(b"\r\n"))
    text = re.sub(rb"\s", b"", field).decode()
    assert "c=relaxed/relaxed" in text and ";l=" not in text
    names = re.search("h=([^;]*)", text)[1].split(":")
    assert (
        names.count("From") == 2
        and names.count("Subject") == 2
        and names.count("Reply-To") == 1
        and "Received" not in names
    )
    assert signed() == signed()  # deterministic


@pytest.mark.parametrize(
    "change",
    [
        (b"Hello", b"Hallo"),
        (b"Subject: A  long", b"Subject: A short"),
        (b"To: bob", b"To: bo"),
        (b"Bye\r\n", b"Bye\r\nmore\r\n"),
        (b"Received: from somewhere\r\n", b"Reply-To: eve@example.org\r\n"),
        (b"Received: from somewhere\r\n", b"List-Unsubscribe: <https://example.org>\r\n"),
        (b"t=1800000000", b"t=1800000001"),
    ],
)
def test_changes_are_noticed(change: tuple[bytes, bytes]) -> None:
    message = signed(which=None)
    assert message.count(change[0])
    assert {e.result for e in Zone().verify(message.replace(*change))} == {"fail"}


def test_what_a_relay_may_do() -> None:
    message = (
        b"Received: by relay\r\n"
        + signed().replace(b"Subject: A  long\r\n\tsubject", b"subject:A long subject")
        + b"\r\n\r\n"
    )
    assert outcomes(Zone().verify(message)) == [("pass", "")]


@pytest.mark.parametrize(
    "field",
    [
        b"From: eve@example.org",
        b"Subject: Other",
        b"Date: x",
        b"Message-ID: <x@y>",
        b"To: x@y",
        b"from : e@f",
    ],
)
def test_a_second_singleton_never_passes(field: bytes) -> None:
    """Even if the signer covered both."""
    both = field + b"\r\n" + MESSAGE
    header = HeaderSection(both)
    body = SigningBody()
    body.feed(both[header.body :])
    if header.count(b"from") == 1:
        signature = signers()[0].sign(header, body.finish(), NOW)
        assert [e.result for e in Zone().verify(signature + both)] == ["policy"]
    assert {e.result for e in Zone().verify(field + b"\r\n" + signed(which=None))} <= {"policy", "permerror"}


def test_two_froms_are_not_signed() -> None:
    with pytest.raises(SigningRefused):
        sign_message([signers()[0]], b"From: eve@example.org\r\n" + MESSAGE, NOW)
    with pytest.raises(SigningRefused):
        sign_message([signers()[0]], MESSAGE.replace(b"From:", b"X-From:"), NOW)


def test_expiry() -> None:
    at = NOW + 7 * 86_400
    assert outcomes(Zone().verify(signed(), at)) == [("pass", "")]
    assert outcomes(Zone().verify(signed(), at + 1)) == [("fail", "signature expired")]


@pytest.mark.parametrize("status", [DnsStatus.SERVFAIL, DnsStatus.TIMEOUT, DnsStatus.BOGUS])
def test_dns_that_does_not_answer_is_temperror(status: DnsStatus) -> None:
    zone = Zone(r2026__example_test=status)
    assert [e.result for e in zone.verify(signed(which=None))] == ["temperror", "pass"]


@pytest.mark.parametrize("status", [DnsStatus.NXDOMAIN, DnsStatus.NODATA])
def test_no_key(status: DnsStatus) -> None:
    assert outcomes(Zone(r2026__example_test=status).verify(signed())) == [
        ("permerror", "no key for signature")
    ]


RECORD = signers()[0].key_record


@pytest.mark.parametrize(
    ("record", "result"),
    [
        (RECORD.replace("v=DKIM1; ", ""), "pass"),
        (RECORD.replace("k=rsa; ", ""), "pass"),
        (RECORD + "; t=y", "pass"),
        (RECORD + "; t=s", "pass"),
        (RECORD + "; s=email:x; h=sha1:sha256; n=note; g=ignored", "pass"),
        (RECORD + "; h=sha1", "permerror"),
        (RECORD + "; s=tlsrpt", "permerror"),
        (RECORD.replace("DKIM1", "DKIM2"), "permerror"),
        ("p=" + RECORD.partition("p=")[2] + "; v=DKIM1", "permerror"),
        (RECORD.replace("k=rsa", "k=ed25519"), "permerror"),
        (RECORD.partition("p=")[0] + "p=", "permerror"),
        (RECORD.partition("p=")[0], "permerror"),
        (RECORD.replace("p=", "p=!"), "permerror"),
        (RECORD[:-30], "permerror"),
        (signers()[1].key_record, "permerror"),
        ("", "permerror"),
        ("v=spf1 -all", "permerror"),
        (";;;", "permerror"),
    ],
)
def test_key_records(record: str, result: str) -> None:
    assert [e.result for e in Zone(r2026__example_test=record).verify(signed())] == [result]


OTHER = DkimSigner("example.test", "r2026", generate_private_key(65537, 2048)).key_record


@pytest.mark.parametrize(
    ("records", "result", "reason"),
    [
        ((OTHER, RECORD), "pass", ""),
        ((RECORD, OTHER), "pass", ""),
        (
            (OTHER, "v=spf1 -all", signers()[1].key_record, RECORD.partition("p=")[0] + "p=", RECORD),
            "pass",
            "",
        ),
        ((OTHER, OTHER + "; n=2"), "fail", "signature did not verify"),
        (("v=DKIM1; p=", signers()[1].key_record), "permerror", "key revoked"),
        ((signers()[1].key_record, RECORD + "; h=sha1"), "permerror", "key type does not match a="),
        (
            (*(f"{OTHER}; n={n}" for n in range(MAX_KEYS)), RECORD),
            "fail",
            "signature did not verify",
        ),  # tried, but not for ever
    ],
)
def test_several_records_at_one_name_are_tried(records: tuple[str, ...], result: str, reason: str) -> None:
    answer = tuple(record.encode() for record in records)
    resolver = LookupResolver(
        lambda name, rtype: Answer(name=name, rtype=rtype, status=DnsStatus.NOERROR, records=answer)
    )
    assert outcomes(list(verify_message_now(signed(), resolver, NOW))) == [(result, reason)]


def test_bare_line_ends_are_told() -> None:
    for message in (signed().replace(b"\r\n", b"\n"), signed().replace(b"\r\n", b"\n", 3)):
        (evidence,) = Zone().verify(message)
        assert evidence.result == "fail" and "convert them to CRLF first" in evidence.reason
    assert outcomes(Zone().verify(signed() + b"more\r\n")) == [("fail", "body hash did not verify")]
    with pytest.raises(SigningRefused, match="bare LF"):
        sign_message([signers()[0]], MESSAGE.replace(b"\r\n", b"\n"), NOW)


def test_a_top_level_domain_speaks_for_nobody_unless_asked_for() -> None:
    com = DkimSigner("com", "r2026", rsa_key())
    zone = Zone()
    zone.records[com.key_name] = com.key_record
    message = sign_message([com], MESSAGE, NOW) + MESSAGE
    assert outcomes(zone.verify(message)) == [("policy", "d= is a top-level domain")] and zone.asked == []
    assert outcomes(zone.verify(message, policy=DkimPolicy(allows_top_level=True))) == [("pass", "")]


def test_testing_keys_are_told() -> None:
    assert Zone(r2026__example_test=RECORD + "; t=y:s").verify(signed())[0].is_testing


def _with_dkimpy(message: bytes = MESSAGE, key: RSAPrivateKey | None = None, **options: object) -> bytes:
    pem = (key or rsa_key()).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return dkim.sign(message, b"r2026", b"example.test", pem, **options) + message


def test_1024_bits_are_the_least() -> None:
    key = rsa_key(1024)
    signer = object.__new__(DkimSigner)
    for name, value in (("domain", "example.test"), ("selector", "r2026"), ("key", key)):
        object.__setattr__(signer, name, value)
    message = _with_dkimpy(key=key)
    assert outcomes(Zone(r2026__example_test=signer.key_record).verify(message)) == [("pass", "")]
    with pytest.raises(SigningRefused):
        DkimSigner("example.test", "r2026", key)


def test_sha1_does_not_pass() -> None:
    message = _with_dkimpy(signature_algorithm=b"rsa-sha1")
    assert outcomes(Zone().verify(message)) == [("policy", "rsa-sha1 is not acceptable")]


def test_l_authenticates_nothing_that_it_leaves_out() -> None:
    message = _with_dkimpy(length=True, canonicalize=(b"relaxed", b"relaxed"))
    assert outcomes(Zone().verify(message)) == [("pass", "")]
    assert outcomes(Zone().verify(message + b"<p>buy this</p>\r\n")) == [
        ("policy", "l= leaves part of the body unsigned")
    ]
    assert [e.result for e in Zone().verify(message.replace(b"Bye", b""))] == ["fail"]


def test_l_longer_than_the_body() -> None:
    message = _with_dkimpy(length=True, canonicalize=(b"relaxed", b"relaxed"))
    longer = re.sub(rb"l=\d+", b"l=99999", message)
    assert outcomes(Zone().verify(longer)) == [("permerror", "l= is longer than the body")]


def test_identity_rules() -> None:
    def with_identity(identity: bytes) -> bytes:
        return _with_dkimpy(identity=identity)

    inside, below = with_identity(b"alice@example.test"), with_identity(b"a@b.example.test")
    assert outcomes(Zone().verify(inside)) == [("pass", "")] == outcomes(Zone().verify(below))
    strict = Zone(r2026__example_test=RECORD + "; t=s")
    assert outcomes(strict.verify(inside)) == [("pass", "")]
    assert outcomes(strict.verify(below)) == [("permerror", "key demands i= at d= itself")]
    outside = inside.replace(b"i=alice@example.test", b"i=alice@other.test")
    assert outcomes(Zone().verify(outside)) == [("permerror", "i= is not within d=")]
    assert outcomes(Zone().verify(inside.replace(b"i=alice@", b"i=alice@evil"))) == [
        ("permerror", "i= is not within d=")
    ]


TAGS = (
    "v=1; a=rsa-sha256; d=example.test; s=r2026; h=from; "
    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWJj; c=relaxed/relaxed"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=1", "v=2"),
        ("v=1", "v=1; v=1"),
        ("rsa-sha256", "rsa-md5"),
        ("h=from", "h=to:subject"),
        ("h=from", "h="),
        ("h=from", "h=from::to"),
        ("d=example.test; ", ""),
        ("d=example.test", "d=exa mple.test"),
        ("d=example.test", "d=[192.0.2.1]"),
        ("d=example.test", "d=" + "a." * 200 + "test"),
        ("s=r2026", "s=../x"),
        ("s=r2026", "s=a..b"),
        ("b=YWJj", "b=Y*"),
        ("b=YWJj", "b="),
        ("bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "bh=YWJj"),
        ("relaxed/relaxed", "nofws"),
        ("relaxed/relaxed", "relaxed/relaxed; q=http"),
        ("relaxed/relaxed", "relaxed/relaxed; l=-1"),
        ("relaxed/relaxed", "relaxed/relaxed; l="),
        ("relaxed/relaxed", "relaxed/relaxed; t=9; x=8"),
        ("relaxed/relaxed", "relaxed/relaxed; x=soon"),
        ("relaxed/relaxed", "relaxed/relaxed; i=nobody"),
        ("relaxed/relaxed", "relaxed/relaxed; i=a=0Ab@example.test"),
        ("relaxed/relaxed", "relaxed/relaxed; \0"),
        ("relaxed/relaxed", "relaxed/relaxed;;"),
        ("relaxed/relaxed", "relaxed/relaxed; z"),
    ],
)
def test_signatures_that_cannot_be_read_are_permerror_and_ask_nothing(old: str, new: str) -> None:
    zone = Zone()
    assert old in TAGS
    message = b"DKIM-Signature: " + TAGS.replace(old, new).encode() + b"\r\nFrom: a@example.test\r\n\r\n"
    assert [e.result for e in zone.verify(message)] == ["permerror"] and zone.asked == []


def test_the_template_itself_is_read() -> None:
    assert outcomes(
        Zone().verify(b"DKIM-Signature: " + TAGS.encode() + b"\r\nFrom: a@example.test\r\n\r\n")
    ) == [("fail", "signature did not verify")]


def test_at_most_ten_signatures_and_the_authors_own_first() -> None:
    junk = b"".join(b"DKIM-Signature: v=1; d=junk%d.test; b=x\r\n" % n for n in range(30))
    message = junk + signed()
    assert len(Zone().verify(message)) == 10 and not any(e.result == "pass" for e in Zone().verify(message))
    evidence = Zone().verify(message, author_domain="example.test")
    assert len(evidence) == 10 and evidence[0].result == "pass"


def test_key_names_are_known_before_the_body() -> None:
    header = HeaderSection(signed(which=None))
    verifier = DkimVerifier(header, NOW)
    assert (
        verifier.key_names == ("r2026._domainkey.example.test", "e2026._domainkey.example.test")
        and verifier.wants_body
    )
    assert not DkimVerifier(HeaderSection(MESSAGE), NOW).wants_body


async def test_the_asynchronous_entry_and_a_body_in_pieces() -> None:
    message = signed(MESSAGE + b"line\r\n" * 50_000)
    resolver = LookupResolver(Zone().lookup)
    assert (await verify_message(message, resolver, NOW))[0].result == "pass"
    header = HeaderSection(message[:4000])
    verifier = DkimVerifier(header, NOW)
    for start in range(header.body, len(message), 777):
        verifier.feed(message[start : start + 777])
    assert (await verifier.finish(resolver))[0].result == "pass"


def test_internationalised_domains() -> None:
    message = MESSAGE.replace(b"example.test>", "例え.test>".encode())
    signer = DkimSigner("xn--r8jz45g.test", "r2026", rsa_key())
    field = sign_message([signer], message, NOW)
    zone = Zone()
    zone.records[signer.key_name] = signer.key_record
    assert outcomes(zone.verify(field + message)) == [("pass", "")]
    # RFC 8616 §4: U-labels in d= mean the same key, but here they are not what was signed.
    evidence = zone.verify(field.replace(b"xn--r8jz45g", "例え".encode()) + message)
    assert [(e.result, e.domain) for e in evidence] == [("fail", "xn--r8jz45g.test")]


@given(st.binary(max_size=300))
def test_garbage_never_passes_and_never_raises(garbage: bytes) -> None:
    zone = Zone()
    for message in (
        garbage,
        b"DKIM-Signature: " + garbage + b"\r\nFrom: a@b.test\r\n\r\nx",
        b"DKIM-Signature:" + TAGS.encode() + garbage,
    ):
        assert all(e.result in ("fail", "permerror", "policy") for e in zone.verify(message))


WHOLE = signed(which=None)


@given(st.integers(WHOLE.index(b"From: "), len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_octet_does_not_pass_unless_it_means_nothing(index: int, change: int) -> None:
    message = bytearray(WHOLE)
    message[index] ^= change
    old, new = WHOLE[index : index + 1], bytes(message[index : index + 1])
    if any(e.result == "pass" for e in Zone().verify(bytes(message))):
        assert (
            old.isspace()
            or new.isspace()
            or (old.lower() == new.lower() and index < WHOLE.index(b"\r\n\r\n"))
        )


def test_a_resolver_that_waits_is_told_off() -> None:
    class Waiting:
        async def resolve(self, name: str, rtype: RecordType) -> Answer:
            import asyncio

            await asyncio.sleep(0)
            raise AssertionError

    with pytest.raises(RuntimeError):
        run_synchronously(verify_message(signed(), Waiting(), NOW))
