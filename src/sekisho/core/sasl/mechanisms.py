"""Which mechanisms are offered, and a fresh object for each exchange."""

from collections.abc import Callable

from sekisho.core.sasl.exchange import Mechanism
from sekisho.core.sasl.password import Login, Plain

# Best first: the order in which they are advertised. CRAM-MD5, DIGEST-MD5 and NTLM will not come (THREATS 12).
_PASSWORD_MECHANISMS: dict[str, Callable[[], Mechanism]] = {"PLAIN": Plain, "LOGIN": Login}

PASSWORD_MECHANISM_NAMES: tuple[str, ...] = tuple(_PASSWORD_MECHANISMS)


def password_mechanism(name: str) -> Mechanism | None:
    """A new mechanism object by its name in any case (RFC 4422 §3.1 names are upper-case), or None if it is not offered."""
    make = _PASSWORD_MECHANISMS.get(name.upper())
    return make() if make else None
