"""The servers that `sekisho lab` rehearses with: a `serve` of its own in a folder, under a clock that
moves."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sekisho.adapters.certificates import write_certificates
from sekisho.adapters.labclock import VARIABLE, ClockMover
from sekisho.adapters.process.control import ControlProblem, ServerNotRunning, ask_server
from sekisho.config.load import load
from sekisho.config.problems import ConfigError
from sekisho.config.write import inline_table
from sekisho.faces.cli.handle import CommandError
from sekisho.lab.rehearse import rehearse
from sekisho.ports.lab import Rehearsal, RehearsalFailed, RunningServer, SceneResult, ServerOrder, Watcher
from sekisho.wiring.paths import control_socket

KINDS = ("smtp", "submission", "submissions", "imaps", "pop3s")
_LOCALES = {"en": "C.UTF-8", "ja": "ja_JP.UTF-8"}
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0


def play(asked: Rehearsal, watcher: Watcher) -> list[SceneResult]:
    """Raises ConfigError for a broken scene, CommandFailed when the lab cannot go on."""
    # Whoever ends the lab ends its servers: what a person's Ctrl-C does, SIGTERM does too.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return rehearse(asked, start_server, watcher)
    except RehearsalFailed as failed:
        raise CommandError(failed.text, **failed.values) from failed
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server:
    """`ports.lab.RunningServer`."""

    def __init__(self, order: ServerOrder) -> None:
        self.folder = order.folder
        self.ca_file = order.folder / "ca.pem"
        self.journal_file = order.folder / "journal.log"
        self.config_file = order.folder / "sekisho.toml"
        self.ports: Mapping[str, int] = _free_ports(order.host)
        self._order = order
        self._clock = ClockMover(order.folder / "clock")
        self._clock.move(order.offset_us)
        self._environment = {**os.environ, VARIABLE: str(order.folder / "clock")}

    def move_clock(self, offset_us: int) -> None:
        self._clock.move(offset_us)

    async def ask(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        request = json.dumps({"operation": operation, "arguments": arguments}).encode()
        try:
            answer = json.loads(await asyncio.to_thread(self._ask, request))
        except (ServerNotRunning, ControlProblem, OSError) as error:
            raise RehearsalFailed("The server does not answer: {reason}", reason=str(error)) from error
        if answer.get("refused"):
            refused = answer["refused"]
            raise RehearsalFailed(
                "{operation}: {reason}",
                operation=operation,
                reason=refused["text"].format(**refused.get("values", {})),
            )
        if answer.get("fault"):
            raise RehearsalFailed(
                "{operation}: {reason}", operation=operation, reason=f"fault {answer['fault']}"
            )
        return answer.get("result")

    def _ask(self, request: bytes) -> bytes:
        with ask_server(self._control) as ask:
            return ask(request)

    async def command(self, arguments: Sequence[str], stdin: str = "") -> tuple[int, str]:
        program = [sys.executable, "-m", "sekisho.app", *arguments]
        environment = {
            **self._environment,
            "SEKISHO_CONFIG": str(self.config_file),
            "LC_ALL": _LOCALES[self._order.language],
        }
        process = await asyncio.create_subprocess_exec(
            *program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        output, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, output.decode("utf-8", "replace")

    def prepare(self) -> None:
        """The folder: certificates and sekisho.toml. Raises RehearsalFailed when the scene's settings do not
        fit."""
        order = self._order
        write_certificates(order.folder, (order.hostname, order.host), datetime.now(UTC))
        listeners = [
            {
                "kind": kind,
                "address": order.host,
                "port": port,
                "proxy_from": [f"{_proxy_source(order.host)}/32"],
            }
            for kind, port in self.ports.items()
        ]
        tables: dict[str, Any] = {
            "hostname": order.hostname,
            "data_dir": "data",
            "listeners": listeners,
            "certificates": [{"cert_file": "cert.pem", "key_file": "key.pem"}],
            "log": {"format": "json", "file": "journal.log"},
            **order.tables,
        }
        text = "".join(f"{json.dumps(name)} = {inline_table(value)}\n" for name, value in tables.items())
        self.config_file.write_text(text, "utf-8")
        try:
            config = load(self.config_file).config
        except ConfigError as error:
            raise RehearsalFailed("The scene's settings do not fit: {reason}", reason=str(error)) from error
        self._control = control_socket(config)

    def start(self) -> "subprocess.Popen[bytes]":
        """Returns when it says that it is ready; raises RehearsalFailed."""
        address = str(self.folder / "notify")
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
            (self.folder / "serve.err").open("ab") as errors,
        ):
            manager.bind(address)
            manager.settimeout(0.1)
            process = subprocess.Popen(
                [sys.executable, "-m", "sekisho.app", "serve", "-c", str(self.config_file)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**self._environment, "NOTIFY_SOCKET": address},
                start_new_session=True,
            )
            for _ in range(int(_READY_SECONDS / 0.1)):
                try:
                    if b"READY=1" in manager.recv(4096):
                        return process
                except TimeoutError:
                    if process.poll() is not None:
                        break
        _end(process)
        raise RehearsalFailed(
            "The server did not start: {reason}",
            reason=(self.folder / "serve.err").read_text("utf-8", "replace")[-2000:],
        )


@asynccontextmanager
async def start_server(order: ServerOrder) -> AsyncIterator[RunningServer]:
    """`ports.lab.StartServer`. Whatever happens, nothing of it is left running."""
    order.folder.mkdir(parents=True, exist_ok=True)
    if any(order.folder.iterdir()):
        raise RehearsalFailed(
            "{folder} is not empty; name another folder with --keep.", folder=str(order.folder)
        )
    server = _Server(order)
    server.prepare()
    process = await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        await asyncio.to_thread(_end, process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_ports(host: str) -> dict[str, int]:
    # Held open together so that none is given twice; nobody else uses this address.
    sockets = [socket.create_server((host, 0)) for _ in KINDS]
    try:
        return {kind: int(held.getsockname()[1]) for kind, held in zip(KINDS, sockets, strict=True)}
    finally:
        for held in sockets:
            held.close()


def _proxy_source(host: str) -> str:
    """The lab's address that speaks for strangers: the one after the server's."""
    first, _, last = host.rpartition(".")
    return f"{first}.{int(last) + 1}"
