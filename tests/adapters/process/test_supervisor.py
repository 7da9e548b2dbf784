"""The supervisor as a program of its own, driven by signals and sockets."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SERVING = Path(__file__).with_name("serving.py")
PATIENCE = 60.0


class Program:
    def __init__(self, data_dir: Path, environment: dict[str, str], **options: Any) -> None:
        self.data_dir = data_dir
        self.said: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, str(SERVING), json.dumps({"data_dir": str(data_dir), **options})],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        )

    def until(self, kind: str) -> dict[str, Any]:
        """Read what it says up to an entry of this kind."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))
            if self.said[-1]["kind"] == kind:
                return self.said[-1]
        raise AssertionError(f"it ended without saying {kind}: {self.said}")

    def until_death_of(self, pid: int) -> dict[str, Any]:
        """On a busy machine others may have been found hanging too."""
        while (died := self.until("worker.died"))["pid"] != pid:
            pass
        return died

    def ready(self) -> "Program":
        self.port: int = self.until("ready")["ports"]["smtp"]
        return self

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def deaths(self) -> list[list[str]]:
        path = self.data_dir / "deaths"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


class Talk:
    """One connection to a worker."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self._socket.makefile("rwb")
        self.slot, self.incarnation, self.pid = map(int, self._file.readline().split())

    def ask(self, word: str) -> str:
        self.say(word)
        return self._file.readline().decode().strip()

    def say(self, word: str) -> None:
        self._file.write(word.encode() + b"\n")
        self._file.flush()

    def wait_for_end(self) -> None:
        try:
            while self._socket.recv(100):
                pass
        except ConnectionResetError:
            pass

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def every_slot(port: int, slots: int = 2) -> dict[int, Talk]:
    """A connection to each worker: the kernel spreads them by its hash."""
    found: dict[int, Talk] = {}
    while len(found) < slots:
        talk = Talk(port)
        if talk.slot in found:
            talk.close()
        else:
            found[talk.slot] = talk
    return found


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start_one(environment: dict[str, str] | None = None, **options: Any) -> Program:
        started.append(Program(tmp_path / "data", environment or {}, **options))
        return started[-1]

    yield start_one
    for program in started:
        program.process.kill()
        program.process.wait()


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_starts_serves_and_stops(start: Callable[..., Program], event_loop: str) -> None:
    program = start(event_loop=event_loop).ready()
    workers = every_slot(program.port)
    assert len({talk.pid for talk in workers.values()}) == 2
    assert all(talk.ask("ping") == "pong" for talk in workers.values())
    assert program.stop() == 0
    assert all(is_gone(talk.pid) for talk in workers.values())
    assert (program.data_dir / "prepared").exists()


def test_interrupt_stops_too(start: Callable[..., Program]) -> None:
    program = start().ready()
    program.signal(signal.SIGINT)
    assert program.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("how", ["kill", "crash"])
def test_dead_worker_is_replaced_on_its_slot(start: Callable[..., Program], how: str) -> None:
    program = start().ready()
    before = every_slot(program.port)
    if how == "kill":
        os.kill(before[1].pid, signal.SIGKILL)
    else:
        before[1].say("crash")
    died = program.until("worker.died")
    assert (died["slot"], died["pid"], died["hung"]) == (1, before[1].pid, 0)
    assert died["status"] == (-9 if how == "kill" else 9)
    after = every_slot(program.port)
    assert after[0].pid == before[0].pid
    assert after[1].incarnation > before[1].incarnation
    wait_until(program.deaths)
    assert program.deaths() == [["1", str(before[1].incarnation)]]


@pytest.mark.slow
def test_hung_worker_says_where_and_is_replaced(start: Callable[..., Program]) -> None:
    program = start(heartbeat_seconds=2.0).ready()
    before = every_slot(program.port)
    before[0].say("hang")
    assert program.until_death_of(before[0].pid)["slot"] == 0
    assert every_slot(program.port)[0].incarnation > before[0].incarnation


@pytest.mark.slow
def test_stopped_worker_is_killed(start: Callable[..., Program]) -> None:
    program = start(heartbeat_seconds=2.0).ready()
    before = every_slot(program.port)
    os.kill(before[1].pid, signal.SIGSTOP)
    died = program.until_death_of(before[1].pid)
    assert (died["slot"], died["status"], died["hung"]) == (1, -9, 1)
    assert every_slot(program.port)[1].incarnation > before[1].incarnation


def test_workers_end_with_their_supervisor_and_a_new_one_starts(start: Callable[..., Program]) -> None:
    program = start().ready()
    workers = every_slot(program.port)
    program.process.kill()
    program.process.wait()
    for talk in workers.values():
        wait_until(lambda talk=talk: is_gone(talk.pid))
    start().ready()


@pytest.mark.slow
def test_a_new_supervisor_waits_for_orphans(start: Callable[..., Program]) -> None:
    program = start(refuse_to_stop=True, stop_seconds=1.0, heartbeat_seconds=2.0).ready()
    workers = every_slot(program.port)
    program.process.kill()
    start().ready()
    assert all(is_gone(talk.pid) for talk in workers.values())


def test_worker_that_does_not_stop_is_killed(start: Callable[..., Program]) -> None:
    program = start(refuse_to_stop=True, stop_seconds=0.2).ready()
    assert program.stop() == 0


def test_workers_that_die_at_once_end_the_start(start: Callable[..., Program]) -> None:
    program = start(die_at_once=True, workers=1)
    program.until("server.failed")
    assert program.process.wait(PATIENCE) == 1
    assert [said["status"] for said in program.said if said["kind"] == "worker.died"] == [7] * 5


def test_one_instance_per_data_directory(start: Callable[..., Program]) -> None:
    first = start().ready()
    second = start()
    problems = second.until("refused")["problems"]
    assert f"process {first.process.pid}" in problems
    assert second.process.wait(PATIENCE) == 1


def test_ports_in_use_are_all_named(start: Callable[..., Program]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as second,
    ):
        ports = [sock.getsockname()[1] for sock in (first, second)]
        listeners = [
            ["smtp", "127.0.0.1", ports[0], False],
            ["imap", "127.0.0.1", ports[1], False],
            ["pop3", "192.0.2.99", 0, False],
        ]
        lines = start(listeners=listeners).until("refused")["problems"].splitlines()
    assert lines[0].startswith(f"listener smtp: 127.0.0.1 port {ports[0]} is in use")
    assert lines[1].startswith(f"listener imap: 127.0.0.1 port {ports[1]} is in use")
    assert "no such address" in lines[2]
    assert len(lines) == 3


def test_preparation_can_refuse(start: Callable[..., Program]) -> None:
    assert (
        start(refuse="the database is newer than this program").until("refused")["problems"]
        == "the database is newer than this program"
    )


def test_preparation_that_crashes_refuses(start: Callable[..., Program]) -> None:
    assert "status 1" in start(prepare_crashes=True).until("refused")["problems"]


def test_reload_reaches_all_and_a_broken_one_none(start: Callable[..., Program]) -> None:
    program = start().ready()
    workers = every_slot(program.port)
    large = "x" * 1_000_000
    steps = {
        large: "config.reloaded",
        "broken": "this is broken",
        "crash": "a bug in the reader",
        "second": "config.reloaded",
    }
    for text, answer in steps.items():
        (program.data_dir / "settings").write_text(text)
        program.signal(signal.SIGHUP)
        if answer == "config.reloaded":
            program.until(answer)
        else:
            assert answer in program.until("config.refused")["problems"]
    for talk in workers.values():
        wait_until(lambda talk=talk: json.loads(talk.ask("reloads")) == [large, "second"])


def test_upgrade_keeps_process_and_port(start: Callable[..., Program]) -> None:
    program = start(listeners=[["smtp", "127.0.0.1", 0, False], ["metrics", "127.0.0.1", 0, True]]).ready()
    before, port = every_slot(program.port), program.port
    program.signal(signal.SIGUSR2)
    program.until("server.upgrade")
    waiting = socket.create_connection(
        ("127.0.0.1", port), timeout=PATIENCE
    )  # it waits in the backlog if nobody accepts just now
    assert program.until("ready") == {
        "kind": "ready",
        "ports": program.said[0]["ports"],
        "pid": program.process.pid,
    }
    after = every_slot(port)
    assert {talk.pid for talk in after.values()}.isdisjoint({talk.pid for talk in before.values()})
    waiting.close()
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(program.data_dir / "run" / "local.sock"))
        assert local.recv(100)
    assert program.stop() == 0


def test_no_upgrade_to_a_broken_configuration(start: Callable[..., Program]) -> None:
    program = start().ready()
    talk = Talk(program.port)
    (program.data_dir / "settings").write_text("broken")
    program.signal(signal.SIGUSR2)
    program.until("config.refused")
    assert talk.ask("ping") == "pong"


def test_two_slots_share_one_port(start: Callable[..., Program]) -> None:
    program = start(listeners=[["smtp", "::1", 0, False]])
    port = program.until("ready")["ports"]["smtp"]
    with socket.create_connection(("::1", port), timeout=PATIENCE) as sock:
        assert sock.recv(100)


def test_systemd_is_told(start: Callable[..., Program], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        program = start({"NOTIFY_SOCKET": str(tmp_path / "notify")}).ready()
        assert systemd.recv(200) == f"READY=1\nMAINPID={program.process.pid}".encode()
        (program.data_dir / "settings").write_text("x")
        program.signal(signal.SIGHUP)
        assert systemd.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.recv(200) == b"READY=1"
        program.signal(signal.SIGTERM)
        assert systemd.recv(200) == b"STOPPING=1"


ACTIVATOR = """
import os, socket, sys
sock = socket.socket()
if sys.argv[1] == "shared":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
sock.bind(("127.0.0.1", int(sys.argv[2])))
sock.listen()
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@pytest.mark.parametrize("reuse", ["shared", "single"])
def test_systemd_gives_the_socket(tmp_path: Path, reuse: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"data_dir": str(tmp_path / "data"), "listeners": [["smtp", "127.0.0.1", port, False]]}
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATOR, reuse, str(port), str(SERVING), json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ports"]["smtp"] == port
        assert Talk(port).ask("ping") == "pong"
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root's rights")
def test_workers_are_not_root(start: Callable[..., Program], tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    assert (
        "Permission denied" in start(user="nobody").until("refused")["problems"]
    )  # pytest's directories are root's alone
    for directory in (tmp_path, *tmp_path.parents):
        if directory.name.startswith(("pytest-", "popen-", tmp_path.name)):
            directory.chmod(0o755)
    program = start(user="nobody").ready()
    assert Talk(program.port).ask("uid") == str(nobody)
    assert (program.data_dir / "prepared").read_text() == str(nobody)
    assert program.data_dir.stat().st_uid == nobody


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root's rights")
def test_an_unknown_user_is_named(start: Callable[..., Program]) -> None:
    assert "'nosuchuser'" in start(user="nosuchuser").until("refused")["problems"]
