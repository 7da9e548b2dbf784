"""Signing (RFC 6376 §5, RFC 8463): relaxed/relaxed, oversigned, with t= and x=, never with l=.

The body is hashed while it streams (`SigningBody`), so a message of any size needs no memory. A signature is
deterministic: the same message, key and time give the same octets.
"""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sekisho.core.mailauth.dkim.canonical import BodyHashes, BodyHashSpec, relax_field
from sekisho.core.mailauth.dkim.header_hash import CanonicalHeader
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.base64 import encode_base64

MIN_RSA_BITS = 2048  # RFC 8301 §3.2: SHOULD
# RFC 6376 §3.5 x=: the queue's lifetime and two days more (STANDARDS K-05).
LIFETIME_SECONDS = 7 * 86_400
# Each is listed once more than it occurs, absent ones too, so that none can be added later (RFC 6376 §5.4,
# §8.15).
OVERSIGNED = (
    "From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Description",
    "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post",
    "List-Owner", "List-Archive",
)  # fmt: skip
# Signed as often as they occur; a relay may add its own.
SIGNED_IF_PRESENT = (
    "Auto-Submitted",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Date",
    "Resent-Message-ID",
)
_SPEC = BodyHashSpec("relaxed", "sha256")
_LINE_OCTETS = 74


class SigningRefused(ValueError):
    """The message or the key cannot be signed (with); the text says why."""


class SigningBody:
    """The body hash of a message that is still coming."""

    def __init__(self) -> None:
        self._hashes = BodyHashes([_SPEC])

    def feed(self, octets: bytes) -> None:
        """The next octets of the body, in their final form, with CRLF line ends."""
        self._hashes.feed(octets)

    def finish(self) -> bytes:
        """The hash for `DkimSigner.sign`; call it once."""
        self._hashes.finish()
        return self._hashes.digest(_SPEC)


@dataclass(frozen=True, slots=True)
class DkimSigner:
    """A key and the name it is published under. `domain` and `selector` are lower-case A-labels."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    def __post_init__(self) -> None:
        if isinstance(self.key, RSAPrivateKey) and self.key.key_size < MIN_RSA_BITS:
            raise SigningRefused(f"an RSA key to sign with needs at least {MIN_RSA_BITS} bits")

    @classmethod
    def from_pem(cls, domain: str, selector: str, pem: bytes) -> "DkimSigner":
        """Raises `SigningRefused` unless it is an unencrypted RSA (≥ 2048 bits) or Ed25519 key."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise SigningRefused("the file is not an unencrypted private key in PEM form") from error
        if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
            raise SigningRefused("a DKIM key is RSA or Ed25519")
        return cls(domain, selector, key)

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    @property
    def key_name(self) -> str:
        """Where the key record is published."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def key_record(self) -> str:
        """The TXT record to publish (RFC 6376 §3.6.1, RFC 8463 §4)."""
        public = self.key.public_key()
        if isinstance(self.key, RSAPrivateKey):
            octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={encode_base64(octets).decode()}"
        return (
            f"v=DKIM1; k=ed25519; "
            f"p={encode_base64(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()}"
        )

    def sign(
        self,
        header: HeaderSection,
        body_hash: bytes,
        now_seconds: int,
        lifetime_seconds: int = LIFETIME_SECONDS,
    ) -> bytes:
        """The DKIM-Signature field, CRLF at its end, to be put on top of the section; raises
        `SigningRefused`."""
        names = names_to_sign(header)
        value = b"".join(
            (
                f" v=1; a={self.algorithm}; c=relaxed/relaxed;\r\n".encode(),
                f"\td={self.domain}; s={self.selector};\r\n".encode(),
                f"\tt={now_seconds}; x={now_seconds + lifetime_seconds};\r\n".encode(),
                _fold_names(names),
                b"\tbh=" + encode_base64(body_hash) + b";\r\n",
                b"\tb=",
            )
        )
        lower = tuple(name.lower().encode() for name in names)
        signed = b"".join(CanonicalHeader(header).fields(None, lower, "relaxed")) + relax_field(
            b"dkim-signature", value
        )
        signature = encode_base64(self.sign_octets(signed))
        lines = [signature[start : start + _LINE_OCTETS] for start in range(0, len(signature), _LINE_OCTETS)]
        return b"DKIM-Signature:" + value + b"\r\n\t".join(lines) + b"\r\n"

    def sign_octets(self, octets: bytes) -> bytes:
        """The bare signature of canonical octets."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(octets, PKCS1v15(), hashes.SHA256())
        return self.key.sign(hashlib.sha256(octets).digest())  # RFC 8463 §3


def names_to_sign(header: HeaderSection) -> list[str]:
    """h=; raises `SigningRefused` unless there is exactly one From (a second one would be signed for a
    stranger)."""
    if header.count(b"from") != 1:
        raise SigningRefused("a message is signed only with exactly one From field")
    if header.too_many:
        raise SigningRefused("the message has too many header fields")
    names: list[str] = []
    for name in OVERSIGNED:
        names += [name] * (header.count(name.lower().encode()) + 1)
    for name in SIGNED_IF_PRESENT:
        names += [name] * header.count(name.lower().encode())
    return names


def _fold_names(names: list[str]) -> bytes:
    """`h=` in lines of readable length."""
    lines, line = [], "\th="
    for name in names:
        if len(line) + len(name) > _LINE_OCTETS:
            lines.append(line)
            line = "\t"
        line += name + ":"
    return "\r\n".join([*lines, line[:-1] + ";\r\n"]).encode()


def sign_message(signers: list[DkimSigner], message: bytes, now_seconds: int) -> bytes:
    """The signature fields of a whole message, to be put in front of it; raises `SigningRefused`."""
    if message.count(b"\n") != message.count(b"\r\n"):
        raise SigningRefused(
            "the message has lines that end in a bare LF, which do not survive the way; convert them to "
            "CRLF first"
        )
    header = HeaderSection(message)
    body = SigningBody()
    body.feed(message[header.body :])
    body_hash = body.finish()
    return b"".join(signer.sign(header, body_hash, now_seconds) for signer in signers)
