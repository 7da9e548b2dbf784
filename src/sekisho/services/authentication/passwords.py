"""Passwords at rest: Argon2id for whoever hands the password over, SCRAM keys for whoever proves it."""

import secrets
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from sekisho.core.sasl.exchange import MAX_PASSWORD_OCTETS
from sekisho.core.sasl.preparation import PreparationError, prepare_password
from sekisho.core.sasl.scram import derive_secret
from sekisho.services.authentication.foreign import verify_foreign
from sekisho.services.authentication.scramkeys import ScramTerms

# 19 MiB, two passes, one lane: 25 ms of one core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# A well-formed hash that no password has, with the parameters above: checking it costs what a real one costs
# (THREATS 19).
_CURRENT = "$argon2id$v=19$m=19456,t=2,p=1$"
NOBODYS_HASH = _CURRENT + "A" * 22 + "$" + "A" * 43


class WeakPassword(ValueError):
    """The password is not taken. `text` is an English sentence with `{name}` places for the person who chose
    it; `values` fills them."""

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


class HashedPassword(NamedTuple):
    argon2: str
    scram_sha256: str  # "" if SASLprep forbids a character of it


def hash_password(password: str, terms: ScramTerms | None = None) -> HashedPassword:
    """What `Directory.set_password` stores; raises `WeakPassword` if it cannot be a password. Takes about 50
    ms of CPU.

    `terms`: see `scramkeys.scram_terms`; None: a salt of its own, for an account that has no other keys.
    Whether it is a good password is asked in `quality`.
    """
    try:
        prepared = prepare_password(password)
    except PreparationError as error:
        raise WeakPassword(str(error)) from error
    if len(prepared.encode()) > MAX_PASSWORD_OCTETS:
        raise WeakPassword("The password is longer than {limit} octets.", limit=MAX_PASSWORD_OCTETS)
    salt, iterations = terms or ScramTerms(secrets.token_bytes(16))
    try:
        scram = str(derive_secret(password, salt, iterations))
    except PreparationError:
        scram = ""
    return HashedPassword(_HASHER.hash(prepared), scram)


def is_current(stored: str) -> bool:
    """Is it what `hash_password` makes now? Another hash is replaced at the next good login."""
    return stored.startswith(_CURRENT)


def verify_password(argon2: str, prepared: str) -> bool:
    """Does the prepared password fit the hash, ours or an imported one? Costs the same either way.

    Raises argon2's exceptions or ValueError for a broken hash.
    """
    if not argon2.startswith("$argon2"):
        return verify_foreign(argon2, prepared)
    try:
        return (
            _HASHER.verify(argon2, prepared) and prepared != ""
        )  # an imported hash may be one of no password
    except VerifyMismatchError:
        return False
