"""Give OpenSSL our list of key agreement groups. Imports nothing that loads OpenSSL: it must run first."""

import os
import sys
from pathlib import Path

VARIABLE = "OPENSSL_CONF"
_DIRECTORY = Path(__file__).with_name("openssl")
CLASSIC = _DIRECTORY / "groups.cnf"
HYBRID = _DIRECTORY / "groups-mlkem.cnf"
_OPENSSL_USERS = ("_ssl", "_hashlib")


def reexec_with_openssl_conf() -> None:
    """Call it first thing in a command that speaks TLS. An OPENSSL_CONF of the operator's (FIPS, say) is left alone.

    OpenSSL reads its configuration once, when it is loaded. If that has happened, or if it turns out to know ML-KEM, the same
    command line is executed again with the variable set.
    """
    if os.environ.get(VARIABLE):
        return
    is_late = any(name in sys.modules for name in _OPENSSL_USERS)
    os.environ[VARIABLE] = str(CLASSIC)
    import ssl

    if ssl.OPENSSL_VERSION_INFO >= (3, 5):
        os.environ[VARIABLE] = str(HYBRID)
    elif not is_late:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)
