"""A disk without room: refused for now, nothing promised is lost, and it goes on when there is room again."""

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.crash.clients import imap, message, numbers, send
from tests.system.server import ENVIRONMENT, Server, restart, running, wait_until

pytestmark = pytest.mark.slow
MIB = 1_048_576


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB on memory, which only root can mount."""
    folder = tmp_path / "try"
    folder.mkdir()
    mounted = _as_root("mount", "-t", "tmpfs", "-o", f"size=32m,mode=0755,uid={os.getuid()},gid={os.getgid()}", "tmpfs", str(folder))
    if mounted.returncode != 0:
        reason = f"FULL DISKS ARE NOT TESTED: {mounted.stderr.decode().strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        assert _as_root("umount", "-l", str(folder)).returncode == 0


def _as_root(*command: str) -> "subprocess.CompletedProcess[bytes]":
    prefix = () if os.geteuid() == 0 else ("sudo", "-n")
    try:
        return subprocess.run([*prefix, *command], capture_output=True, check=False)
    except FileNotFoundError as missing:
        return subprocess.CompletedProcess(command, 127, b"", str(missing).encode())


@contextmanager
def filled(disk: Path, leave: int = 0) -> Iterator[None]:
    """Nothing is free but `leave` octets."""
    filler = disk / "filler"
    room = os.statvfs(disk)
    with filler.open("wb", buffering=0) as file:
        try:
            for _ in range(max(0, room.f_bavail * room.f_frsize - leave) // 4096 + (0 if leave else 16)):
                file.write(bytes(4096))
        except OSError:
            pass  # full, as wished
    try:
        yield
    finally:
        filler.unlink()


def _try_to_send(server: Server, number: int, size: int) -> int:
    """The code of the last reply; a message that was not refused has its 250."""
    try:
        send(server, number, server.accounts["alice"].address, size=size)
    except smtplib.SMTPRecipientsRefused as refused:
        return max(code for code, _ in refused.recipients.values())
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
    return 250


def test_a_full_disk_refuses_for_now_and_loses_nothing(disk: Path) -> None:
    with running(disk, change=lambda text: f"{text}\n[limits]\nfree_disk_octets = 0\n") as server:
        client = imap(server, "bob")
        promised: set[int] = set()
        codes: list[int] = []
        with filled(disk):
            for number in range(1, 61):
                codes.append(_try_to_send(server, number, 4_000 if number % 2 else 40_000))
                if codes[-1] == 250:
                    promised.add(number)
            assert {code for code in codes if code != 250} <= {451, 452}
            assert codes[-2:] != [250, 250]
            answers = [client.append("INBOX", "", "", message(number, 200_000))[0] for number in range(1, 4)]
            assert answers == ["NO"] * 3
        wait_until(lambda: _try_to_send(server, 100, 40_000) == 250, lambda: server.log[-3000:])
        assert client.append("INBOX", "", "", message(100, 200_000))[0] == "OK"
        client.logout()
        assert numbers(server, "alice") == dict.fromkeys([*promised, 100], 1)
        assert numbers(server, "bob") == {100: 1}
        workers = server.workers()
        assert "worker.died" not in server.log, workers
        assert server.command("verify") == {"problems": []}


def test_below_the_low_water_mark_mail_is_refused_and_the_rest_works(disk: Path) -> None:
    with running(disk, change=lambda text: f"{text}\n[limits]\nfree_disk_octets = {8 * MIB}\n") as server:
        send(server, 1, server.accounts["alice"].address)
        with filled(disk, leave=4 * MIB):
            assert _try_to_send(server, 2, 4_000) == 452
            with imap(server, "alice") as client:
                assert client.append("INBOX", "", "", message(3))[0] == "NO"
                assert client.select("INBOX")[1] == [b"1"]
                assert client.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
                assert client.expunge()[0] == "OK"
        assert _try_to_send(server, 4, 4_000) == 250
        assert numbers(server, "alice") == {4: 1}


def test_a_read_only_disk_refuses_the_start_with_a_sentence(disk: Path) -> None:
    """A disk under open files cannot be remounted; what a server meets at run time is tested in tests/stores by a VFS that refuses."""
    with running(disk, change=lambda text: f"{text}\n[limits]\nfree_disk_octets = 0\n") as server:
        send(server, 1, server.accounts["alice"].address)
        assert server.stop() == 0
        assert _as_root("mount", "-o", "remount,ro", str(disk)).returncode == 0
        done = subprocess.run(
            [sys.executable, "-m", "sekisho.app", "serve", "-c", str(server.config_file)], capture_output=True, env=ENVIRONMENT, timeout=60
        )
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"Read-only file system" in done.stderr
        assert _as_root("mount", "-o", "remount,rw", str(disk)).returncode == 0
        restart(server)
        assert numbers(server, "alice") == {1: 1}
        send(server, 2, server.accounts["alice"].address)
        assert numbers(server, "alice") == {1: 1, 2: 1}
