"""Password hashes that other servers made: read when accounts are imported, checked until the first good
login replaces them.

How they lie in the store: Argon2 as it is (it begins with "$argon2"), all else as `{SCHEME}text`, as Dovecot
writes it. What crypt(3) makes is checked by the system's libcrypt, which leaves the interpreter free
meanwhile and knows yescrypt and bcrypt.
"""

import base64
import binascii
import ctypes
import functools
import hashlib
import hmac
import re
from typing import NamedTuple

# What salted digests are made with, and how many octets of the decoded text are the digest.
_DIGESTS = {"SHA": ("sha1", 20), "SHA256": ("sha256", 32), "SHA512": ("sha512", 64)}
_ALIASES = {
    "SHA1": "SHA",
    "SSHA1": "SSHA",
    "CLEARTEXT": "PLAIN",
    "CLEAR": "PLAIN",
    "MD5": "CRYPT",
    "DES-CRYPT": "CRYPT",
}
# Dovecot's names for one kind of crypt(3) each; the text tells anyway.
_CRYPTS = ("CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "MD5-CRYPT")
WEAK_SCHEMES = ("MD5-CRYPT", "DES-CRYPT", "SHA", "SHA256", "SHA512")
# An entry of /etc/shadow that nobody logs in with.
_LOCKED = re.compile(r"[!*x]?|[!*].*", re.DOTALL)
_CRYPT_KINDS = (
    ("SHA512-CRYPT", re.compile(r"\$6\$(?:rounds=(\d{4,9})\$)?[^$:\s]{0,16}\$[./0-9A-Za-z]{86}")),
    ("SHA256-CRYPT", re.compile(r"\$5\$(?:rounds=(\d{4,9})\$)?[^$:\s]{0,16}\$[./0-9A-Za-z]{43}")),
    ("BLF-CRYPT", re.compile(r"\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}")),
    ("YESCRYPT", re.compile(r"\$g?y\$j(.)[5T]\$[./0-9A-Za-z]{0,86}\$[./0-9A-Za-z]{43}")),
    ("MD5-CRYPT", re.compile(r"\$1\$()[^$:\s]{0,8}\$[./0-9A-Za-z]{22}")),
    ("DES-CRYPT", re.compile(r"()[./0-9A-Za-z]{13}")),
)
# What one login may cost at most: each of these is about a second of one core, or 128 MiB.
_MOST_ROUNDS = 2_000_000
_MOST_BCRYPT = 14
_YESCRYPT_COSTS = "789ABC"
_MOST_PBKDF2 = 2_000_000
_MOST_ARGON2_KIB = 131_072
_MOST_ARGON2_PASSES = 16
_ARGON2 = re.compile(
    r"\$(argon2id?)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}"
)
_PBKDF2 = re.compile(r"\$1\$([^$:\s]{1,64})\$(\d{1,9})\$([0-9a-fA-F]{40})")
_SCHEME = re.compile(r"\{([A-Za-z0-9-]{1,30})(?:\.(HEX|B64|BASE64))?\}", re.IGNORECASE)
_MOST_OCTETS = 511  # libcrypt takes no longer passwords
_WORK_OCTETS = 32_768  # sizeof(struct crypt_data) of libxcrypt


class HashRefused(ValueError):
    """This hash is not taken. `text` is an English sentence with `{name}` places; `values` fills them."""

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


class ForeignHash(NamedTuple):
    """`stored`: see the module. For the scheme PLAIN it is the password itself: hash it, do not store it."""

    scheme: str
    stored: str


def read_hash(text: str, also: frozenset[str] = frozenset()) -> ForeignHash:
    """A field of a passwd-file or of /etc/shadow; raises HashRefused. `also`: names of WEAK_SCHEMES that are
    taken all the same."""
    if _LOCKED.fullmatch(text):
        raise HashRefused("The entry has no password or is locked.")
    match = _SCHEME.match(text)
    name, encoding, rest = (
        (match[1].upper(), (match[2] or "").upper(), text[match.end() :]) if match else ("CRYPT", "", text)
    )
    name = _ALIASES.get(name, name)
    if name.startswith("ARGON2") or rest.startswith("$argon2"):
        return _read_argon2(rest)
    if name in _CRYPTS:
        return _read_crypt(rest, also)
    if name == "PBKDF2":
        return _read_pbkdf2(rest)
    if name == "PLAIN":
        return ForeignHash(name, rest)
    if name.removeprefix("S") in _DIGESTS or name in _DIGESTS:
        return _read_digest(name, encoding, rest, also)
    raise HashRefused("The scheme {scheme} is not known here; set a new password.", scheme=name)


def verify_foreign(stored: str, prepared: str) -> bool:
    """Does the prepared password fit a hash that `read_hash` gave (but Argon2)? Raises ValueError for one
    that it did not give."""
    octets = prepared.encode()
    match = _SCHEME.match(stored)
    if not match:
        raise ValueError("this is no hash that was imported")
    if not 0 < len(octets) <= _MOST_OCTETS:  # whoever made the hash of an empty password has no password
        return False
    name, rest = match[1], stored[match.end() :]
    if name == "CRYPT":
        return hmac.compare_digest(_crypt(octets, rest), rest.encode())
    if name == "PBKDF2":
        salt, rounds, digest = _PBKDF2.fullmatch(rest).groups()  # type: ignore[union-attr]  # read_hash saw to it
        return hmac.compare_digest(
            hashlib.pbkdf2_hmac("sha1", octets, salt.encode(), int(rounds)), bytes.fromhex(digest)
        )
    algorithm, length = _DIGESTS[name if name in _DIGESTS else name[1:]]
    decoded = base64.b64decode(rest)
    return hmac.compare_digest(hashlib.new(algorithm, octets + decoded[length:]).digest(), decoded[:length])


def _read_argon2(text: str) -> ForeignHash:
    match = _ARGON2.fullmatch(text)
    if not match:
        raise _malformed("ARGON2")
    if int(match[2]) > _MOST_ARGON2_KIB or int(match[3]) > _MOST_ARGON2_PASSES:
        raise _costly("ARGON2")
    return ForeignHash("ARGON2ID" if match[1] == "argon2id" else "ARGON2I", text)


def _read_crypt(text: str, also: frozenset[str]) -> ForeignHash:
    found = next(
        ((kind, match) for kind, pattern in _CRYPT_KINDS if (match := pattern.fullmatch(text))), None
    )
    if found is None:
        raise _malformed("CRYPT")
    scheme, cost = found[0], found[1][1] or "0"
    if (
        (scheme in ("SHA512-CRYPT", "SHA256-CRYPT") and int(cost) > _MOST_ROUNDS)
        or (scheme == "BLF-CRYPT" and int(cost) > _MOST_BCRYPT)
        or (scheme == "YESCRYPT" and cost not in _YESCRYPT_COSTS)
    ):
        raise _costly(scheme)
    _check_strength(scheme, also)
    try:
        able = len(_crypt(b"a password", text)) == len(text)
    except ValueError:
        able = False
    if not able:
        raise HashRefused(
            "The libcrypt of this machine cannot check {scheme}; set a new password.", scheme=scheme
        )
    return ForeignHash(scheme, "{CRYPT}" + text)


def _read_pbkdf2(text: str) -> ForeignHash:
    match = _PBKDF2.fullmatch(text)
    if not match or not int(match[2]):
        raise _malformed("PBKDF2")
    if int(match[2]) > _MOST_PBKDF2:
        raise _costly("PBKDF2")
    return ForeignHash("PBKDF2", "{PBKDF2}" + text)


def _read_digest(name: str, encoding: str, text: str, also: frozenset[str]) -> ForeignHash:
    salted = name not in _DIGESTS
    length = _DIGESTS[name[1:] if salted else name][1]
    try:
        # Dovecot tells the two apart by the length too, where nothing names the encoding.
        in_hex = encoding == "HEX" or (
            not encoding and not salted and re.fullmatch(r"[0-9a-fA-F]+", text) and len(text) == 2 * length
        )
        decoded = bytes.fromhex(text) if in_hex else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise _malformed(name) from None
    if len(decoded) <= length if salted else len(decoded) != length:
        raise _malformed(name)
    _check_strength(name, also)
    return ForeignHash(name, f"{{{name}}}{base64.b64encode(decoded).decode()}")


def _check_strength(scheme: str, also: frozenset[str]) -> None:
    if scheme in WEAK_SCHEMES and scheme not in also:
        raise HashRefused(
            "{scheme} is broken: whoever saw the old file knows the password. Set a new one, or "
            "import it all the same with --also {scheme}.",
            scheme=scheme,
        )


def _malformed(scheme: str) -> HashRefused:
    return HashRefused("This is no hash of the scheme {scheme}.", scheme=scheme)


def _costly(scheme: str) -> HashRefused:
    return HashRefused(
        "This {scheme} hash would cost more than a second or 128 MiB at a login; set a new password.",
        scheme=scheme,
    )


@functools.cache
def _library() -> ctypes.CDLL | None:
    """libxcrypt, which Debian, Ubuntu and Fedora have as their libcrypt; None where there is none, or a
    smaller one."""
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name)
            library.crypt_rn.restype = ctypes.c_char_p
        except (OSError, AttributeError):
            continue
        library.crypt_rn.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
        return library
    return None


def _crypt(password: bytes, setting: str) -> bytes:
    """crypt(3), with its work space of its own, so that threads may call it; raises ValueError where the
    library cannot do this kind."""
    library = _library()
    work = ctypes.create_string_buffer(_WORK_OCTETS)
    made: bytes | None = (
        library.crypt_rn(password, setting.encode(), work, _WORK_OCTETS) if library is not None else None
    )
    if made is None or made.startswith(b"*"):
        raise ValueError("libcrypt cannot check this hash")
    return made
