"""A small server under the supervisor, run as a program by the tests: argv is a JSON object.

Each connection gets one line `slot incarnation` and then an answer to each line: `ping` → `pong`, `hang` →
the loop stands still, `crash` → the process ends, `reloads` → what came by SIGHUP.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sekisho.adapters.process.plan import (
    ListenSpec,
    ProcessPlan,
    ReloadRefused,
    StartRefused,
    UnixSpec,
    WorkerContext,
)
from sekisho.adapters.process.supervisor import Supervisor

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
DATA_DIR = Path(OPTIONS["data_dir"])


def say(kind: str, fields: Mapping[str, Any]) -> None:
    print(json.dumps({"kind": kind, **fields}), flush=True)


def stand_still() -> None:
    time.sleep(3600)


async def worker_main(context: WorkerContext) -> None:
    if OPTIONS.get("die_at_once"):
        os._exit(7)
    reloads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{context.slot} {context.incarnation} {os.getpid()}\n".encode())
        while line := await reader.readline():
            match line.strip():
                case b"hang":
                    stand_still()
                case b"crash":
                    os._exit(9)
                case b"reloads":
                    writer.write(json.dumps(reloads).encode() + b"\n")
                case b"uid":
                    writer.write(f"{os.getuid()}\n".encode())
                case _:
                    writer.write(b"pong\n")
        writer.close()

    servers = [
        await asyncio.start_server(talk, sock=sock)
        for name in context.sockets
        for sock in context.sockets[name]
        if name != "local"
    ]
    servers += [await asyncio.start_unix_server(talk, sock=sock) for sock in context.sockets.get("local", ())]
    context.ready()
    stopped = asyncio.ensure_future(context.shutdown.wait())
    while not stopped.done():
        reload = asyncio.ensure_future(context.reloads.get())
        await asyncio.wait({stopped, reload}, return_when=asyncio.FIRST_COMPLETED)
        if reload.done():
            reloads.append(reload.result().decode())
        reload.cancel()
    if OPTIONS.get("refuse_to_stop"):
        stand_still()
    for server in servers:
        server.close()


def on_reload() -> bytes:
    settings = DATA_DIR / "settings"
    text = settings.read_text() if settings.exists() else ""
    if text == "broken":
        raise ReloadRefused("settings: this is broken")
    if text == "crash":
        raise ValueError("a bug in the reader")
    return text.encode()


def prepare() -> None:
    if OPTIONS.get("refuse"):
        raise StartRefused(OPTIONS["refuse"])
    if OPTIONS.get("prepare_crashes"):
        raise ValueError("a bug")
    (DATA_DIR / "prepared").write_text(str(os.getuid()))


def on_worker_death(slot: int, incarnation: int) -> None:
    with open(DATA_DIR / "deaths", "a") as file:
        file.write(f"{slot} {incarnation}\n")


def main() -> int:
    plan = ProcessPlan(
        data_dir=DATA_DIR,
        workers=OPTIONS.get("workers", 2),
        worker_main=worker_main,
        listeners=[
            ListenSpec(name, ip_address(address), port, shared)
            for name, address, port, shared in OPTIONS.get("listeners", [["smtp", "127.0.0.1", 0, False]])
        ],
        unix_sockets=[UnixSpec("local", DATA_DIR / "run" / "local.sock")],
        user=OPTIONS.get("user"),
        event_loop=OPTIONS.get("event_loop", "uvloop"),
        heartbeat_seconds=OPTIONS.get("heartbeat_seconds", 30.0),
        stop_seconds=OPTIONS.get("stop_seconds", 5.0),
        prepare=prepare,
        on_worker_death=on_worker_death,
        on_reload=on_reload,
        on_upgrade=lambda: say("checked", {"octets": len(on_reload())}),
        on_ready=lambda ports: say("ready", {"ports": dict(ports), "pid": os.getpid()}),
        report=say,
    )
    try:
        return Supervisor(plan).run()
    except StartRefused as refused:
        say("refused", {"problems": str(refused)})
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
