"""The files, folders and users that a configuration names: do they exist and fit."""

import os
import pwd
import re
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sekisho.config.problems import Problem
from sekisho.config.schema import Certificate, Config
from sekisho.config.secrets import secret_settings

_MIN_RSA_BITS = 2048
_BREACHED_LINE = re.compile(rb"[0-9A-Fa-f]{16,40}(:[0-9]{1,12})?\s*\Z")
_EXPIRY_WARNING = timedelta(days=14)


def check_files(config: Config, now: datetime | None = None) -> list[Problem]:
    """`now` (aware; default: the present) is what certificates are held against."""
    now = now or datetime.now(UTC)
    problems = [
        *_check_folders(config),
        *_check_user(config),
        *_check_breached(config),
        *_check_authorities(config),
    ]
    names: set[str] = set()
    for index, certificate in enumerate(config.certificates):
        found = _check_certificate(
            f"certificates[{index}]", certificate, now, names, is_for_root=_is_started_by_root(config)
        )
        problems.extend(found)
    if names and not _covers(names, config.hostname.lower()):
        problems.append(
            Problem(
                path="certificates",
                text="No certificate is for {hostname}; strict clients and servers will refuse it.",
                advice="Get one for that name.",
                values={"hostname": config.hostname},
                severity="warning",
            )
        )
    return problems


def check_secrecy(file: Path, config: Config) -> list[Problem]:
    """A configuration that holds secrets is for root and the server's user."""
    held = secret_settings(config)
    try:
        mode = file.stat().st_mode
    except OSError:
        return []
    if not held or not mode & 0o007:
        return []
    return [
        Problem(
            path=held[0],
            text="Everybody on this machine may read or change this file, which holds a secret.",
            advice="Leave it to root and the server: chgrp {group} {file} && chmod 640 {file}",
            values={"group": config.user or "root", "file": file},
            severity="warning",
        )
    ]


def _check_folders(config: Config) -> Iterator[Problem]:
    if config.data_dir.exists():
        if not config.data_dir.is_dir():
            yield Problem(
                path="data_dir",
                text="{path} is not a folder.",
                advice="Name a folder for mail and queue.",
                values={"path": config.data_dir},
            )
    elif not config.data_dir.parent.is_dir():
        yield Problem(
            path="data_dir",
            text="{path} does not exist, and neither does the folder above it.",
            advice="Create it, or name another one.",
            values={"path": config.data_dir},
        )
    for path, file in (
        ("log.file", config.log.file),
        ("submission.local_socket", config.submission.local_socket),
        ("auth_socket.path", config.auth_socket.path),
    ):
        if file is not None and not file.parent.is_dir():
            # The default folder of sockets lies in data_dir and is made at the first start.
            if config.data_dir in file.parents:
                continue
            # systemd makes the folder of a socket (RuntimeDirectory=) only when it starts the server.
            severity: Literal["error", "warning"] = "error" if path == "log.file" else "warning"
            values = {"path": file}
            yield Problem(
                path=path,
                text="The folder of {path} does not exist.",
                advice="Create it, or name another one.",
                values=values,
                severity=severity,
            )


def _check_user(config: Config) -> Iterator[Problem]:
    if config.user is None:
        if os.geteuid() == 0:
            yield Problem(
                path="user",
                text="Started as root, the workers would stay root.",
                advice='Name an unprivileged user, such as user = "sekisho".',
                severity="warning",
            )
        return
    try:
        entry = pwd.getpwnam(config.user)
    except KeyError:
        yield Problem(
            path="user",
            text="There is no user {user} on this machine.",
            advice="Create it: useradd --system --home-dir {home} {user}",
            values={"user": config.user, "home": config.data_dir},
        )
        return
    if os.geteuid() not in (0, entry.pw_uid):
        yield Problem(
            path="user",
            text="Only root can start workers as {user}.",
            advice="Start as root or as {user}, or remove the setting.",
            values={"user": config.user},
        )


def _check_breached(config: Config) -> Iterator[Problem]:
    file = config.login.breached_passwords
    if file is None:
        return
    try:
        with file.open("rb") as opened:
            first = opened.readline(100)
    except OSError as error:
        values = {"file": file, "reason": error.strerror or str(error)}
        yield Problem(
            path="login.breached_passwords",
            text="{file} cannot be read: {reason}.",
            advice="Name a file that the server's user may read.",
            values=values,
        )
        return
    if not _BREACHED_LINE.match(first):
        yield Problem(
            path="login.breached_passwords",
            text="{file} is no list of leaked passwords.",
            advice="It has sorted lines of SHA-1 digests, such as "
            "000000005AD76BD555C1D6D771DE417A4B87E4B4:10, in one file.",
            values={"file": file},
        )


def _check_authorities(config: Config) -> Iterator[Problem]:
    named = [
        (f"login.issuers[{index}].ca_file", issuer.ca_file)
        for index, issuer in enumerate(config.login.issuers)
    ]
    named += [
        (f"listeners[{index}].client_ca", listener.client_ca)
        for index, listener in enumerate(config.listeners)
    ]
    for path, file in named:
        if file is None:
            continue
        try:
            x509.load_pem_x509_certificates(file.read_bytes())
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).split("\n")[0].rstrip(".")
            yield Problem(
                path=path,
                text="{file} cannot be read: {reason}.",
                advice="Name a readable PEM file.",
                values={"file": file, "reason": reason},
            )


def _is_started_by_root(config: Config) -> bool:
    """Are we the user that workers become? Then root starts the server, and reads what we need not."""
    try:
        return config.user is not None and os.geteuid() == pwd.getpwnam(config.user).pw_uid != 0
    except KeyError:
        return False


def _check_certificate(
    path: str, certificate: Certificate, now: datetime, names: set[str], *, is_for_root: bool = False
) -> Iterator[Problem]:
    chain = key = None
    for field, file in (("cert_file", certificate.cert_file), ("key_file", certificate.key_file)):
        try:
            pem = file.read_bytes()
        except OSError as error:
            yield _unreadable(f"{path}.{field}", file, error, is_for_root=is_for_root)
            continue
        try:
            if field == "cert_file":
                chain = x509.load_pem_x509_certificates(pem)
            else:
                key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            yield _not_pem(f"{path}.{field}", file, str(error).split("\n")[0].rstrip("."))
    if key is not None:
        yield from _check_key_mode(path, certificate.key_file)
    if chain:
        names |= _names(chain[0])
        yield from _check_dates(path, certificate.cert_file, chain[0], now)
        yield from _check_order(path, certificate.cert_file, chain)
        if isinstance(public := chain[0].public_key(), rsa.RSAPublicKey) and public.key_size < _MIN_RSA_BITS:
            yield Problem(
                path=f"{path}.cert_file",
                text="The key has {bits} bits; peers refuse RSA keys under 2048.",
                advice="Make a new P-256 or RSA-2048 key.",
                values={"bits": public.key_size},
            )
    if chain and key is not None:
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if chain[0].public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
            yield Problem(
                path=f"{path}.key_file",
                text="The key does not belong to the first certificate of {file}.",
                advice="Name the key that the certificate was made for; the chain starts with the "
                "server's own certificate.",
                values={"file": certificate.cert_file},
            )


def _unreadable(path: str, file: Path, error: OSError, *, is_for_root: bool) -> Problem:
    if is_for_root and isinstance(error, PermissionError):
        return Problem(
            path=path,
            text="{file} can be read by root only, so that it could not be checked.",
            advice="Run this as root to have it checked too.",
            values={"file": file},
            severity="warning",
        )
    return Problem(
        path=path,
        text="{file} cannot be read: {reason}.",
        advice="Name a readable PEM file.",
        values={"file": file, "reason": error.strerror or str(error)},
    )


def _not_pem(path: str, file: Path, reason: str) -> Problem:
    values: dict[str, object] = {"file": file, "reason": reason}
    if path.endswith(".cert_file"):
        return Problem(
            path=path,
            text="{file} holds no PEM certificate chain: {reason}.",
            advice="Name the right file.",
            values=values,
        )
    return Problem(
        path=path,
        text="{file} holds no PEM private key without a passphrase: {reason}.",
        advice="Name the right file.",
        values=values,
    )


def _check_key_mode(path: str, file: Path) -> Iterator[Problem]:
    if stat.S_IMODE(file.stat().st_mode) & 0o007:
        yield Problem(
            path=f"{path}.key_file",
            text="Everybody on this machine may read or change the key.",
            advice="chmod 600 {file}",
            values={"file": file},
            severity="warning",
        )


def _check_dates(path: str, file: Path, leaf: x509.Certificate, now: datetime) -> Iterator[Problem]:
    values = {
        "file": file,
        "date": leaf.not_valid_after_utc.date(),
        "start": leaf.not_valid_before_utc.date(),
    }
    if leaf.not_valid_after_utc <= now:
        yield Problem(
            path=f"{path}.cert_file",
            text="The certificate expired on {date}.",
            advice="Renew it and reload (SIGHUP).",
            values=values,
            severity="warning",
        )
    elif leaf.not_valid_after_utc <= now + _EXPIRY_WARNING:
        yield Problem(
            path=f"{path}.cert_file",
            text="The certificate expires on {date}.",
            advice="Renew it and reload (SIGHUP).",
            values=values,
            severity="warning",
        )
    if leaf.not_valid_before_utc > now:
        yield Problem(
            path=f"{path}.cert_file",
            text="The certificate is valid only from {start}.",
            advice="Check the clock.",
            values=values,
            severity="warning",
        )


def _check_order(path: str, file: Path, chain: Sequence[x509.Certificate]) -> Iterator[Problem]:
    for lower, upper in pairwise(chain):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            yield Problem(
                path=f"{path}.cert_file",
                text="The chain in {file} is not in order; strict clients will refuse it.",
                # RFC 8446 §4.4.2
                advice="Begin with the server's own certificate; behind each stands the one that issued it.",
                values={"file": file},
                severity="warning",
            )
            return


def _names(leaf: x509.Certificate) -> set[str]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}


def _covers(names: set[str], hostname: str) -> bool:
    """RFC 9525 §6.3: a wildcard stands for the whole left-most label."""
    return hostname in names or f"*.{hostname.partition('.')[2]}" in names
