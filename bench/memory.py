#!/usr/bin/env python3
"""How much memory does sekisho take, and how fast does it start and wake? Starts servers with their data in a
temporary folder.

    bench/memory.py [--idle 1000] [--json]

Reported: seconds from start to listening; PSS idle with one worker, supervisor included; what 1,000 idle IMAP
IDLE connections over TLS add; how long after a delivery through one worker an IDLE on the other worker hears
of it.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import smtplib
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from reception import pss_kilobytes

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


@contextmanager
def server(folder: Path, workers: int) -> Iterator[tuple[int, dict[str, Any], float]]:
    """(pid, what `try --json` said, seconds to listening), with so many workers and room for the
    connections."""
    base = [sys.executable, "-m", "sekisho.app"]
    first = subprocess.Popen(
        [*base, "try", "--dir", str(folder), "--base-port", "0", "--json"],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    assert first.stdout is not None
    ready = json.loads(first.stdout.readline())
    first.send_signal(signal.SIGTERM)
    first.wait(30)
    config = folder / "sekisho.toml"
    text = re.sub(r"(?m)^workers = \d+", f"workers = {workers}", config.read_text())
    config.write_text(text + "\n[limits]\nconnections_per_ip = 5000\n")
    began = time.monotonic()
    process = subprocess.Popen(
        [*base, "try", "--dir", str(folder), "--json"],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    started = time.monotonic() - began
    try:
        yield process.pid, ready, started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def idle_connection(
    ready: dict[str, Any], context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    account = ready["accounts"][0]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", ready["ports"]["imaps"], ssl=context, server_hostname="localhost"
    )
    await reader.readline()
    for number, command in enumerate((f'LOGIN {account["address"]} "{account["password"]}"', "SELECT INBOX")):
        writer.write(f"{number} {command}\r\n".encode())
        while not (line := await reader.readline()).startswith(b"%d " % number):
            assert line, "the server closed the connection"
        assert b" OK" in line, line
    writer.write(b"i IDLE\r\n")
    assert (await reader.readline()).startswith(b"+")
    return reader, writer


async def idle_memory(pid: int, ready: dict[str, Any], count: int) -> float:
    """Megabytes of PSS that `count` idle connections add."""
    context = ssl.create_default_context(cafile=ready["ca_file"])
    first = await idle_connection(ready, context)
    await asyncio.sleep(1)
    before = pss_kilobytes(pid)
    connections = [first]
    for _ in range(count // 20):
        connections += await asyncio.gather(*(idle_connection(ready, context) for _ in range(20)))
    await asyncio.sleep(2)
    after = pss_kilobytes(pid)
    for _, writer in connections:
        writer.transport.abort()
    return (after - before) / 1024


async def idle_latency(ready: dict[str, Any]) -> list[float]:
    """Milliseconds from the 250 to each of twenty EXISTS, over idle connections on both workers."""
    context = ssl.create_default_context(cafile=ready["ca_file"])
    waiting = [
        await idle_connection(ready, context) for _ in range(8)
    ]  # the kernel spreads them over the workers

    def send() -> float:
        with smtplib.SMTP("127.0.0.1", ready["ports"]["smtp"]) as smtp:
            smtp.sendmail("a@stranger.test", [ready["accounts"][0]["address"]], "Subject: wake\r\n\r\nup\r\n")
            return time.monotonic()

    async def heard(reader: asyncio.StreamReader) -> float:
        while b"EXISTS" not in await reader.readline():
            pass
        return time.monotonic()

    found = []
    for _ in range(20):
        listening = [asyncio.create_task(heard(reader)) for reader, _ in waiting]
        sent = await asyncio.to_thread(send)
        found += [max(0.0, at - sent) * 1000 for at in await asyncio.gather(*listening)]
    for _, writer in waiting:
        writer.transport.abort()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=int, default=1000, help="IDLE connections")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "one", 1) as (pid, ready, started):
        time.sleep(1)
        result["start_seconds"] = round(started, 2)
        result["idle_megabytes"] = round(pss_kilobytes(pid) / 1024, 1)
        result[f"{options.idle}_idle_connections_megabytes"] = round(
            asyncio.run(idle_memory(pid, ready, options.idle)), 1
        )
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "two", 2) as (_, ready, _started):
        times = asyncio.run(idle_latency(ready))
        result["idle_wake_p50_milliseconds"] = round(statistics.median(times), 1)
        result["idle_wake_worst_milliseconds"] = round(max(times), 1)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name.replace('_', ' '):40} {value}")


if __name__ == "__main__":
    main()
