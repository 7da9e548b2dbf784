"""Commands of root's leave nothing in the data folder that the server's user could not use, and nobody else
can read what they write."""

import io
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sekisho.adapters.certificates import write_certificates
from sekisho.adapters.process.privileges import acting_as, folder_owner, open_log, user_of
from sekisho.app import App
from sekisho.faces.cli.main import run

OWNER, STRANGER = 54321, 54322  # no users of this machine: numbers suffice

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root can become another user")

SETTINGS = """\
hostname = "mx.example.org"
data_dir = "data"
roles = { postmaster = "taro@example.org", abuse = "taro@example.org" }
limits = { free_disk_octets = 0 }
[[listeners]]
kind = "smtp"
address = "127.0.0.1"
port = 0
[log]
file = "log/sekisho.log"
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user may pass through, unlike pytest's; the mask is the careless usual one."""
    folder = Path(tempfile.mkdtemp(prefix="sekisho-owner-"))
    folder.chmod(0o755)
    (folder / "sekisho.toml").write_text(SETTINGS)
    (folder / "log").mkdir()
    monkeypatch.setenv("SEKISHO_CONFIG", str(folder / "sekisho.toml"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def owned(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    os.chown(folder, OWNER, OWNER)
    return folder


def sekisho(*arguments: object) -> int:
    os.umask(0o022)
    return run(App(), ["sekisho", *map(str, arguments)])


def everything(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(path.relative_to(folder) for path in folder.rglob("*"))]


def check_private(folder: Path, owner: int) -> None:
    found = everything(folder)
    assert found
    for path in found:
        state = path.lstat()
        assert (path, state.st_uid) == (path, owner)
        assert (path, stat.S_IMODE(state.st_mode)) == (path, 0o700 if path.is_dir() else 0o600)


def test_what_root_does_before_the_first_start_belongs_to_the_owner(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = owned(place / "data")
    assert sekisho("config", "check") == 78  # nobody reads postmaster's mail yet
    assert sekisho("domain", "add", "example.org") == 0
    assert sekisho("alias", "add", "info@example.org", "taro@example.net") == 0
    assert sekisho("domain", "list") == 0
    assert "example.org" in capfd.readouterr().out
    assert {"mail.db", "mail.lock", "hints.db", "hints.lock", "ledger.db", "lock"} <= {
        path.name for path in everything(data)
    }
    check_private(data, OWNER)
    check_private(place / "log", OWNER)  # a folder of root's, the file the server's
    assert os.geteuid() == 0 and os.getegid() == 0


def test_backup_and_restore_are_private_and_restored_data_is_the_owners(place: Path) -> None:
    data = owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 0
    with acting_as(user_of(OWNER, OWNER)):
        name = "ab" * 16
        content = data / "content/ab/ab"
        content.mkdir(parents=True, mode=0o700)
        (content / name).write_bytes(b"x")
    vault = place / "vault"
    vault.mkdir(mode=0o700)  # the owner cannot enter it: root writes and reads there
    (vault / "copy").mkdir(mode=0o755)
    assert sekisho("backup", vault / "copy") == 0
    assert stat.S_IMODE((vault / "copy").stat().st_mode) == 0o700
    for path in everything(vault / "copy"):
        assert (path, stat.S_IMODE(path.stat().st_mode)) == (path, 0o700 if path.is_dir() else 0o600)
    assert sekisho("verify", vault / "copy") == 0
    assert sekisho("verify") == 0
    check_private(data, OWNER)  # no mark, no lock and no log of SQLite's was left there by root
    shutil.rmtree(data)
    owned(data)
    assert sekisho("restore", vault / "copy") == 0
    assert {"mail.db", "hints.db", "ledger.db", "content"} <= {path.name for path in everything(data)}
    check_private(data, OWNER)
    assert sekisho("domain", "show", "example.org") == 0
    check_private(data, OWNER)


def test_a_folder_that_is_not_there_is_made_for_the_configured_user(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 0
    assert sekisho("backup", place / "copy") == 0
    shutil.rmtree(place / "data")
    capfd.readouterr()
    assert sekisho("restore", place / "copy") == 3
    assert "nothing says whom it is to belong to" in capfd.readouterr().err
    (place / "sekisho.toml").write_text('user = "nobody"\n' + SETTINGS)
    assert sekisho("restore", place / "copy") == 0
    nobody = place.joinpath("data").stat().st_uid
    assert nobody != 0 and stat.S_IMODE(place.joinpath("data").stat().st_mode) == 0o700
    check_private(place / "data", nobody)


def test_an_empty_folder_of_roots_is_given_to_the_configured_user(place: Path) -> None:
    (place / "sekisho.toml").write_text('user = "nobody"\n' + SETTINGS)
    (place / "data").mkdir()
    assert sekisho("domain", "add", "example.org") == 0
    check_private(place / "data", (place / "data").stat().st_uid)
    assert (place / "data").stat().st_uid != 0


def test_folder_and_user_that_disagree_are_told(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "sekisho.toml").write_text('user = "nobody"\n' + SETTINGS)
    owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 3
    assert f"belongs to {OWNER}, but the server runs as nobody" in capfd.readouterr().err
    assert everything(place / "data") == []
    (place / "sekisho.toml").write_text('user = "no-such-user"\n' + SETTINGS)
    assert sekisho("domain", "add", "example.org") == 78
    assert "There is no user no-such-user" in capfd.readouterr().err


def test_files_that_root_left_behind_are_named_with_their_cure(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 0
    os.chown(data / "mail.lock", 0, 0)
    assert sekisho("domain", "add", "example.net") == 3
    assert (
        f"mail.lock belongs to root, so that {OWNER} cannot use it; mend it with: chown -R {OWNER}:"
        in capfd.readouterr().err
    )


def test_names_in_a_database_lead_nowhere_else(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever broke into the server must not choose the files that a nightly backup of root's copies."""
    import apsw

    data = owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 0
    (place / "secret").write_text("root's own")
    (place / "secret").chmod(0o600)
    for name in (str(place / "secret"), "../../../secret"):
        with acting_as(user_of(OWNER, OWNER)):
            connection = apsw.Connection(str(data / "mail.db"))
            connection.execute("DELETE FROM content")
            connection.execute(
                "INSERT INTO content (id, size_octets, file, codec, refs) VALUES (1, 10, ?, 0, 0)", (name,)
            )
            connection.close()
        assert sekisho("backup", place / "copy") == 1
        assert "cannot be one" in capfd.readouterr().err
        assert not (place / "copy").exists()


def test_a_log_in_the_users_folder_does_not_lead_root_astray(place: Path) -> None:
    owner = user_of(OWNER, OWNER)
    own = owned(place / "own")
    (place / "secret").write_text("root's own")
    (place / "secret").chmod(0o600)
    (own / "sekisho.log").symlink_to(place / "secret")
    with pytest.raises(OSError):
        open_log(own / "sekisho.log", owner)
    os.link(place / "secret", own / "linked.log")
    with pytest.raises(OSError):
        open_log(own / "linked.log", owner)
    assert (place / "secret").stat().st_uid == 0
    os.close(open_log(own / "new.log", owner))
    assert ((own / "new.log").stat().st_uid, stat.S_IMODE((own / "new.log").stat().st_mode)) == (OWNER, 0o600)


def test_no_link_above_a_log_leads_root_astray(place: Path) -> None:
    owner, own = user_of(OWNER, OWNER), owned(place / "own")
    (place / "roots").mkdir(mode=0o755)
    (own / "linked").symlink_to(place / "roots")
    os.chown(own / "linked", OWNER, OWNER, follow_symlinks=False)
    (own / "theirs").mkdir()
    (own / "theirs" / "linked").symlink_to(place / "roots")  # root's own, below what is not
    for folder in (own / "linked", own / "theirs" / "linked"):
        with pytest.raises(PermissionError):
            open_log(folder / "new.log", owner)
        assert folder_owner(folder, owner) == owner
    assert not list((place / "roots").iterdir())
    os.close(open_log(place / "roots" / "new.log", owner))
    assert (place / "roots" / "new.log").stat().st_uid == OWNER and folder_owner(
        place / "roots", owner
    ) is None


def test_an_unreadable_log_keeps_nobody_from_a_command(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    owned(place / "data")
    with acting_as(user_of(OWNER, OWNER)):
        assert sekisho("domain", "add", "example.org") == 0
    assert "log.file" in capfd.readouterr().err
    with acting_as(user_of(STRANGER, STRANGER)):
        assert sekisho("domain", "add", "example.net") == 3


CERTIFICATE = """
[[certificates]]
cert_file = "tls/cert.pem"
key_file = "tls/key.pem"
"""


@pytest.mark.parametrize(
    "key", ["", "-----BEGIN PRIVATE KEY-----\nMIGHAgEA"], ids=["root's alone", "half written"]
)
def test_commands_need_no_certificate(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], key: str
) -> None:
    """The service user cannot read the key; and a certificate that is half written is the server's trouble
    alone."""
    (place / "sekisho.toml").write_text('user = "nobody"\n' + SETTINGS + CERTIFICATE)
    tls = place / "tls"
    tls.mkdir(mode=0o700)
    write_certificates(tls, ["mx.example.org"], datetime.now(UTC))
    if key:
        (tls / "key.pem").write_text(key)
        tls.chmod(0o755)
        (tls / "key.pem").chmod(0o644)
    (place / "data").mkdir()
    assert sekisho("domain", "add", "example.org") == 0
    shutil.copytree(place / "data", place / "before")
    nobody = pwd.getpwnam("nobody")
    os.chown(place / "log/sekisho.log", nobody.pw_uid, nobody.pw_gid)
    with acting_as(nobody):
        for command in (
            "domain list", "queue list", "account list", "dkim list", "config show", "verify", "guard list",
            "bans list",
            f"backup {place}/data/copy", f"verify {place}/data/copy", "door rules", "classifier status",
            "reputation list",
        ):  # fmt: skip
            assert (command, sekisho(*command.split())) == (command, 0)
        monkeypatch.setattr("sys.stdin", io.StringIO("himitsu no kotoba da\nhimitsu no kotoba da\n"))
        assert sekisho("account", "add", "taro@example.org", "--password-stdin") == 0
        assert sekisho("account", "passwd", "taro@example.org", "--password-stdin") == 0
        assert sekisho("why", "taro@example.org") == 0
        capfd.readouterr()
        assert sekisho("config", "check") == (78 if key else 0)
        told = capfd.readouterr().err
    assert ("no PEM private key" if key else "can be read by root only") in told
    shutil.rmtree(place / "data")
    with acting_as(nobody):
        assert sekisho("restore", place / "before") == 3  # its folder cannot be made by it


def test_setup_writes_what_the_service_user_can_read(place: Path) -> None:
    file = place / "etc/sekisho/sekisho.toml"
    assert sekisho("setup", "mx.example.org", "-c", file) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644 and stat.S_IMODE(file.parent.stat().st_mode) == 0o755


def test_strangers_are_told_whose_the_data_is(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 0
    assert sekisho("backup", place / "copy") == 0
    (place / "copy").chmod(0o755)
    for folder in (data, place / "copy"):
        folder.chmod(0o755)
    os.chown(place / "sekisho.toml", STRANGER, STRANGER)
    (place / "other").mkdir(mode=0o700)
    os.chown(place / "other", STRANGER, STRANGER)
    capfd.readouterr()
    for command in ("verify", f"verify {place}/copy", f"backup {place}/other/copy"):
        with acting_as(user_of(STRANGER, STRANGER)):
            assert (command, sekisho(*command.split())) == (command, 1)
        told = capfd.readouterr().err
        assert (
            f"{STRANGER} may not use it: run commands as root or as {'root' if 'y ' in command else OWNER}"
            in told
        )
    os.chown(data / "hints.db", 0, 0)
    assert sekisho("backup", place / "other/copy") == 1  # root's own leftovers are told to root too
    assert f"mend it with: chown -R {OWNER}: {data}" in capfd.readouterr().err


def test_what_was_restored_open_to_all_is_closed(place: Path) -> None:
    data = owned(place / "data")
    assert sekisho("domain", "add", "example.org") == 0
    for path in (data / "mail.db", data / "hints.db"):
        path.chmod(0o644)
    (data / "content").chmod(0o755)
    assert sekisho("domain", "list") == 0
    assert [stat.S_IMODE((data / name).stat().st_mode) for name in ("mail.db", "hints.db", "content")] == [
        0o640,
        0o640,
        0o750,
    ]
