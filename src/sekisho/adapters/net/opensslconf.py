"""Give OpenSSL our list of key agreement groups. Imports nothing that loads OpenSSL: it must run first.

OpenSSL reads its configuration once, when it is loaded; `import hashlib` is enough for that.
"""

import os
import sys
from pathlib import Path

VARIABLE = "OPENSSL_CONF"
_DIRECTORY = Path(__file__).with_name("openssl")
CLASSIC = _DIRECTORY / "groups.cnf"
HYBRID = _DIRECTORY / "groups-mlkem.cnf"
_OPENSSL_USERS = ("_hashlib", "_ssl")


def name_openssl_conf() -> None:
    """Where more is imported before `reexec_with_openssl_conf`: call it before that, and nothing need be
    executed again."""
    if not any(name in sys.modules for name in _OPENSSL_USERS):
        os.environ.setdefault(VARIABLE, str(CLASSIC))


def reexec_with_openssl_conf() -> None:
    """Call it first thing in a command that speaks TLS. An OPENSSL_CONF of the operator's (FIPS, say) is left
    alone.

    If OpenSSL was loaded without our file, or knows ML-KEM, the same command line is executed again with the
    right one.
    """
    name_openssl_conf()
    current = os.environ.get(VARIABLE)
    if current and current != str(CLASSIC):
        return
    import ssl

    wanted = str(HYBRID if ssl.OPENSSL_VERSION_INFO >= (3, 5) else CLASSIC)
    if current == wanted:
        return
    os.environ[VARIABLE] = wanted
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)
