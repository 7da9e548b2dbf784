#!/usr/bin/env python3
"""Does the relay keep up with submission? Mail comes in over TLS, is signed, queued and relayed to a sink.

    bench/relay.py [--messages 2000] [--connections 20] [--per-connection 1,10] [--rounds 3] [--guard observe]
    bench/relay.py --against ../other      the same of another checkout, in turn, and the ratio of each round
    bench/relay.py --profile 10            where the time goes, by a sampling profile (needs py-spy)

One worker; 4 KB of text to one recipient elsewhere, all of it in the name of one account, so the guard
observes (enforcing, it would hold thousands of messages of one account). CPU is that of the server's whole
process tree, from the first connection until the sink has the last message and the queue is empty; the load
generator and the sink are not in it. "out" is messages a second until the sink has the last; "left" is how
many of them it still lacked when the last was accepted.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reception import ROOT, cpu_seconds, process_tree

AUTHOR = "alice@example.test"
WORDS = "minutes of the meeting next week about the garden festival please bring your own chair and some tea"


# -- where it goes -------------------------------------------------------------------------------------------


class Sink(asyncio.Protocol):
    """Takes everything. `count` is how many messages it has."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer, self._in_content = transport, b"", False
        transport.write(b"220 sink.test\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = []
        while True:
            end = b"\r\n.\r\n" if self._in_content else b"\r\n"
            head, found, rest = self._buffer.partition(end)
            if not found:
                break
            self._buffer = rest
            answers.append(b"250 2.0.0 ok\r\n" if self._in_content else self._answer(head))
            if self._in_content:
                Sink.count += 1
            self._in_content = answers[-1].startswith(b"354")
        if answers:
            self._transport.write(b"".join(answers))

    def _answer(self, line: bytes) -> bytes:
        word = line[:4].upper()
        if word == b"EHLO":
            return b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
        return (
            b"354 go on\r\n"
            if word == b"DATA"
            else b"221 2.0.0 bye\r\n"
            if word == b"QUIT"
            else b"250 2.0.0 ok\r\n"
        )


async def serve_sink() -> None:
    """Prints its port, and then its count for each line that it reads."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(Sink.count, flush=True)


class SinkProcess:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdout is not None and process.stdin is not None
        self._answers, self._questions = process.stdout, process.stdin
        self.port = int(self._answers.readline())

    def count(self) -> int:
        print(file=self._questions, flush=True)
        return int(self._answers.readline())


# -- the server ----------------------------------------------------------------------------------------------


class Server:
    """A try-out server of a checkout with one worker, a DKIM key, and the sink as its next hop."""

    def __init__(self, name: str, checkout: Path, folder: Path, sink: SinkProcess, guard: str) -> None:
        self.name, self.sink, self._folder = name, sink, folder
        python = checkout / ".venv" / "bin" / "python"
        self._python = str(python) if python.exists() else sys.executable
        self.environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
        command = [*self._program, "try", "--json", "--dir", str(folder), "--base-port", "0"]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as made:
            assert made.stdout is not None
            line = made.stdout.readline()
            made.terminate()
        if not line:
            raise SystemExit(f"the try-out server of {checkout} did not start; run: sekisho try")
        facts: dict[str, Any] = json.loads(line)
        self.port: int = facts["ports"]["submissions"]
        self.password = next(
            account["password"] for account in facts["accounts"] if account["address"] == AUTHOR
        )
        self.tls = ssl.create_default_context(cafile=facts["ca_file"])
        self.tls.check_hostname = False
        config = folder / "sekisho.toml"
        plain = re.sub(r"(?m)^workers *=.*\n", "", config.read_text())
        relay = f'[relay]\nroutes = {{ "*" = "127.0.0.1:{sink.port}" }}\n'
        config.write_text(
            f'workers = 1\n{plain}\n{relay}[guard]\nmode = "{guard}"\n[limits]\nconnections_per_ip = 500\n'
        )
        self._config = str(config)
        for words in (("dkim", "add"), ("dkim", "rotate", "--force")):
            done = [*self._program, *words, "example.test", "-c", self._config]
            subprocess.run(done, env=self.environment, check=True, capture_output=True)

    @property
    def _program(self) -> list[str]:
        return [self._python, "-m", "sekisho.app"]

    @contextmanager
    def running(self) -> Iterator["Server"]:
        place = self._folder / "notify"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
            (self._folder / "serve.err").open("ab") as errors,
        ):
            manager.bind(str(place))
            manager.settimeout(60)
            environment = {**self.environment, "NOTIFY_SOCKET": str(place)}
            command = [*self._program, "serve", "-c", self._config]
            with subprocess.Popen(command, env=environment, stdout=errors, stderr=errors) as process:
                self.pid = process.pid
                try:
                    while b"READY=1" not in manager.recv(4096):
                        pass
                    yield self
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.wait(30)


# -- the load ------------------------------------------------------------------------------------------------


class Load:
    """Sends `total` messages over `connections`, so many of them by each."""

    def __init__(self, server: Server, per_connection: int, octets: int) -> None:
        self._server, self._per_connection, self._octets = server, per_connection, octets
        self._login = base64.b64encode(f"\0{AUTHOR}\0{server.password}".encode())
        self._dice = random.Random(per_connection)
        self._left = 0
        words = WORDS.split()
        self._lines = [" ".join(self._dice.choices(words, k=11)) + "\r\n" for _ in range(300)]

    def run(self, total: int, connections: int) -> None:
        self._left = total

        async def all_of_them() -> None:
            await asyncio.gather(*(self._connections() for _ in range(connections)))

        asyncio.run(all_of_them())

    def _letter(self) -> bytes:
        head = (
            f"From: Alice <{AUTHOR}>\r\nTo: <friend@sink.test>\r\nSubject: {self._dice.choice(self._lines)}"
            "Date: Tue, 24 Nov 2026 05:30:00 +0000\r\n"
            f"Message-ID: <{self._dice.getrandbits(64):x}@example.test>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        )
        lines = self._dice.choices(self._lines, k=self._octets // 70)
        return (head + "".join(lines) + ".\r\n").encode()

    async def _connections(self) -> None:
        while self._left > 0:
            count = min(self._per_connection, self._left)
            self._left -= count
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._server.port, ssl=self._server.tls, server_hostname="mx.example.test"
            )
            await expect(reader, b"220")
            writer.write(b"EHLO [127.0.0.1]\r\n")
            await expect(reader, b"250")
            writer.write(b"AUTH PLAIN %b\r\n" % self._login)
            await expect(reader, b"235")
            for _ in range(count):
                writer.write(f"MAIL FROM:<{AUTHOR}>\r\nRCPT TO:<friend@sink.test>\r\nDATA\r\n".encode())
                for code in (b"250", b"250", b"354"):
                    await expect(reader, code)
                writer.write(self._letter())
                await expect(reader, b"250")
            writer.write(b"QUIT\r\n")
            await expect(reader, b"221")
            writer.close()


async def expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await reader.readline()
        if not line.startswith(code):
            raise SystemExit(f"the server said {line!r} where {code.decode()} was expected")
        if line[3:4] == b" ":
            return


# -- measuring -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Run:
    cpu_ms: float
    in_per_second: float
    out_per_second: float
    left: int


def measure(server: Server, per_connection: int, arguments: argparse.Namespace) -> Run:
    load, count = Load(server, per_connection, arguments.octets), arguments.messages
    warm = min(200, count)
    before = server.sink.count()
    load.run(warm, arguments.connections)
    wait_for(server.sink, before + warm)
    before = server.sink.count()
    cpu, began = cpu_seconds(server.pid), time.perf_counter()
    load.run(count, arguments.connections)
    accepted = time.perf_counter() - began
    left = before + count - server.sink.count()
    wait_for(server.sink, before + count)
    delivered = time.perf_counter() - began
    time.sleep(0.3)  # what became of the last is still to be written down
    cpu = cpu_seconds(server.pid) - cpu
    return Run(
        cpu_ms=cpu / count * 1000, in_per_second=count / accepted, out_per_second=count / delivered, left=left
    )


def wait_for(sink: SinkProcess, count: int) -> None:
    until = time.monotonic() + 60
    while sink.count() < count:
        if time.monotonic() > until:
            raise SystemExit("the sink did not get everything within a minute")
        time.sleep(0.01)


def profile(server: Server, per_connection: int, arguments: argparse.Namespace) -> None:
    """Shares of the samples of what held the interpreter lock, by our innermost file and by function."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    load = Load(server, per_connection, arguments.octets)
    load.run(200, arguments.connections)
    worker = process_tree(server.pid)[-1]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "raw"
        command = [
            spy,
            "record",
            "--gil",
            "-f",
            "raw",
            "-r",
            "250",
            "-d",
            str(arguments.profile),
            "-o",
            str(out),
            "-p",
            str(worker),
        ]
        watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while watcher.poll() is None:
            load.run(400, arguments.connections)
        stacks = [line.rpartition(" ") for line in out.read_text().splitlines()]
    for title, place_of in (("by file", _file), ("inclusive", None)):
        shares: dict[str, int] = {}
        for stack, _, number in stacks:
            places = (
                [place_of(stack)]
                if place_of is not None
                else set(re.findall(r"\w+ \(sekisho/[\w/]+\.py", stack))
            )
            for place in places:
                shares[place] = shares.get(place, 0) + int(number)
        total = sum(int(number) for _, _, number in stacks)
        print(f"-- {title}")
        for place, count in sorted(shares.items(), key=lambda item: -item[1])[:60]:
            print(f"{count / total:6.1%}  {place}")


def _file(stack: str) -> str:
    found = re.findall(r"sekisho/([a-z0-9_/]+\.py)", stack)
    return found[-1] if found else "others"


@contextmanager
def sinking() -> Iterator[SinkProcess]:
    command = [sys.executable, __file__, "--sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield SinkProcess(process)
        finally:
            process.terminate()


def report(found: dict[tuple[int, str], list[Run]], names: list[str], *, as_json: bool) -> None:
    rows = []
    for (per_connection, name), runs in found.items():
        row: dict[str, Any] = {"per_connection": per_connection, "server": name}
        row |= {
            key: round(statistics.median(getattr(run, key) for run in runs), 2)
            for key in Run.__dataclass_fields__
        }
        if name != names[-1]:
            others = found[per_connection, names[-1]]
            ratios = [run.cpu_ms / other.cpu_ms for run, other in zip(runs, others, strict=True)]
            row["ratio"] = [
                round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))
            ]
        rows.append(row)
    if as_json:
        print(json.dumps(rows))
        return
    print(
        f"{'a connection':>12} {'server':>8} {'CPU-ms':>7} {'in/s':>6} {'out/s':>6} {'left':>6}  ratio of CPU"
    )
    for row in rows:
        ratio = "{:.2f} ({:.2f}-{:.2f})".format(*row["ratio"]) if "ratio" in row else ""
        rates = f"{row['in_per_second']:>6.0f} {row['out_per_second']:>6.0f} {row['left']:>6.0f}"
        print(f"{row['per_connection']:>12} {row['server']:>8} {row['cpu_ms']:>7.2f} {rates}  {ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--per-connection", default="1,10")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--guard", choices=("observe", "enforce", "off"), default="observe")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--profile", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        asyncio.run(serve_sink())
        return
    checkouts = {"this": ROOT} | ({"against": arguments.against.resolve()} if arguments.against else {})
    each = [int(number) for number in arguments.per_connection.split(",")]
    found: dict[tuple[int, str], list[Run]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = []
        for name, checkout in checkouts.items():
            sink = stack.enter_context(sinking())
            made = Server(name, checkout, folder / name, sink, arguments.guard)
            servers.append(stack.enter_context(made.running()))
        if arguments.profile:
            profile(servers[0], each[-1], arguments)
            return
        for per_connection in each:
            for _ in range(arguments.rounds):
                for server in servers:
                    found.setdefault((per_connection, server.name), []).append(
                        measure(server, per_connection, arguments)
                    )
    report(found, list(checkouts), as_json=arguments.json)


if __name__ == "__main__":
    main()
