"""Certificates, SNI, protocol versions, groups."""

import asyncio
import datetime
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.net.conftest import Papers, Wire

from sekisho.adapters.net import tls as tls_module
from sekisho.adapters.net.opensslconf import CLASSIC, HYBRID
from sekisho.adapters.net.tls import (
    CertificateProblem,
    ClientContexts,
    ServerContexts,
    end_point_of,
    is_host_name,
    read_certificates,
)
from sekisho.adapters.net.tlslayer import TlsLayer, addresses_in
from sekisho.config.schema import Certificate
from sekisho.ports.stream import ClientCertificate


def write(papers: Papers, directory: Path, name: str) -> Certificate:
    material = papers.issue(name)
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    cert.write_bytes(material.cert_pem)
    key.write_bytes(material.key_pem)
    return Certificate(cert_file=cert, key_file=key)


def handshake(
    contexts: ServerContexts, client: ssl.SSLContext, name: str | None = "mx.example.test", kind: str = "smtp"
) -> ssl.SSLObject:
    """In memory; returns the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = contexts.context(kind).wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(5):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    server_side.write(b"hello")
    assert client_side.read(5) == b"hello"
    return client_side


def stranger() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def names_in(side: ssl.SSLObject) -> str:
    der = side.getpeercert(binary_form=True)
    assert der is not None
    return ",".join(tls_module.certificate_names(x509.load_der_x509_certificate(der)))


def test_certificate_names_are_read(papers: Papers, tmp_path: Path) -> None:
    (material,) = read_certificates([write(papers, tmp_path, "mx.example.test")])
    assert material.names == ("mx.example.test",)


def test_configured_names_go_before_the_certificate(papers: Papers, tmp_path: Path) -> None:
    setting = write(papers, tmp_path, "mx.example.test").model_copy(update={"names": ("Other.Test",)})
    assert read_certificates([setting])[0].names == ("other.test",)


def test_every_bad_certificate_is_named(papers: Papers, tmp_path: Path) -> None:
    good, other = write(papers, tmp_path, "a.test"), write(papers, tmp_path, "b.test")
    mismatch = Certificate(cert_file=good.cert_file, key_file=other.key_file)
    missing = Certificate(cert_file=tmp_path / "none.pem", key_file=other.key_file)
    garbage = Certificate(cert_file=other.key_file, key_file=other.key_file)
    with pytest.raises(CertificateProblem) as caught:
        read_certificates([good, mismatch, missing, garbage])
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("certificates[1]: ")
    assert "b.test.key is not the key of" in lines[0]
    assert "none.pem" in lines[1]
    assert "no PEM certificate" in lines[2]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("mx.example.test", "mx.example.test"),
        ("MX.Example.TEST", "mx.example.test"),
        ("mail.other.test", "mail.other.test,*.wild.test"),
        ("any.wild.test", "mail.other.test,*.wild.test"),
        ("deep.any.wild.test", "mx.example.test"),
        ("unknown.test", "mx.example.test"),
        ("under_score.test", "mx.example.test"),
        (None, "mx.example.test"),
    ],
)
def test_sni_chooses_the_chain(papers: Papers, asked: str | None, answered: str) -> None:
    assert names_in(handshake(ServerContexts(papers.materials), stranger(), asked)) == answered


def test_new_certificates_serve_new_handshakes(papers: Papers) -> None:
    contexts = ServerContexts(papers.materials)
    before = handshake(contexts, stranger())
    contexts.replace([papers.issue("new.example.test")])
    assert names_in(handshake(contexts, stranger())) == "new.example.test"
    before.write(b"still open")


def test_bad_new_certificates_change_nothing(papers: Papers) -> None:
    contexts = ServerContexts(papers.materials)
    broken = tls_module.CertificateMaterial(
        papers.materials[0].cert_pem, papers.materials[1].key_pem, ("x.test",), "x"
    )
    with pytest.raises(CertificateProblem):
        contexts.replace([broken])
    assert names_in(handshake(contexts, stranger())) == "mx.example.test"


def test_reception_gives_no_tickets_and_forgets_sessions(
    papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "RECEPTION_USES", 5)
    contexts = ServerContexts(papers.materials)
    first = contexts.context("smtp")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = stranger()
        client.minimum_version = client.maximum_version = version
        side = handshake(contexts, client)
        assert side.session is None or not side.session.has_ticket
    side = handshake(contexts, stranger(), kind="imaps")
    assert side.session is not None
    assert side.session.has_ticket
    for _ in range(5):
        last = contexts.context("smtp")
    assert last is not first
    assert last.session_stats()["number"] == 0


def test_old_protocols_are_refused(papers: Papers) -> None:
    client = stranger()
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(ServerContexts(papers.materials), client)


@pytest.mark.parametrize(
    "ciphers",
    [
        "DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0",
        "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0",
        "AES128-GCM-SHA256:@SECLEVEL=0",
    ],
)
def test_weak_ciphers_are_refused(papers: Papers, ciphers: str) -> None:
    client = stranger()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers + ":@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        handshake(ServerContexts(papers.materials), client)


def test_an_opportunistic_client_takes_older_ciphers() -> None:
    names = {cipher["name"] for cipher in ClientContexts().context("none").get_ciphers()}
    assert "ECDHE-RSA-AES256-SHA384" in names or "ECDHE-RSA-AES256-SHA" in names
    assert not any("NULL" in name or name.startswith(("ADH", "AECDH")) for name in names)


async def test_client_certificates_are_never_asked_for(wire: Wire) -> None:
    assert wire.side.context().verify_mode is ssl.CERT_NONE
    server, client = await wire.pair()
    await asyncio.gather(server.start_tls_server(), client.start_tls_client("mx.example.test"))


@given(st.text(max_size=300))
def test_host_names_hold_nothing_else(text: str) -> None:
    if is_host_name(text):
        assert len(text) <= 253
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert all(0 < len(label) <= 63 and label.strip("-") == label for label in text.split("."))


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "-a.test",
        "a-.test",
        "a.test.",
        "a\\",
        "a\n",
        "a.test\n",
        "ä.test",
        "a" * 64,
        "a." * 127 + "b",
    ],
)
def test_bad_host_names(name: str) -> None:
    assert not is_host_name(name)


GROUPS_SERVER = """
import sys
from sekisho.adapters.net.opensslconf import name_openssl_conf, reexec_with_openssl_conf
{early}
reexec_with_openssl_conf()
import os, socket, ssl
from sekisho.adapters.net.tls import CertificateMaterial, ServerContexts
cert, key = (open(path, "rb").read() for path in sys.argv[1:3])
contexts = ServerContexts([CertificateMaterial(cert, key, ("a.test",), "test")])
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], os.environ["OPENSSL_CONF"], flush=True)
for _ in range(2):
    try:
        tls = contexts.context("smtp").wrap_socket(listening.accept()[0], server_side=True)
        tls.unwrap()
        print("agreed", flush=True)
    except (ssl.SSLError, OSError) as error:
        print(getattr(error, "reason", None), flush=True)
"""
GROUPS_CLIENT = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
context.wrap_socket(plain, server_hostname="a.test").unwrap()
"""


@pytest.mark.parametrize(
    "early", ["", "import hashlib", "name_openssl_conf()", "import hashlib; name_openssl_conf()"]
)
def test_finite_field_groups_are_refused(papers: Papers, tmp_path: Path, early: str) -> None:
    """Whether OpenSSL was loaded before or not: the groups are ours."""
    setting = write(papers, tmp_path, "a.test")
    environment = {name: value for name, value in os.environ.items() if name != "OPENSSL_CONF"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    program = tmp_path / "server.py"
    program.write_text(GROUPS_SERVER.format(early=early))
    server = subprocess.Popen(
        [sys.executable, str(program), str(setting.cert_file), str(setting.key_file)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        port, conf = server.stdout.readline().split()
        assert conf in (str(CLASSIC), str(HYBRID))
        results = []
        for group in ("ffdhe2048", "P-256"):
            theirs = tmp_path / f"{group}.cnf"
            theirs.write_text(CLASSIC.read_text().replace("X25519:P-256:P-384", group))
            subprocess.run(
                [sys.executable, "-c", GROUPS_CLIENT, port],
                env={**environment, "OPENSSL_CONF": str(theirs)},
                stderr=subprocess.DEVNULL,
            )
            results.append(server.stdout.readline().strip())
        assert results == ["NO_SUITABLE_KEY_SHARE", "agreed"]


def test_an_operators_own_configuration_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.cnf"
    own.write_text("")
    code = (
        "from sekisho.adapters.net.opensslconf import *; reexec_with_openssl_conf(); "
        "print(os.environ['OPENSSL_CONF'])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENSSL_CONF": str(own)}
    assert subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    ).stdout.strip() == str(own)


@pytest.mark.parametrize(("kind", "octets"), [("ec-sha256", 32), ("ec-sha384", 48), ("ed25519", 0)])
def test_the_end_point_is_hashed_as_the_certificate_was(kind: str, octets: int) -> None:  # RFC 5929 §4.1
    key: Any = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    algorithm: Any = {"ec-sha256": hashes.SHA256(), "ec-sha384": hashes.SHA384(), "ed25519": None}[kind]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example.test")])
    now = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = builder.sign(key, algorithm)
    end_point = end_point_of(certificate.public_bytes(serialization.Encoding.PEM))
    assert len(end_point) == octets
    if octets:
        assert end_point == certificate.fingerprint(hashes.SHA384() if octets == 48 else hashes.SHA256())


def client_seen(
    contexts: ServerContexts, authority: bytes, client: ssl.SSLContext
) -> ClientCertificate | None:
    """What the server's layer knows of the client after a handshake in memory."""
    server_side = TlsLayer(contexts.context("imaps", authority), server_side=True)
    client_side = TlsLayer(client, server_side=False, server_name="mx.example.test")
    for _ in range(4):
        for one, other in ((client_side, server_side), (server_side, client_side)):
            one.handshake()
            if octets := one.take():
                other.feed(octets)
    assert server_side.handshake()
    return server_side.info().client


def test_the_client_may_show_who_it_is(papers: Papers) -> None:
    people = trustme.CA()
    authority, contexts = people.cert_pem.bytes(), ServerContexts(papers.materials)
    assert client_seen(contexts, authority, stranger()) is None  # it need not
    client = stranger()
    leaf = people.issue_cert("alice@example.test", "mx.example.test", "a@example.test")
    leaf.configure_cert(client)
    seen = client_seen(contexts, authority, client)
    assert (
        seen is not None
        and seen.addresses == ("alice@example.test", "a@example.test")
        and len(seen.fingerprint) == 64
    )
    assert client_seen(contexts, b"", client) is None  # it is not asked
    other = stranger()
    trustme.CA().issue_cert("alice@example.test").configure_cert(other)
    with pytest.raises(ssl.SSLError):
        client_seen(contexts, authority, other)
    contexts.replace(papers.materials)
    assert client_seen(contexts, authority, client) == seen


def test_old_certificates_have_their_address_in_the_subject() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "alice@example.test")])
    now = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    assert addresses_in(builder.sign(key, hashes.SHA256())) == ("alice@example.test",)
