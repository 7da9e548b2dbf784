#!/usr/bin/env python3
"""How much CPU does one received message cost? Starts a try-out server and sends it mail over loopback.

    bench/reception.py [--messages 4000] [--connections 20] [--per-connection 10] [--octets 4096] [--tls]
    [--json]

A message counts when its 250 has come: it is then durable and in the mailbox. CPU is that of the server's
whole process tree, read from /proc; what this load generator uses is not in it. With --tls each connection
makes a new handshake by STARTTLS.
"""

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            waiting += map(int, task.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its descendants, and those of them that have ended."""
    ticks = 0
    for member in process_tree(pid):
        after_name = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, after_name[11:15]))
    return ticks / TICKS


def pss_kilobytes(pid: int) -> int:
    total = 0
    for member in process_tree(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def message(octets: int) -> bytes:
    header = (
        b"From: Bench <bench@sender.example>\r\nTo: <alice@example.test>\r\nSubject: One of many messages\r\n"
        b"Date: Tue, 24 Nov 2026 05:30:00 +0000\r\nMessage-ID: <bench@sender.example>\r\nMIME-Version: "
        b"1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    line = b"The quick brown fox jumps over the lazy dog and then has a rest in the sun\r\n"
    return header + line * max((octets - len(header)) // len(line), 1)


class Generator:
    def __init__(self, arguments: argparse.Namespace, facts: dict[str, Any]) -> None:
        self._port = facts["ports"]["smtp"]
        self._content = message(arguments.octets) + b".\r\n"
        self._per_connection = arguments.per_connection
        self._left = arguments.messages
        self._tls: ssl.SSLContext | None = None
        if arguments.tls:
            self._tls = ssl.create_default_context(cafile=facts["ca_file"])
            self._tls.check_hostname = False
        self.latencies: list[float] = []

    async def run(self, connections: int) -> None:
        await asyncio.gather(*(self._connections() for _ in range(connections)))

    async def _connections(self) -> None:
        while self._left > 0:
            count = min(self._per_connection, self._left)
            self._left -= count
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            await self._expect(reader, b"220")
            writer.write(b"EHLO sender.example\r\n")
            await self._expect(reader, b"250")
            if self._tls is not None:
                writer.write(b"STARTTLS\r\n")
                await self._expect(reader, b"220")
                await writer.start_tls(self._tls, server_hostname="mx.example.test")
                writer.write(b"EHLO sender.example\r\n")
                await self._expect(reader, b"250")
            for _ in range(count):
                await self._send(reader, writer)
            writer.write(b"QUIT\r\n")
            await self._expect(reader, b"221")
            writer.close()

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = time.perf_counter()
        writer.write(b"MAIL FROM:<bench@sender.example>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
        for code in (b"250", b"250", b"354"):
            await self._expect(reader, code)
        writer.write(self._content)
        await self._expect(reader, b"250")
        self.latencies.append(time.perf_counter() - began)

    async def _expect(self, reader: asyncio.StreamReader, code: bytes) -> None:
        while True:
            line = await reader.readline()
            if not line.startswith(code):
                raise SystemExit(f"the server said {line!r} where {code.decode()} was expected")
            if line[3:4] == b" ":
                return


def measure(arguments: argparse.Namespace, facts: dict[str, Any]) -> dict[str, float | int | bool]:
    pid = facts["pid"]
    warm = argparse.Namespace(**{**vars(arguments), "messages": min(200, arguments.messages)})
    asyncio.run(Generator(warm, facts).run(arguments.connections))
    generator = Generator(arguments, facts)
    cpu, began = cpu_seconds(pid), time.perf_counter()
    asyncio.run(generator.run(arguments.connections))
    seconds, cpu = time.perf_counter() - began, cpu_seconds(pid) - cpu
    ordered = sorted(generator.latencies)
    return {
        "messages": len(ordered),
        "octets": arguments.octets,
        "connections": arguments.connections,
        "per_connection": arguments.per_connection,
        "tls": arguments.tls,
        "cpu_ms_per_message": round(cpu / len(ordered) * 1000, 3),
        "messages_per_second": round(len(ordered) / seconds),
        "latency_p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "latency_p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
        "pss_kilobytes": pss_kilobytes(pid),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--per-connection", type=int, default=10)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "sekisho.app",
            "try",
            "--json",
            "--dir",
            f"{folder}/try",
            "--base-port",
            "0",
        ]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            assert server.stdout is not None
            try:
                line = server.stdout.readline()
                if not line:
                    raise SystemExit("the try-out server did not start; run: sekisho try")
                result = measure(arguments, json.loads(line))
            finally:
                server.terminate()
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):>22}  {value}")


if __name__ == "__main__":
    main()
