"""Signed messages that others made: the Mail::DKIM corpus, dkimpy's messages, RFC 6376 and RFC 8463
examples."""

import base64
import json
import re

import pytest
from tests.vectors import vectors

from sekisho.core.mailauth.dkim.evidence import DkimEvidence, DkimPolicy
from sekisho.core.mailauth.dkim.verify import verify_message_now
from sekisho.core.mailauth.synchronous import LookupResolver
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType

ROOT = vectors("dkim")
PERMISSIVE = DkimPolicy(min_rsa_bits=512, allows_sha1=True, versions=(b"1", b"0.5"))
# Every key of the corpus is of its time.
NOW = 1_234_567_890


def resolver(records: dict[str, str]) -> LookupResolver:
    def lookup(name: str, rtype: RecordType) -> Answer:
        value = {key.lower(): text for key, text in records.items()}.get(name)
        if value is None or value == "NXDOMAIN":
            return Answer(name=name, rtype=rtype, status=DnsStatus.NXDOMAIN)
        if value == "~~Query timed out~~":
            return Answer(name=name, rtype=rtype, status=DnsStatus.TIMEOUT)
        if value == "~~SERVFAIL~~":
            return Answer(name=name, rtype=rtype, status=DnsStatus.SERVFAIL)
        return Answer(name=name, rtype=rtype, status=DnsStatus.NOERROR, records=(value.encode(),))

    return LookupResolver(lookup)


def corpus() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((ROOT / "mail-dkim-corpus.json").read_text())
    return found


CORPUS = corpus()
IDS = [vector["id"] for vector in CORPUS["vectors"]]
# g= was taken out of key records by RFC 6376 (§C): it is ignored here, so these pass once SHA-1 and short
# keys may.
G_TAG = {"badkey_8.txt", "badkey_9.txt", "badkey_12.txt", "badkey_13.txt"}


def check(vector: dict[str, str], policy: DkimPolicy, now: int = NOW) -> list[DkimEvidence]:
    message = base64.b64decode(vector["message_b64"])
    return list(verify_message_now(message, resolver(CORPUS["dns"]), now, policy=policy))


@pytest.mark.parametrize("vector", CORPUS["vectors"], ids=IDS)
def test_mail_dkim_corpus(vector: dict[str, str]) -> None:
    passed = any(evidence.result == "pass" for evidence in check(vector, DkimPolicy()))
    assert passed == (vector["expected"] == "pass")


@pytest.mark.parametrize("vector", CORPUS["vectors"], ids=IDS)
def test_canonicalisation_when_old_keys_are_allowed(vector: dict[str, str]) -> None:
    evidence = check(vector, PERMISSIVE)
    passed = any(e.result == "pass" for e in evidence)
    assert passed == (vector["upstream_expected"] == "OK" or vector["id"] in G_TAG), evidence


def _read(name: str) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", (ROOT / "dkimpy" / name).read_bytes())


KEYS_8463 = {
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; "
    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": (
        "v=DKIM1; k=rsa; "
        "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
        "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2Ee"
        "C3Ip3G"
        "+2kryOTIKT+l/K4w3QIDAQAB"
    ),
}


def test_rfc_8463_example_verifies_with_both_keys() -> None:
    evidence = verify_message_now(_read("rfc6376.signed.msg"), resolver(KEYS_8463), NOW)
    assert [(e.result, e.algorithm, e.key_bits) for e in evidence] == [
        ("pass", "ed25519-sha256", 256),
        ("pass", "rsa-sha256", 1024),
    ]


def test_mailauth_message_verifies_with_both_keys() -> None:
    dns = json.loads((ROOT / "mailauth-ec/dns.json").read_text())
    records = {name: "".join(types["TXT"][0]) for name, types in dns.items() if "TXT" in types}
    message = (ROOT / "mailauth-ec/signed.eml").read_bytes()
    evidence = verify_message_now(re.sub(rb"\r?\n", b"\r\n", message), resolver(records), NOW)
    assert len(evidence) == 2 and all(e.result == "pass" for e in evidence), evidence


def test_rfc_6376_message_signed_by_dkimpy() -> None:
    evidence = verify_message_now(_read("rfc6376.signed.rsa.msg"), resolver(KEYS_8463), NOW)
    assert [e.result for e in evidence] == ["pass"]


@pytest.mark.parametrize("name", ["test.message", "test_extra.message", "test_nofrom.message", "rfc6376.msg"])
def test_unsigned_messages_have_no_evidence(name: str) -> None:
    assert verify_message_now(_read(name), resolver({}), NOW) == ()
