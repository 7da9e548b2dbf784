"""Accounts with hashes that Dovecot's doveadm and mkpasswd made come along: their people log in as before and
notice nothing."""

import os
from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.system.mailboxes import imap
from tests.system.server import Account, running

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(300)]

PASSWORD = "himitsu no kotoba"
BY_DOVEADM = (
    "SHA512-CRYPT",
    "SHA256-CRYPT",
    "BLF-CRYPT",
    "SSHA",
    "SSHA256",
    "SSHA512",
    "SSHA512.HEX",
    "PBKDF2",
    "ARGON2I",
    "ARGON2ID",
    "PLAIN",
)
BROKEN = ("MD5-CRYPT", "SHA256", "SHA512.HEX")
BY_MKPASSWD = ("yescrypt", "sha512crypt", "bcrypt")


def made_by_doveadm(scheme: str) -> str:
    program = peer("doveadm")
    libraries = f"{program.root}/usr/lib/dovecot:{program.environment['LD_LIBRARY_PATH']}"
    done = program.run("doveadm", "-O", "pw", "-s", scheme, "-p", PASSWORD, LD_LIBRARY_PATH=libraries)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def made_by_mkpasswd(method: str) -> str:
    done = peer("mkpasswd").run("mkpasswd", "-m", method, "--stdin", stdin=PASSWORD.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def test_people_log_in_as_before(tmp_path: Path) -> None:
    lines = [
        f"{name.lower()}:{made_by_doveadm(name)}:1000:1000::/home/x::" for name in (*BY_DOVEADM, *BROKEN)
    ]
    lines += [f"{name}:{made_by_mkpasswd(name)}:19000:0:99999:7:::" for name in BY_MKPASSWD]
    lines += ["nobody:*:19000:0:99999:7:::"]
    file = tmp_path / "users"
    file.write_text(os.linesep.join(lines))
    with running(tmp_path / "try") as server:
        result = server.command("account", "import", str(file), "--domain", "example.test")
        refused = [line["name"].partition("@")[0] for line in result if not line["taken"]]
        assert refused == [*(name.lower() for name in BROKEN), "nobody"]
        result = server.command(
            "account",
            "import",
            str(file),
            "--domain",
            "example.test",
            "--also",
            "MD5-CRYPT",
            "--also",
            "sha256",
        )
        assert [line["name"].partition("@")[0] for line in result if line["taken"]] == [
            "md5-crypt",
            "sha256",
        ]
        names = [*(name.lower() for name in (*BY_DOVEADM, *BROKEN[:2])), *BY_MKPASSWD]
        for name in names:
            account = Account(f"{name}@example.test", PASSWORD)
            with imap(server, account) as first, imap(server, account) as second:
                assert first.noop()[0] == second.noop()[0] == "OK"  # the upgrade between them ended nothing
        assert server.log.count("authentication.upgraded") == len(names) - 1  # PLAIN was hashed when it came
        with (
            pytest.raises(Exception, match="user name or the password is wrong"),
            imap(server, Account(f"{names[0]}@example.test", PASSWORD + "!")),
        ):
            pass
