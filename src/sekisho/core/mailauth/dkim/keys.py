"""Public keys: their DNS records, and checking a signature with them (RFC 6376 §3.6.1, RFC 8463 §4)."""

import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sekisho.core.mailauth.dkim.canonical import HashName
from sekisho.core.mailauth.dkim.signature import KeyType
from sekisho.core.mailauth.dkim.tags import TagError, parse_tags, without_white_space

PublicKey = RSAPublicKey | Ed25519PublicKey
MAX_RSA_BITS = 8192  # twice what RFC 8301 §3.2 asks for; beyond, checking costs too much
_HASHES: dict[HashName, hashes.HashAlgorithm] = {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}
_PADDING = PKCS1v15()


class KeyRecordError(ValueError):
    """The record gives no usable key; the text is a short reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A usable key. `hash_names` None: all. `is_strict`: t=s, `is_testing`: t=y."""

    key_type: KeyType
    key: PublicKey
    bits: int
    hash_names: frozenset[str] | None
    is_testing: bool
    is_strict: bool


@lru_cache(maxsize=4096)
def parse_key_record(record: bytes) -> KeyRecord | str:
    """The key, or the reason why there is none (a value, so that it can be cached too)."""
    try:
        return _parse(record)
    except (KeyRecordError, TagError) as error:
        return str(error) or "not a key record"


def _parse(record: bytes) -> KeyRecord:
    tags = parse_tags(record)
    if b"v" in tags and (tags[b"v"] != b"DKIM1" or next(iter(tags)) != b"v"):
        raise KeyRecordError("unknown key record version")
    if b"p" not in tags:
        raise KeyRecordError("key record without p=")
    if not tags[b"p"]:
        raise KeyRecordError("key revoked")
    services = _split(tags.get(b"s", b"*"))
    if "*" not in services and "email" not in services:
        raise KeyRecordError("key is not for mail")
    hash_names = frozenset(_split(tags[b"h"])) if b"h" in tags else None
    flags = _split(tags.get(b"t", b""))
    kind = tags.get(b"k", b"rsa").lower()
    try:
        octets = binascii.a2b_base64(without_white_space(tags[b"p"]), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise KeyRecordError("p= is not base64") from error
    if kind == b"rsa":
        key = _load_rsa(octets)
        return KeyRecord(
            key_type="rsa",
            key=key,
            bits=key.key_size,
            hash_names=hash_names,
            is_testing="y" in flags,
            is_strict="s" in flags,
        )
    if kind == b"ed25519":
        if len(octets) != 32:
            raise KeyRecordError("p= is not an Ed25519 key")
        return KeyRecord(
            key_type="ed25519",
            key=Ed25519PublicKey.from_public_bytes(octets),
            bits=256,
            hash_names=hash_names,
            is_testing="y" in flags,
            is_strict="s" in flags,
        )
    raise KeyRecordError("unknown key type")


def _split(value: bytes) -> list[str]:
    return without_white_space(value).decode("utf-8", "replace").lower().split(":")


def _load_rsa(octets: bytes) -> RSAPublicKey:
    """SubjectPublicKeyInfo as everybody publishes it, or the bare RSAPublicKey that RFC 6376 §3.6.1 names."""
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRecordError("p= is not an RSA key") from error
    if not isinstance(key, RSAPublicKey):
        raise KeyRecordError("p= is not an RSA key")
    if key.key_size > MAX_RSA_BITS:
        raise KeyRecordError(f"RSA key of more than {MAX_RSA_BITS} bits")
    return key


def is_signed_by(
    record: KeyRecord, hash_name: HashName, signature: bytes, signed: bytes, digest: bytes
) -> bool:
    """Does the signature fit? RSA signs the octets `signed`; Ed25519 signs their SHA-256 `digest` (RFC 8463
    §3)."""
    try:
        if record.key_type == "rsa":
            cast(RSAPublicKey, record.key).verify(signature, signed, _PADDING, _HASHES[hash_name])
        else:
            cast(Ed25519PublicKey, record.key).verify(signature, digest)
    except InvalidSignature:
        return False
    return True
