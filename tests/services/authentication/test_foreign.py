"""Hashes that other programs made (openssl, libxcrypt, crypt_blowfish, argon2, RFC 6070), and those that
nobody should take."""

import base64
import hashlib

import pytest

from sekisho.services.authentication import foreign
from sekisho.services.authentication.foreign import HashRefused, read_hash, verify_foreign
from sekisho.services.authentication.passwords import hash_password, is_current, verify_password

SHA512 = "$6$saltsalt$1Ow1N1lMu5MSWd7U26oAl3WVEb/OlwP92YyLNoYnDEuHBK3F9ihboOwZCK.mdxpOAXaD8PgIGyKhzzhvpcW021"
MD5 = "$1$saltsalt$AO77MFlQyb97TzsMyAVX81"
BLOWFISH = "$2y$05$abcdefghijklmnopqrstuudhKLx9POkOigpQ.aOFyOoQrrZXKt3hS"


def digest(algorithm: str, salt: bytes = b"") -> bytes:
    return hashlib.new(algorithm, b"himitsu" + salt).digest() + salt


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


GOOD = {
    SHA512: "SHA512-CRYPT",
    "{SHA512-CRYPT}" + SHA512: "SHA512-CRYPT",
    "{CRYPT}" + SHA512: "SHA512-CRYPT",
    "$6$rounds=9000$abc$1H7c2lvrHqj97rgmGK.naPNfZzUWheL4SnY6TXu79IPuoSEz3T/7GhZsp7k3MT01rxgwvddcALshE79g2Yi"
    "lj0": "SHA512-CRYPT",
    "$5$saltsalt$ZbMZsh2ykFTD..5AAuubaTbbfXRnszxd4UZkFtXnfG0": "SHA256-CRYPT",
    "$y$j75$abcdefgh$K3aRVE5gU0K4FlJTmuKbHJhE0qHoJyN.oqmmnb/js0D": "YESCRYPT",
    "{BLF-CRYPT}" + BLOWFISH: "BLF-CRYPT",
    "{ssha}" + b64(digest("sha1", b"salt")): "SSHA",
    "{SSHA256}" + b64(digest("sha256", b"saltsalt")): "SSHA256",
    "{SSHA512}" + b64(digest("sha512", b"salt")): "SSHA512",
    "{SSHA512.HEX}" + digest("sha512", b"salt").hex(): "SSHA512",
    "{ARGON2I}$argon2i$v=19$m=1024,t=1,p=1$WScIo83MfbW8PAf5Tivlew$MJ5hSEx0AWTScyc8OPSn7AUyGjVcx6EnMY4k20OHa"
    "dE": "ARGON2I",
    "$argon2id$v=19$m=1024,t=1,p=1$2TowtxXXsFTTOvHLONT0fA$qs3IoPNRc8svifDosTBnGhOVfjiYMCbNb+mdB"
    "SM81tU": "ARGON2ID",
}
WEAK = {
    MD5: "MD5-CRYPT",
    "{MD5}" + MD5: "MD5-CRYPT",
    "abAAtWBiBeXFE": "DES-CRYPT",
    "{SHA}" + b64(digest("sha1")): "SHA",
    "{SHA256}" + digest("sha256").hex(): "SHA256",
    "{SHA512}" + b64(digest("sha512")): "SHA512",
}


@pytest.mark.parametrize(("text", "scheme"), [*GOOD.items(), *WEAK.items()])
def test_each_scheme_fits_its_password_only(text: str, scheme: str) -> None:
    found = read_hash(text, frozenset({scheme}))
    assert found.scheme == scheme
    assert verify_password(found.stored, "himitsu")
    assert not any(verify_password(found.stored, wrong) for wrong in ("Himitsu", "himitsu ", "", "x" * 600))
    assert not is_current(found.stored)
    assert read_hash(found.stored, frozenset({scheme})) == found  # what is stored says all


@pytest.mark.parametrize(("text", "scheme"), WEAK.items())
def test_broken_schemes_must_be_named(text: str, scheme: str) -> None:
    with pytest.raises(HashRefused, match=f"--also {scheme}"):
        read_hash(text)


def test_vectors_of_others() -> None:
    # crypt_blowfish's own, and RFC 6070 §2 by the name that Dovecot gives it.
    assert verify_foreign(
        read_hash("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").stored, "U*U"
    )
    pbkdf2 = read_hash("{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1")
    assert (
        pbkdf2.scheme == "PBKDF2"
        and verify_foreign(pbkdf2.stored, "password")
        and not verify_foreign(pbkdf2.stored, "Password")
    )


@pytest.mark.parametrize("text", ["", "!", "*", "!!", "x", "!" + SHA512, "*LK*"])
def test_locked_entries_have_no_password(text: str) -> None:
    with pytest.raises(HashRefused, match="locked"):
        read_hash(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{CRAM-MD5}abcdef", "CRAM-MD5 is not known"),
        ("{SCRAM-SHA-256}4096,abc,def,ghi", "not known"),
        ("{SSHA}not base64!", "no hash of the scheme SSHA"),
        ("{SSHA}" + b64(digest("sha1")), "no hash of the scheme SSHA"),  # no salt
        ("{SHA256}" + b64(digest("sha1")), "no hash of the scheme SHA256"),
        ("{CRYPT}$6$salt$short", "no hash of the scheme CRYPT"),
        ("$6$rounds=900000000$saltsalt$" + "a" * 86, "a second or 128 MiB"),
        ("$2y$31$" + BLOWFISH[7:], "a second or 128 MiB"),
        ("$y$jFT$abcdefgh$K3aRVE5gU0K4FlJTmuKbHJhE0qHoJyN.oqmmnb/js0D", "a second or 128 MiB"),
        ("{ARGON2ID}$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHRzYWx0$" + "A" * 43, "a second or 128 MiB"),
        ("{PBKDF2}$1$salt$900000000$" + "0" * 40, "a second or 128 MiB"),
        ("{PBKDF2}$1$salt$0$" + "0" * 40, "no hash of the scheme PBKDF2"),
        ("{ARGON2ID}argon2", "no hash of the scheme ARGON2"),
    ],
)
def test_what_is_not_taken_says_why(text: str, words: str) -> None:
    with pytest.raises(HashRefused, match=words) as caught:
        read_hash(text, frozenset(foreign.WEAK_SCHEMES))
    assert str(caught.value).endswith(".")


def test_a_hash_of_no_password_opens_nothing() -> None:
    nothing = read_hash("{SSHA256}" + b64(hashlib.sha256(b"salt").digest() + b"salt")).stored
    assert not verify_password(nothing, "")


def test_a_machine_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "_library", lambda: None)
    with pytest.raises(HashRefused, match="libcrypt of this machine cannot check SHA512-CRYPT"):
        read_hash(SHA512)
    with pytest.raises(ValueError, match="libcrypt"):
        verify_foreign("{CRYPT}" + SHA512, "himitsu")
    with pytest.raises(ValueError, match="no hash"):
        verify_foreign("himitsu", "himitsu")


def test_our_own_hash_stays() -> None:
    assert is_current(hash_password("correct horse").argon2)
