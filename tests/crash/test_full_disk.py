"""A disk without room: refused for now, nothing promised is lost, and it goes on when there is room again."""

import os
import resource
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.crash.clients import imap, message, numbers, route_to, send, submit
from tests.crash.sink import running_sink
from tests.system.server import ENVIRONMENT, Server, restart, running, wait_until

from sekisho.services.smtp.transaction import ROOM_SECONDS

pytestmark = pytest.mark.slow
MIB = 1_048_576


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB on memory, which only root can mount."""
    folder = tmp_path / "try"
    folder.mkdir()
    mounted = _as_root(
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size=32m,mode=0755,uid={os.getuid()},gid={os.getgid()}",
        "tmpfs",
        str(folder),
    )
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
            # Each worker believes for a moment what it last heard of the disk.
            heard = time.monotonic()
            wait_until(lambda: time.monotonic() > heard + 2 * ROOM_SECONDS, lambda: server.log[-3000:])
            assert _try_to_send(server, 2, 4_000) == 452
            with imap(server, "alice") as client:
                assert client.append("INBOX", "", "", message(3))[0] == "NO"
                assert client.select("INBOX")[1] == [b"1"]
                assert client.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
                assert client.expunge()[0] == "OK"
        assert _try_to_send(server, 4, 4_000) == 250
        assert numbers(server, "alice") == {4: 1}


def test_a_read_only_disk_refuses_the_start_with_a_sentence(disk: Path) -> None:
    """A disk under open files cannot be remounted; what a server meets at run time is tested in tests/stores
    by a VFS that refuses."""
    with running(disk, change=lambda text: f"{text}\n[limits]\nfree_disk_octets = 0\n") as server:
        send(server, 1, server.accounts["alice"].address)
        assert server.stop() == 0
        assert _as_root("mount", "-o", "remount,ro", str(disk)).returncode == 0
        done = subprocess.run(
            [sys.executable, "-m", "sekisho.app", "serve", "-c", str(server.config_file)],
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
        )
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"Read-only file system" in done.stderr
        assert _as_root("mount", "-o", "remount,rw", str(disk)).returncode == 0
        restart(server)
        assert numbers(server, "alice") == {1: 1}
        send(server, 2, server.accounts["alice"].address)
        assert numbers(server, "alice") == {1: 1, 2: 1}


def test_a_disk_that_refuses_every_write_is_met_with_not_now(tmp_path: Path) -> None:
    """Workers and their log may not write into any file for a while, as when a file system turned
    read-only."""
    with running(tmp_path / "try", change=lambda text: f"{text}\n[limits]\nfree_disk_octets = 0\n") as server:
        client = imap(server, "bob")
        with numb(server.workers()):
            codes = [_try_to_send(server, number, size) for number, size in enumerate((4_000, 40_000) * 5, 1)]
            assert set(codes) <= {451, 452}
            assert client.append("INBOX", "", "", message(1, 40_000))[0] == "NO"
            assert client.append("INBOX", "", "", message(2, 4_000))[0] == "NO"
            assert client.select("INBOX")[0] == "OK"
        assert _try_to_send(server, 100, 40_000) == 250
        assert client.append("INBOX", "", "", message(100, 40_000))[0] == "OK"
        client.logout()
        assert numbers(server, "alice") == {100: 1}
        assert numbers(server, "bob") == {100: 1}
        assert "worker.died" not in server.log
        assert server.command("verify") == {"problems": []}


@contextmanager
def numb(pids: list[int], octets: int = 0) -> Iterator[None]:
    """Every write of these processes into a file fails (EFBIG) beyond its first `octets`."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_what_was_relayed_and_cannot_be_written_down_is_not_sent_again(tmp_path: Path) -> None:
    with (
        running_sink() as sink,
        running(tmp_path / "try", change=lambda text: route_to(sink.port, text)) as server,
        ExitStack() as stack,
    ):
        write_ahead_log = server.folder / "data" / "mail.db-wal"

        def take_and_fill(_number: int, _port: int) -> bytes:
            # The log of entries is shorter and goes on.
            stack.enter_context(numb(server.workers(), write_ahead_log.stat().st_size))
            return b"250 2.0.0 taken"

        sink.behave = take_and_fill
        submit(server, 1, "friend@remote.test")
        wait_until(lambda: "queue.store_unavailable" in server.log, lambda: server.log[-3000:])
        stack.close()
        wait_until(lambda: not server.command("queue", "list"), lambda: server.log[-3000:])
        assert sink.taken == {(1, "friend@remote.test"): 1}
