import pytest

from sekisho.core.sasl.scram import ScramSecret, derive_secret
from sekisho.services.authentication.passwords import (
    NOBODYS_HASH,
    WeakPassword,
    hash_password,
    verify_password,
)


def test_a_hash_fits_its_password_only() -> None:
    hashed = hash_password("correct horse é")
    assert hashed.argon2.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(hashed.argon2, "correct horse é")
    assert not verify_password(hashed.argon2, "correct horse e")
    secret = ScramSecret.from_text(hashed.scram_sha256)
    assert derive_secret("correct horse é", secret.salt, secret.iterations) == secret
    assert hash_password("correct horse é") != hashed


def test_nobody_has_nobodys_hash() -> None:
    assert not verify_password(NOBODYS_HASH, "")
    assert not verify_password(NOBODYS_HASH, "password")


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", "empty"),
        ("with\0nul and more", "control"),
        ("x" * 1025 + "yz", "longer"),
    ],
)
def test_what_cannot_be_a_password_is_refused_with_a_sentence(password: str, word: str) -> None:
    with pytest.raises(WeakPassword, match=word) as caught:
        hash_password(password)
    assert str(caught.value).endswith(".")


def test_a_password_that_scram_cannot_carry() -> None:
    assert hash_password("private use \ue000").scram_sha256 == ""
