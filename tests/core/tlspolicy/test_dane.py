"""DANE: which records count, and which chains they vouch for."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.terms.dns import Tlsa
from sekisho.core.tlspolicy import dane as dane_module
from sekisho.core.tlspolicy.dane import certificate_names_host, match_chain, usable_records

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)
HOST = "mx.example.com"
Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(
    name: str,
    issuer: Signed | None = None,
    *,
    names: tuple[str, ...] = (),
    is_ca: bool | None = None,
    days: tuple[int, int] = (-10, 10),
    usage: x509.ObjectIdentifier | None = None,
    path_length: int | None = None,
    signs: bool | None = None,
) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer = issuer[1] if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    if is_ca is not None:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True
        )
    if signs is not None:
        rest = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
        rest += ("key_agreement", "crl_sign", "encipher_only", "decipher_only")  # type: ignore[assignment]
        usages = x509.KeyUsage(key_cert_sign=signs, **dict.fromkeys(rest, False))
        builder = builder.add_extension(usages, critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


ROOT = issue("root", is_ca=True)
MIDDLE = issue("middle", ROOT, is_ca=True)
LEAF = issue("leaf", MIDDLE, names=(HOST,))
OTHER = issue("other", is_ca=True)


def der(*signed: Signed) -> tuple[bytes, ...]:
    return tuple(one[0].public_bytes(Encoding.DER) for one in signed)


def record(usage: int, of: Signed, selector: int = 1, matching: int = 1) -> Tlsa:
    if selector:
        octets = of[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        octets = der(of)[0]
    return Tlsa(
        usage,
        selector,
        matching,
        {0: octets, 1: hashlib.sha256(octets).digest(), 2: hashlib.sha512(octets).digest()}[matching],
    )


CHAIN = der(LEAF, MIDDLE, ROOT)


def failure(
    records: list[Tlsa], chain: tuple[bytes, ...] = CHAIN, names: tuple[str, ...] = (HOST,)
) -> str | None:
    found = match_chain(records, chain, names, NOW_US)
    assert (found.record is None) == (found.failure is not None)
    return found.failure


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_form_of_a_record(selector: int, matching: int) -> None:
    for usage, of in ((3, LEAF), (2, MIDDLE), (2, ROOT)):
        assert failure([record(usage, of, selector, matching)]) is None
        assert failure([record(usage, OTHER, selector, matching)]) == "certificate-not-trusted"


def test_an_end_entity_needs_neither_name_nor_date() -> None:
    old = issue("old", names=("elsewhere.example",), days=(-30, -20))
    assert failure([record(3, old)], der(old)) is None  # RFC 7672 §3.1.1
    assert failure([record(3, LEAF)], der(MIDDLE, LEAF)) == "certificate-not-trusted"  # only the leaf counts


def test_an_authority_needs_name_date_and_place() -> None:
    assert failure([record(2, ROOT)], names=("other.example",)) == "certificate-host-mismatch"
    assert failure([record(2, ROOT)], names=("other.example", HOST)) is None
    old = issue("old", MIDDLE, names=(HOST,), days=(-30, -20))
    assert failure([record(2, ROOT)], der(old, MIDDLE, ROOT)) == "certificate-expired"
    early = issue("early", MIDDLE, names=(HOST,), days=(5, 20))
    assert failure([record(2, ROOT)], der(early, MIDDLE, ROOT)) == "certificate-expired"
    assert (
        failure([record(2, ROOT)], der(LEAF, MIDDLE)) == "certificate-not-trusted"
    )  # RFC 7672 §3.1.2: it must be shown
    assert failure([record(2, ROOT, 0, 0)], der(LEAF, MIDDLE)) is None  # unless the record holds it whole


def test_forged_paths() -> None:
    stranger = issue("stranger", OTHER, names=(HOST,))
    assert failure([record(2, ROOT)], der(stranger, MIDDLE, ROOT)) == "certificate-not-trusted"
    assert failure([record(2, ROOT)], der(stranger, ROOT)) == "certificate-not-trusted"
    below_leaf = issue("below", LEAF, names=(HOST,))  # a leaf may not issue
    assert failure([record(2, ROOT)], der(below_leaf, LEAF, MIDDLE, ROOT)) == "certificate-not-trusted"
    client = issue("client", ROOT, names=(HOST,), usage=x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH)
    assert failure([record(2, ROOT)], der(client, ROOT)) == "certificate-not-trusted"
    own = issue("own", names=(HOST,))
    assert failure([record(2, own)], der(own)) is None  # self-signed, and named as its own authority


def test_the_chain_may_be_in_any_order_and_hold_more() -> None:
    """RFC 8446 §4.4.2: only the leaf has its place."""
    for chain in (
        der(LEAF, ROOT, MIDDLE),
        der(LEAF, OTHER, MIDDLE, OTHER, ROOT),
        der(LEAF, LEAF, MIDDLE, ROOT),
    ):
        assert failure([record(2, ROOT)], chain) is None
    assert failure([record(2, ROOT)], der(MIDDLE, LEAF, ROOT)) == "certificate-host-mismatch"


@pytest.mark.parametrize(
    ("top", "middle", "is_good"),
    [
        ({"path_length": 1}, {"path_length": 0}, True),
        ({"path_length": 0}, {}, False),  # it may issue no authorities
        ({}, {"signs": True}, True),
        ({}, {"signs": False}, False),
        ({"signs": False}, {}, False),
        ({}, {"is_ca": False}, False),
    ],
)
def test_an_authority_issues_what_it_may(top: dict[str, Any], middle: dict[str, Any], is_good: bool) -> None:
    """RFC 5280 §4.2.1.3, §4.2.1.9."""
    root = issue("top", **({"is_ca": True} | top))
    below = issue("below", root, **({"is_ca": True} | middle))
    leaf = issue("leaf", below, names=(HOST,))
    assert (failure([record(2, root)], der(leaf, below, root)) is None) == is_good


def test_a_chain_that_is_made_to_cost_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten authorities of one name and key, and records for each: each pair is looked at once."""
    asked: list[int] = []
    known = dane_module._Shown._issued

    def counted(shown: Any, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        if (id(certificate), id(issuer)) not in shown._known:
            asked.append(1)
        return known(shown, certificate, issuer)

    monkeypatch.setattr(dane_module._Shown, "_issued", counted)
    crowd = [issue("root", is_ca=True) for _ in range(9)]
    records = [record(2, one, selector) for one in crowd for selector in (0, 1)] * 3
    assert failure(records, der(issue("leaf", ROOT, names=(HOST,)), *crowd)) == "certificate-not-trusted"
    assert len(asked) <= 100


def test_any_of_several_records() -> None:
    assert failure([record(3, OTHER), record(2, OTHER), record(3, LEAF)]) is None
    assert failure([record(2, OTHER), record(2, ROOT)]) is None


def test_what_is_no_chain() -> None:
    assert failure([record(3, LEAF)], ()) == "validation-failure"
    assert failure([record(3, LEAF)], (b"\x30\x00",)) == "validation-failure"


def test_usable_records() -> None:
    good = record(3, LEAF)
    bad = [
        good._replace(usage=0),
        good._replace(usage=1),
        good._replace(usage=4),
        good._replace(selector=2),
        good._replace(matching=3),
        good._replace(data=b"x" * 31),
        good._replace(matching=2),
        good._replace(matching=0, data=b""),
    ]
    assert usable_records(bad) == ()
    assert usable_records([*bad, good]) == (good,)
    strong, full = record(3, LEAF, 1, 2), record(3, LEAF, 1, 0)
    assert usable_records([good, strong, full]) == (strong, full)  # RFC 7671 §9
    assert usable_records([good, record(2, LEAF, 1, 2)]) == (
        good,
        record(2, LEAF, 1, 2),
    )  # of one usage and selector only


@pytest.mark.parametrize(
    ("name", "host", "matches"),
    [
        ("mx.example.com", "MX.example.com.", True), ("*.example.com", "mx.example.com", True),
        ("*.example.com", "a.mx.example.com", False),
        ("*.com", "example.com", False), ("m*.example.com", "mx.example.com", False), ("*.example.com",
        "example.com", False),
    ],
)  # fmt: skip
def test_names(name: str, host: str, matches: bool) -> None:
    assert certificate_names_host(issue("x", names=(name,))[0], host) is matches


@given(
    st.lists(st.binary(max_size=50), max_size=3),
    st.integers(0, 4),
    st.integers(0, 2),
    st.integers(0, 3),
    st.binary(max_size=64),
)
def test_hostile_records_and_chains(
    chain: list[bytes], usage: int, selector: int, matching: int, data: bytes
) -> None:
    records = usable_records([Tlsa(usage, selector, matching, data)])
    assert match_chain(records, chain, (HOST,), NOW_US).record is None
    assert match_chain(records, CHAIN, (HOST,), NOW_US).record is None
