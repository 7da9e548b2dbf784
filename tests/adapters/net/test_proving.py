"""What is not fit to be shown never reaches a client."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.adapters.net.conftest import Papers
from tests.adapters.net.test_tls import handshake, names_in, stranger, write

from sekisho.adapters.net import tls as tls_module
from sekisho.adapters.net.proving import NotFit, read_chain, shake_hands
from sekisho.adapters.net.tls import (
    CertificateProblem,
    PreparedContexts,
    ServerContexts,
    check_authorities,
    read_certificates,
)


def test_half_a_file_is_no_chain(papers: Papers) -> None:
    whole = papers.materials[0].cert_pem + papers.ca_file.read_bytes()
    assert len(read_chain(whole)) == 2
    for end in range(1, len(whole), 97):
        if whole[:end].count(b"-----END CERTIFICATE-----") < 1 or whole[:end].count(b"BEGIN CERT") == whole[
            :end
        ].count(b"END CERT"):
            continue
        with pytest.raises(NotFit, match=r"not whole|no PEM"):
            read_chain(whole[:end])


def test_a_chain_and_its_key_may_lie_in_one_file(papers: Papers, tmp_path: Path) -> None:
    setting = write(papers, tmp_path, "mx.example.test")
    setting.cert_file.write_bytes(setting.cert_file.read_bytes() + setting.key_file.read_bytes())
    both = setting.model_copy(update={"key_file": setting.cert_file})
    assert read_certificates([both])[0].names == ("mx.example.test",)


def test_a_handshake_must_show_this_certificate(papers: Papers) -> None:
    one, other = papers.materials
    context = tls_module._server_context(tickets=True)
    tls_module._load(context, one)
    shake_hands(context, x509.load_pem_x509_certificate(one.cert_pem))
    with pytest.raises(NotFit, match="another certificate"):
        shake_hands(context, x509.load_pem_x509_certificate(other.cert_pem))
    with pytest.raises(NotFit, match="handshake with it fails"):
        shake_hands(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), x509.load_pem_x509_certificate(one.cert_pem)
        )  # no certificate at all


def test_a_key_that_is_too_small_is_called_so(papers: Papers, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP192R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "small.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
    )
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(9))
    setting = write(papers, tmp_path, "small.test")
    pem = serialization.Encoding.PEM
    setting.cert_file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    setting.key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(CertificateProblem, match=r"cannot be used with .*EE_KEY_TOO_SMALL"):
        read_certificates([setting])


def test_what_is_not_fit_leaves_what_was_read_before(papers: Papers, tmp_path: Path) -> None:
    settings = [write(papers, tmp_path, name) for name in ("a.test", "b.test", "c.test")]
    before = read_certificates(settings)
    kept: list[str] = []
    for name in ("a.test", "c.test"):
        write(papers, tmp_path, name)  # renewed
    settings[1].key_file.write_bytes(settings[0].key_file.read_bytes())  # the new key came first
    after = read_certificates(settings, before, kept.append)
    assert after[1] == before[1] and after[0] != before[0] and after[2] != before[2]
    assert len(kept) == 1 and kept[0].startswith("certificates[1]: ") and "is not the key of" in kept[0]
    with pytest.raises(CertificateProblem, match="is not the key of"):
        read_certificates([settings[1]], before[:1], kept.append)  # a new one: there is nothing to keep
    with pytest.raises(CertificateProblem):
        read_certificates(settings, before)


def test_nothing_is_half_in_use(papers: Papers) -> None:
    authority = papers.ca_file.read_bytes()
    contexts = ServerContexts(papers.materials)
    contexts.use(PreparedContexts(papers.materials, [authority]))
    asking = contexts.context("imaps", authority)
    broken = tls_module.CertificateMaterial(
        papers.materials[0].cert_pem, papers.materials[1].key_pem, ("x.test",), "x"
    )
    for materials, authorities in (
        ((papers.issue("new.test"), broken), [authority]),
        ((papers.issue("new.test"),), [b"no authority"]),
    ):
        with pytest.raises(CertificateProblem):
            contexts.use(PreparedContexts(materials, authorities))
        assert names_in(handshake(contexts, stranger())) == "mx.example.test"
        assert contexts.context("imaps", authority) is asking


def test_authorities_are_looked_at(papers: Papers) -> None:
    check_authorities(papers.ca_file.read_bytes())
    for pem in (b"", b"nonsense", papers.ca_file.read_bytes()[:200]):
        with pytest.raises(CertificateProblem):
            check_authorities(pem)
