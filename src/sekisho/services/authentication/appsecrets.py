"""Secrets that this server makes up itself: app passwords of devices, service credentials of programs.

They are random, so a fast keyed hash keeps them (`ports.credentials`), and a login with one costs
microseconds instead of 25 ms.
"""

import hmac
import secrets

from sekisho.core.sasl.scram import derive_secret
from sekisho.services.authentication.scramkeys import ScramTerms

SECRET_KEY = "app"  # the purpose of the server's key that digests are made with
# Small letters, without i and l, which some fonts draw alike: 24^28 is more than 2^128.
_LETTERS = "abcdefghjkmnopqrstuvwxyz"
_GROUPS, _GROUP_LETTERS = 7, 4


def make_secret() -> str:
    """Seven groups of four letters: 128 bits, with hyphens between."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_GROUPS * _GROUP_LETTERS))
    return _grouped(letters)


def letters_of(text: str) -> str:
    """The letters of a secret as somebody typed it, with or without hyphens, spaces and capitals; "" if it
    cannot be one."""
    letters = text.translate(_SEPARATORS).lower()
    return letters if len(letters) == _GROUPS * _GROUP_LETTERS and set(letters) <= set(_LETTERS) else ""


def secret_digest(key: bytes, letters: str) -> bytes:
    return hmac.digest(key, letters.encode(), "sha256")


def secret_scram_keys(letters: str, terms: ScramTerms) -> str:
    """With SCRAM the client hashes what was typed: with hyphens or without, so there are keys for both."""
    return " ".join(
        str(derive_secret(typed, terms.salt, terms.iterations)) for typed in (_grouped(letters), letters)
    )


_SEPARATORS = str.maketrans("", "", "- \u2010\u2011\u3000")


def _grouped(letters: str) -> str:
    return "-".join(
        letters[start : start + _GROUP_LETTERS] for start in range(0, len(letters), _GROUP_LETTERS)
    )
