"""Keys of all sizes, made once."""

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sekisho.admin.keymaking import generate_pem
from sekisho.core.mailauth.dkim.sign import DkimSigner

PEM = {"rsa": generate_pem("rsa"), "ed25519": generate_pem("ed25519")}


@cache
def record_of(kind: str) -> str:
    """The TXT record of a key: "rsa", "ed25519", or "rsa" and how many bits it has."""
    if kind in PEM:
        return DkimSigner.from_pem("example.org", "s", PEM[kind]).key_record
    bits = int(kind.removeprefix("rsa"))
    public = RSAPublicNumbers(
        65537, 2**bits - 1
    ).public_key()  # as good as one that fits a private key, to look at
    return (
        "v=DKIM1; k=rsa; p="
        + base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    )
