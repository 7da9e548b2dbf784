"""One-time codes by the clock (TOTP, RFC 6238), as the usual telephone apps make them. Pure."""

import base64
import hmac
import re
from urllib.parse import quote

STEP_SECONDS = 30  # RFC 6238 §4.1
DIGITS = 6
SECRET_OCTETS = 20  # RFC 4226 §4, R6
# RFC 6238 §5.2: at most one step back for the time that typing takes; one ahead for a clock that is fast.
_STEPS_AROUND = 1
_TYPED = re.compile(r"[\s-]")


def totp_code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of one time step (RFC 4226 §5.3 over SHA-1, the only hash that all apps know)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, typed: str, now_us: int, last_step: int) -> int | None:
    """The step whose code was typed, if it is near now and after `last_step`, the last one that was used
    (THREATS 18)."""
    now = now_us // (STEP_SECONDS * 1_000_000)
    code = _TYPED.sub("", typed).encode("utf-8", "replace")
    found = None
    for step in range(now - _STEPS_AROUND, now + _STEPS_AROUND + 1):
        if hmac.compare_digest(totp_code(secret, step).encode(), code) and step > last_step:
            found = step
    return found


def base32(secret: bytes) -> str:
    """As people type it into an app: without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_uri(issuer: str, account: str, secret: bytes) -> str:
    """What apps read from a QR code. The defaults (SHA1, 6 digits, 30 s) are not written: some apps read
    nothing else."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    return f"otpauth://totp/{label}?secret={base32(secret)}&issuer={quote(issuer, safe='')}"
