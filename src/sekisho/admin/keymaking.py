"""Making private keys, with the random numbers of OpenSSL."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sekisho.ports.keys import KeyAlgorithm

RSA_BITS = 2048  # RFC 8301 §3.2; a longer key does not fit into one answer of many DNS servers


def generate_pem(algorithm: KeyAlgorithm) -> bytes:
    """A new private key in PKCS #8; RSA takes about 0.1 CPU-s, so call it in a thread."""
    key = generate_private_key(65537, RSA_BITS) if algorithm == "rsa" else Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
