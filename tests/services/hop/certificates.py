"""Certificates of every kind, made on the spot."""

import functools
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

HOST = "mx.example.com"
Kind = Literal[
    "valid",
    "expired",
    "wrong name",
    "self-signed",
    "wildcard",
    "deep wildcard",
    "common name",
    "not for servers",
]
_NOW = datetime.now(UTC)


def _builder(name: str, public: ec.EllipticCurvePublicKey, issuer: str) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
    )


def _lasting(builder: x509.CertificateBuilder, *, ended: bool = False) -> x509.CertificateBuilder:
    end = _NOW - timedelta(days=1) if ended else _NOW + timedelta(days=30)
    return builder.not_valid_before(_NOW - timedelta(days=60)).not_valid_after(end)


@functools.cache
def authority(name: str = "test CA") -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _lasting(_builder(name, key.public_key(), name))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def chain(kind: Kind, host: str = HOST) -> tuple[tuple[x509.Certificate, ...], ec.EllipticCurvePrivateKey]:
    """The certificate, then its authority's; and its key."""
    return _chain(kind, host)


@functools.cache
def _chain(kind: Kind, host: str) -> tuple[tuple[x509.Certificate, ...], ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    ca, ca_key = authority()
    name = {
        "wrong name": "other.example.net",
        "wildcard": f"*.{host.partition('.')[2]}",
        "deep wildcard": "*.com",
    }.get(kind, host)
    builder = _lasting(
        _builder(host, key.public_key(), host if kind == "self-signed" else "test CA"),
        ended=kind == "expired",
    )
    if kind != "common name":
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    if kind == "not for servers":
        usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, critical=False)
    if kind == "self-signed":
        return (builder.sign(key, hashes.SHA256()),), key
    return (builder.sign(ca_key, hashes.SHA256()), ca), key


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def server_context(kind: Kind, host: str = HOST) -> ssl.SSLContext:
    certificates, key = chain(kind, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem(*certificates) + secret)
        context.load_cert_chain(path)
    return context


def digest(certificate: x509.Certificate) -> str:
    """Of the key, as TLSA x 1 1 has it."""
    octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    hashed = hashes.Hash(hashes.SHA256())
    hashed.update(octets)
    return hashed.finalize().hex()
