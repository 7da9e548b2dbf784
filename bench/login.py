#!/usr/bin/env python3
"""What does a login cost, and does its time tell anything? Starts a try-out server and logs in over loopback,
each time over a new TLS connection.

    bench/login.py [--logins 400] [--service imap] [--json]
    bench/login.py --timing [--tries 60] [--json]

CPU is that of the server's whole process tree, read from /proc; what this load generator uses is not in it.
"cold" remembers no outcome (`login.cache_seconds = 0`), so each password of an account is hashed; "warm" is
what a mail program meets that connects again and again. TLS 1.3 with a P-256 certificate, never resumed.

--timing compares how long refusals take, by cause, with that of a wrong password: the chance that one of them
takes longer (AUC, 0.5 is none the wiser) and the p of Mann and Whitney's test.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import math
import os
import random
import re
import secrets
import socket
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

from reception import ROOT, cpu_seconds

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
PORTS = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions"}
AT_ONCE = 8
CAUSES = (
    "wrong password",
    "unknown user",
    "disabled account",
    "expired account",
    "wrong scope",
    "banned network",
)


# -- the server ----------------------------------------------------------------------------------------------


class Server:
    """A try-out server with other settings of `[login]`, one worker."""

    def __init__(self, folder: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "sekisho.app",
            "try",
            "--json",
            "--dir",
            str(folder),
            "--base-port",
            "0",
        ]
        with subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.terminate()
        if not line:
            raise SystemExit("the try-out server did not start; run: sekisho try")
        facts = json.loads(line)
        self.ports: dict[str, int] = facts["ports"]
        self.accounts = {account["address"]: account["password"] for account in facts["accounts"]}
        self.tls = ssl.create_default_context(cafile=facts["ca_file"])
        self.tls.check_hostname = False
        self._folder = folder
        self.config_file = folder / "sekisho.toml"
        self._plain = re.sub(r"(?m)^workers *=.*\n", "", self.config_file.read_text())

    @contextmanager
    def running(self, **login: float) -> Iterator[int]:
        """The process id; ready when it comes."""
        settings = "".join(f"{name} = {value}\n" for name, value in login.items())
        self.config_file.write_text(f"workers = 1\n{self._plain}\n[login]\n{settings}")
        place = self._folder / "notify"
        place.unlink(missing_ok=True)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
            (self._folder / "serve.err").open("ab") as errors,
        ):
            manager.bind(str(place))
            manager.settimeout(60)
            environment = {**ENVIRONMENT, "NOTIFY_SOCKET": str(place)}
            command = [sys.executable, "-m", "sekisho.app", "serve", "-c", str(self.config_file)]
            with subprocess.Popen(command, env=environment, stdout=errors, stderr=errors) as process:
                try:
                    while b"READY=1" not in manager.recv(4096):
                        pass
                    yield process.pid
                finally:
                    process.terminate()

    def command(self, *words: str, stdin: str = "") -> Any:
        command = [sys.executable, "-m", "sekisho.app", *words, "-c", str(self.config_file), "--json"]
        done = subprocess.run(
            command, input=stdin, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout)


# -- the client ----------------------------------------------------------------------------------------------


class Scram:
    """RFC 5802 §3 without channel binding; a client may keep the salted password, as this one does."""

    _salted: dict[tuple[str, bytes, int], bytes] = {}

    def __init__(self, name: str, password: str) -> None:
        self._password, self._nonce = password, secrets.token_urlsafe(18)
        self._bare = f"n={name},r={self._nonce}"
        self.first = f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        text = challenge.decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        salt, count = base64.b64decode(fields["s"]), int(fields["i"])
        key = self._password, salt, count
        if key not in self._salted:
            self._salted[key] = hashlib.pbkdf2_hmac("sha256", self._password.encode(), salt, count)
        client_key = hmac.digest(self._salted[key], b"Client Key", "sha256")
        bare = f"c=biws,r={fields['r']}"
        signature = hmac.digest(
            hashlib.sha256(client_key).digest(), f"{self._bare},{text},{bare}".encode(), "sha256"
        )
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()


class Client:
    def __init__(self, server: Server, service: str) -> None:
        self._server, self._service = server, service

    async def login(self, source: str, mechanism: str, name: str, password: str) -> tuple[bool, float]:
        """(did it succeed, seconds from the last word to the answer)."""
        port = self._server.ports[PORTS[self._service]]
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=self._server.tls, server_hostname="mx.example.test", local_addr=(source, 0)
        )
        try:
            await self._line()
            if self._service == "submission":
                self._writer.write(b"EHLO [127.0.0.1]\r\n")
                while (await self._line())[3:4] == b"-":
                    pass
            return await (self._scram if mechanism == "SCRAM" else self._plain)(name, password)
        finally:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except OSError:
                pass

    async def _plain(self, name: str, password: str) -> tuple[bool, float]:
        return await self._ask(self._auth("PLAIN", f"\0{name}\0{password}".encode()))

    async def _scram(self, name: str, password: str) -> tuple[bool, float]:
        scram = Scram(name, password)
        self._writer.write(self._auth("SCRAM-SHA-256", scram.first))
        challenge = await self._challenge()
        self._writer.write(base64.b64encode(scram.final(challenge)) + b"\r\n")
        await self._challenge()
        return await self._ask(b"\r\n")

    def _auth(self, mechanism: str, initial: bytes) -> bytes:
        word = b"a AUTHENTICATE" if self._service == "imap" else b"AUTH"
        return b"%b %b %b\r\n" % (word, mechanism.encode(), base64.b64encode(initial))

    async def _challenge(self) -> bytes:
        line = await self._line()
        if not line.startswith((b"+ ", b"334 ")):
            raise SystemExit(f"the server said {line!r} where a challenge was expected")
        return base64.b64decode(line.split(b" ", 1)[1])

    async def _ask(self, octets: bytes) -> tuple[bool, float]:
        began = time.perf_counter()
        self._writer.write(octets)
        line = await self._line()
        return line.startswith((b"a OK", b"+OK", b"235")), time.perf_counter() - began

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line:
            raise SystemExit("the server closed the connection")
        return line


# -- what a login costs --------------------------------------------------------------------------------------


Logins = list[tuple[str, str]]  # one for each of those at once: a maildrop has one reader (RFC 1939 §8)


async def log_in_often(server: Server, service: str, mechanism: str, logins: Logins, count: int) -> None:
    numbers = iter(range(count))

    async def lane(source: str, login: tuple[str, str]) -> None:
        for _ in numbers:
            good, _ = await Client(server, service).login(source, mechanism, *login)
            if not good:
                raise SystemExit(f"{login[0]} was refused ({service}, {mechanism})")

    await asyncio.gather(*(lane(f"127.0.{number}.1", login) for number, login in enumerate(logins)))


def cost(
    server: Server, pid: int, service: str, mechanism: str, logins: Logins, count: int
) -> tuple[float, float]:
    """(CPU-ms for each, how many a second)."""
    asyncio.run(log_in_often(server, service, mechanism, logins, AT_ONCE))
    time.sleep(0.3)  # what the server does behind its answers
    cpu, began = cpu_seconds(pid), time.perf_counter()
    asyncio.run(log_in_often(server, service, mechanism, logins, count))
    seconds = time.perf_counter() - began
    time.sleep(0.3)
    return round((cpu_seconds(pid) - cpu) / count * 1000, 2), round(count / seconds)


def measure_cost(arguments: argparse.Namespace, server: Server) -> list[dict[str, Any]]:
    domain, password = next(iter(server.accounts)).partition("@")[2], "correct horse battery staple"
    addresses = [f"bench{number}@{domain}" for number in range(AT_ONCE)]
    logins: dict[str, Logins] = {"account": [], "app": []}
    with server.running():
        for address in addresses:
            server.command("account", "add", address, "--password-stdin", stdin=password + "\n")
            logins["account"].append((address, password))
            logins["app"].append(
                (address, server.command("account", "credential", "add", address, "bench")["secret"])
            )
    rows = []
    for cache, settings in (("cold", {"cache_seconds": 0}), ("warm", {})):
        with server.running(**settings) as pid:
            for service, credential, mechanism in itertools.product(
                arguments.services, logins, ("PLAIN", "SCRAM")
            ):
                hashes = cache == "cold" and (credential, mechanism) == ("account", "PLAIN")
                if cache == "cold" and not hashes:
                    continue  # nothing is remembered of these
                count = max(AT_ONCE, arguments.logins // 8) if hashes else arguments.logins
                cpu_ms, rate = cost(
                    server=server,
                    pid=pid,
                    service=service,
                    mechanism=mechanism,
                    logins=logins[credential],
                    count=count,
                )
                rows.append(
                    {
                        "service": service,
                        "credential": credential,
                        "mechanism": mechanism,
                        "cache": cache,
                        "cpu_ms": cpu_ms,
                        "per_second": rate,
                    }
                )
    return rows


# -- what its time tells -------------------------------------------------------------------------------------


def separation(times: list[float], others: list[float]) -> tuple[float, float]:
    """(AUC, two-sided p) by ranks."""
    pairs = sorted([(value, 0) for value in times] + [(value, 1) for value in others])
    rank_sum, index = 0.0, 0
    while index < len(pairs):
        end = index
        while end < len(pairs) and pairs[end][0] == pairs[index][0]:
            end += 1
        rank_sum += (index + 1 + end) / 2 * sum(1 for _, which in pairs[index:end] if which == 0)
        index = end
    count, other_count = len(times), len(others)
    u = rank_sum - count * (count + 1) / 2
    deviation = math.sqrt(count * other_count * (count + other_count + 1) / 12)
    return u / (count * other_count), math.erfc(abs(u - count * other_count / 2) / deviation / math.sqrt(2))


def prepare_causes(server: Server) -> dict[str, tuple[str, str]]:
    """Accounts and credentials that are refused for each cause; the banned network is 127.250.250.0/24."""
    (alice, password), *_ = server.accounts.items()
    domain = alice.partition("@")[2]
    for name in ("disabled", "expired"):
        server.command(
            "account", "add", f"{name}@{domain}", "--password-stdin", stdin="correct horse battery staple\n"
        )
    server.command("account", "state", f"disabled@{domain}", "login-disabled")
    server.command("account", "expire", f"expired@{domain}", "2026-01-01")
    service = server.command("account", "credential", "add", alice, "scanner", "--service", alice)
    server.command("bans", "add", "127.250.250.0/24")
    return {
        "wrong password": (alice, "correct horse battery stable"),
        "unknown user": (f"nobody@{domain}", "correct horse battery stable"),
        "disabled account": (f"disabled@{domain}", "correct horse battery staple"),
        "expired account": (f"expired@{domain}", "correct horse battery staple"),
        "wrong scope": (alice, service["secret"]),
        "banned network": (alice, password),
    }


async def take_times(
    server: Server, logins: dict[str, tuple[str, str]], tries: int
) -> dict[str, list[float]]:
    """In a random order; each try comes from another network, so that none of them runs out of tries."""
    dice = random.Random(1)
    order = [cause for cause in CAUSES for _ in range(tries)]
    dice.shuffle(order)
    todo = iter(enumerate(order))
    times: dict[str, list[float]] = {cause: [] for cause in CAUSES}

    async def lane() -> None:
        for number, cause in todo:
            source = (
                "127.250.250.7" if cause == "banned network" else f"127.{1 + number // 250}.{number % 250}.7"
            )
            good, seconds = await Client(server, "imap").login(source, "PLAIN", *logins[cause])
            if good:
                raise SystemExit(f"a login was let in ({cause})")
            times[cause].append(seconds)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return times


def measure_timing(arguments: argparse.Namespace, server: Server) -> list[dict[str, Any]]:
    many = 100_000  # no limit but that of the time is looked at
    settings = {
        "failure_seconds": 0.5,
        "strange_failures_per_account": many,
        "failures_per_wide_network": many,
        "sprayed_accounts": 0,
    }
    with server.running(**settings):
        logins = prepare_causes(server)
        times = asyncio.run(take_times(server, logins, arguments.tries))
    rows = []
    for cause in CAUSES:
        auc, p = separation(times[cause], times["wrong password"])
        median, slowest = statistics.median(times[cause]), max(times[cause])
        rows.append(
            {
                "cause": cause,
                "tries": len(times[cause]),
                "median_ms": median * 1000,
                "slowest_ms": slowest * 1000,
                "auc": auc,
                "p": p,
            }
        )
    return [
        {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--logins", type=int, default=400, help="of each kind; an eighth of it where each is hashed"
    )
    parser.add_argument(
        "--service",
        dest="services",
        action="append",
        choices=list(PORTS),
        help="may be repeated; default: all three",
    )
    parser.add_argument("--timing", action="store_true")
    parser.add_argument("--tries", type=int, default=60, help="of each cause")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.services = arguments.services or list(PORTS)
    with tempfile.TemporaryDirectory() as folder:
        rows = (measure_timing if arguments.timing else measure_cost)(arguments, Server(Path(folder) / "try"))
    if arguments.json:
        print(json.dumps(rows))
        return
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    print("  ".join(name.replace("_", " ").ljust(width) for name, width in widths.items()))
    for row in rows:
        print("  ".join(str(row[name]).ljust(width) for name, width in widths.items()))


if __name__ == "__main__":
    main()
