"""A whole sekisho as its users start it: a process of its own, real sockets, a folder in a temporary
place."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_SECONDS = 60  # of a loaded machine; the aim of one second is the benchmark's business
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


@dataclass(frozen=True)
class Account:
    address: str
    password: str


@dataclass
class Server:
    """A running server. `process` is the supervisor."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    ports: dict[str, int]
    accounts: dict[str, Account]  # by local part
    ca_file: Path
    log_file: Path

    @property
    def config_file(self) -> Path:
        return self.folder / "sekisho.toml"

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def workers(self) -> list[int]:
        """Process ids of the living workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def command(self, *arguments: str, stdin: str = "") -> Any:
        """`sekisho ARGUMENTS -c … --json`, parsed; fails with its words."""
        return sekisho(*arguments, "-c", str(self.config_file), "--json", stdin=stdin)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def sekisho(*arguments: str, stdin: str = "") -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "sekisho.app", *arguments],
        input=stdin.encode(),
        capture_output=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout) if done.stdout.strip() else None


@contextmanager
def running(folder: Path, *arguments: str, change: Callable[[str], str] | None = None) -> Iterator[Server]:
    """`sekisho try --dir folder`; with `change`, the TOML of a first start is edited and `serve -c` runs on
    it instead.

    The log goes to `folder`.log. Whatever the test did, nothing of it is left running.
    """
    log_file = folder.with_name(folder.name + ".log")
    server = start(
        folder, log_file, "try", "--dir", str(folder), "--json", *(arguments or ("--base-port", "0"))
    )
    try:
        if change is not None:
            assert server.stop() == 0, server.log
            server.config_file.write_text(change(server.config_file.read_text()))
            restart(server)
        yield server
    finally:
        kill_tree(server.process)


def start(folder: Path, log_file: Path, *command: str) -> Server:
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sekisho.app", *command],
            stdout=subprocess.PIPE,
            stderr=log,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        kill_tree(process)
        raise AssertionError(f"the server did not start\n{log_file.read_text()}")
    ready: Mapping[str, Any] = json.loads(line)
    accounts = {
        a["address"].partition("@")[0]: Account(a["address"], a["password"]) for a in ready["accounts"]
    }
    return Server(
        process=process,
        folder=folder,
        ports=dict(ready["ports"]),
        accounts=accounts,
        ca_file=Path(ready["ca_file"]),
        log_file=log_file,
    )


def restart(server: Server) -> None:
    """`serve -c` on the same folder, after the process ended or was killed; returns when it says that it is
    ready."""
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{place}/notify")
        manager.settimeout(START_SECONDS)
        with server.log_file.open("ab") as log:
            server.process = subprocess.Popen(
                [sys.executable, "-m", "sekisho.app", "serve", "-c", str(server.config_file)],
                stdout=log,
                stderr=log,
                env={**ENVIRONMENT, "NOTIFY_SOCKET": f"{place}/notify"},
                start_new_session=True,
            )
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
        except TimeoutError:
            raise AssertionError(f"the server did not get ready\n{server.log[-3000:]}") from None


def is_listening(port: int, address: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((address, port), 5) as sock:
            return sock.fileno() >= 0
    except OSError:
        return False


def wait_until(
    done: Callable[[], bool], explain: Callable[[], str] = str, seconds: float = START_SECONDS
) -> None:
    """For what another process does: asks again every 20 ms, fails after a generous time."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(30)
    if process.stdout is not None:
        process.stdout.close()
