"""The published ARC suites (RFC 8617 wire format): validation, fed with LF turned into CRLF, and signing."""

import re

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.vectors import vectors

from sekisho.core.mailauth.arc.seal import results_to_seal, seal_message
from sekisho.core.mailauth.arc.verify import verify_chain_now
from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningBody
from sekisho.core.mailauth.synchronous import LookupResolver
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType

ROOT = vectors("arc")
NOW = 1_700_000_000


def cases(name: str) -> list[tuple[str, dict, dict]]:
    scenarios = yaml.safe_load_all((ROOT / name).read_text("utf-8"))
    return [(case, test, scenario) for scenario in scenarios for case, test in scenario["tests"].items()]


def resolver(records: dict[str, str]) -> LookupResolver:
    def lookup(name: str, rtype: RecordType) -> Answer:
        if not records or name not in records:
            return Answer(name=name, rtype=rtype, status=DnsStatus.NXDOMAIN)
        return Answer(name=name, rtype=rtype, status=DnsStatus.NOERROR, records=(records[name].encode(),))

    return LookupResolver(lookup)


def crlf(text: str) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", text.encode())


VALIDATION = cases("arc-validation-part.yml")
SIGNING = cases("arc-sign-part.yml")


@pytest.mark.parametrize(("case", "test", "scenario"), VALIDATION, ids=[case for case, _, _ in VALIDATION])
def test_validation(case: str, test: dict, scenario: dict) -> None:
    evidence = verify_chain_now(crlf(test["message"]), resolver(scenario["txt-records"]), NOW)
    assert evidence.result in ((test["cv"].lower(),) if test["cv"] else ("none", "fail")), evidence


def tag_set(value: bytes | str) -> dict[str, str]:
    text = value.decode() if isinstance(value, bytes) else value
    return dict(tag.split("=", 1) for tag in re.sub(r"\s", "", text).split(";"))


def test_key(scenario: dict) -> DkimSigner:
    pem = (
        scenario["privatekey"]
        .replace("PEM-BEGIN", "-----BEGIN RSA PRIVATE KEY-----")
        .replace("PEM-END", "-----END RSA PRIVATE KEY-----")
    )
    signer = object.__new__(DkimSigner)  # the published key is shorter than we would sign with
    for name, value in (
        ("domain", scenario["domain"]),
        ("selector", scenario["sel"]),
        ("key", load_pem_private_key(pem.encode(), None)),
    ):
        object.__setattr__(signer, name, value)
    return signer


test_key.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(("case", "test", "scenario"), SIGNING, ids=[case for case, _, _ in SIGNING])
def test_signing(case: str, test: dict, scenario: dict) -> None:
    message = crlf(test["message"])
    header, body = HeaderSection(message), SigningBody()
    body.feed(message[header.body :])
    records = {
        name: re.sub(r"\s+(?=\S)(?!p=|k=)", "", text) for name, text in scenario["txt-records"].items()
    }
    chain = verify_chain_now(message, resolver(records), NOW)
    results = results_to_seal(header, test["srv-id"])
    names = tuple(test["sig-headers"].split(":"))
    fields = seal_message(
        sealer=test_key(scenario),
        header=header,
        body_hash=body.finish(),
        results=results,
        chain=chain,
        now_seconds=test["t"],
        names=names,
    )
    sealed = HeaderSection(fields)
    assert tag_set(sealed.first(b"arc-seal")) == tag_set(test["AS"])
    assert tag_set(sealed.first(b"arc-message-signature")) == tag_set(test["AMS"])
    assert re.sub(rb"\s", b"", sealed.first(b"arc-authentication-results")).decode() == re.sub(
        r"\s", "", test["AAR"]
    )
    assert verify_chain_now(fields + message, resolver(records), NOW).result == "pass"
