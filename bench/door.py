#!/usr/bin/env python3
"""What does the checkpoint cost? One inbound message by port 25, from the connection until it is durable in
the mailbox.

    bench/door.py [--messages 3000] [--connections 20] [--per-connection 1] [--rounds 3] [--json]
    bench/door.py --profile 10        where the time of "everything" goes: a sampling profile, by py-spy

Four servers run beside one another and take turns: "unchecked" asks nothing; "papers" checks iprev, SPF,
DKIM, DMARC and ARC; "door" also asks two blocklists, S25R, greylisting and our own experience with the
sender; "everything" also reads the content: attachments and a trained classifier. All keep the ledger.
Senders are 50 domains with their own address, name, SPF record (by include), 2048-bit key and p=reject; each
has written before. The DNS is a server of ours, whose CPU is not counted, nor is that of this load generator.
Medians of the rounds are shown; compare inside one run. Forged mail is tried first: a server that takes it
would measure nothing.
"""

import argparse
import asyncio
import json
import platform
import random
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from reception import TICKS, cpu_seconds, process_tree

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message

SENDERS = 50
VARIANTS = ("unchecked", "papers", "door", "everything")
LISTS = ("bl.one.test", "bl.two.test")
HAM = (
    "minutes of the meeting next week about the garden festival please bring your own chair and some tea "
    "for all members"
)
SPAM = (
    "winner claim prize bonus casino free pills cheap offer click urgent transfer fund million dollars "
    "beneficiary"
)
WORDS, SPAM_WORDS = HAM.split(), SPAM.split()


@dataclass(frozen=True)
class Job:
    octets: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.octets // 1024} KB{', STARTTLS' if self.tls else ''}"


class Figures(NamedTuple):
    """Of one run. `other_load`: cores that others (the DNS too) kept busy meanwhile; above a few tenths the
    figures grow."""

    cpu_ms: float
    per_second: float
    other_load: float

    def __str__(self) -> str:
        return f"{self.cpu_ms:.2f} ({self.per_second:,.0f}; {self.other_load:.1f})"


class Senders:
    """Their zone, and messages signed by them: `messages[octets]` are (sender number, content with its final
    dot)."""

    def __init__(self, sizes: Sequence[int], each: int) -> None:
        keys = [generate_private_key(65537, 2048) for _ in range(5)]
        signers = [DkimSigner(f"d{n}.test", f"s{n % 2}", keys[n % len(keys)]) for n in range(SENDERS)]
        lines = [f"2.0.0.127.{zone} A 127.0.0.2" for zone in LISTS]
        for n, signer in enumerate(signers):
            lines += [
                f"{_address(n, reverse=True)}.in-addr.arpa PTR mail.d{n}.test",
                f"mail.d{n}.test A {_address(n)}",
                f'd{n}.test TXT "v=spf1 include:_spf.d{n}.test -all"',
                f"d{n}.test MX 10 mail.d{n}.test",
                f'_spf.d{n}.test TXT "v=spf1 ip4:{_address(n)} -all"',
                f'_dmarc.d{n}.test TXT "v=DMARC1; p=reject"',
                f'{signer.key_name} TXT "{signer.key_record}"',
            ]
        self.zone = "\n".join(lines) + "\n"
        dice = random.Random(7)
        self.messages = {
            size: [self._message(dice, signers[i % SENDERS], i, size) for i in range(each)] for size in sizes
        }

    def _message(
        self, dice: random.Random, signer: DkimSigner, number: int, octets: int
    ) -> tuple[int, bytes]:
        content = letter(dice, f"someone@{signer.domain}", WORDS, octets)
        return number % SENDERS, sign_message([signer], content, int(time.time())) + content + b".\r\n"


def letter(dice: random.Random, author: str, words: Sequence[str], octets: int) -> bytes:
    head = (
        f"From: Someone <{author}>\r\nTo: <alice@example.test>\r\nSubject: "
        f"{' '.join(dice.choices(words, k=5))}\r\n"
        f"Date: Tue, 24 Nov 2026 05:30:00 +0000\r\nMessage-ID: "
        f"<{dice.getrandbits(64):x}@{author.partition('@')[2]}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    lines = []
    left = octets - len(head)
    while left > 0:
        lines.append(" ".join(dice.choices(words, k=11)))
        left -= len(lines[-1]) + 2
    return (head + "\r\n".join(lines) + "\r\n").encode()


def _address(number: int, *, reverse: bool = False) -> str:
    """Of a sender: in a network of its own."""
    parts = ("127", "1", str(number), "1")
    return ".".join(reversed(parts) if reverse else parts)


@dataclass
class Server:
    name: str
    process: "subprocess.Popen[str]"
    facts: dict[str, Any]

    def command(self, *arguments: str) -> None:
        config = str(Path(self.facts["ca_file"]).parent / "sekisho.toml")
        subprocess.run(
            [sys.executable, "-m", "sekisho.app", *arguments, "-c", config],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def settings(name: str, toml: str, dns: str) -> str:
    """sekisho.toml of a variant."""
    toml = re.sub(r"(?m)^(# )?unchecked_networks = .*$", "", toml)
    unchecked = '["127.0.0.0/8"]' if name == "unchecked" else "[]"
    lists = "".join(
        f'[[door.blocklists]]\nzone = "{z}"\naccepted_terms = true\ncodes = {{ "127.0.0.2" = "listed" }}\n'
        for z in LISTS
    )
    toml = toml.replace("[door]", f"[door]\nunchecked_networks = {unchecked}", 1)
    if "[door]" not in toml:
        toml += f"\n[door]\nunchecked_networks = {unchecked}\n"
    toml += f'\n[resolver]\nservers = ["{dns}"]\n'
    if name in ("door", "everything"):
        toml += lists
    if name == "papers":
        toml += "[reputation]\nenabled = false\n"
    return toml if name == "everything" else toml + '[content]\nclassifier = "off"\nattachments = "off"\n'


@contextmanager
def serving_names(zone: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".zone") as file:
        file.write(zone)
        file.flush()
        with subprocess.Popen(
            [sys.executable, "-m", "sekisho.testing.dnsserver", file.name], stdout=subprocess.PIPE, text=True
        ) as dns:
            assert dns.stdout is not None
            try:
                yield dns.stdout.readline().split()[-1]
            finally:
                dns.terminate()


@contextmanager
def serving(name: str, folder: Path, dns: str) -> Iterator[Server]:
    """A try-out server with the variant's settings."""
    command = [sys.executable, "-m", "sekisho.app", "try", "--json", "--dir", str(folder), "--base-port", "0"]
    for last in (False, True):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                if not line:
                    raise SystemExit(f"the try-out server {name} did not start; run: sekisho try")
                if last:
                    yield Server(name, process, json.loads(line))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        if not last:
            config = folder / "sekisho.toml"
            config.write_text(settings(name, config.read_text(), dns))
            command = [*command[:-2]]  # the ports of the first start


class Load:
    """Sends `total` messages over `connections`, so many of them by each."""

    def __init__(
        self, server: Server, messages: Sequence[tuple[int, bytes]], per_connection: int, *, tls: bool
    ) -> None:
        self._port, self._messages, self._per_connection = (
            server.facts["ports"]["smtp"],
            messages,
            per_connection,
        )
        self._by_sender = [[content for number, content in messages if number == n] for n in range(SENDERS)]
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.create_default_context(cafile=server.facts["ca_file"])
            self._tls.check_hostname = False
        self._next = 0
        self._left = 0

    def run(self, total: int, connections: int) -> None:
        self._left = total

        async def all_of_them() -> None:
            await asyncio.gather(*(self._connections() for _ in range(connections)))

        asyncio.run(all_of_them())

    async def _connections(self) -> None:
        while self._left > 0:
            count = min(self._per_connection, self._left)
            self._left -= count
            self._next += 1
            sender = self._next % SENDERS
            letters = [
                self._by_sender[sender][(self._next + i) % len(self._by_sender[sender])] for i in range(count)
            ]
            await self.session(sender, letters)

    async def session(self, sender: int, letters: Sequence[bytes], last: bytes = b"250") -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(_address(sender), 0)
        )
        await expect(reader, b"220")
        hello = f"EHLO mail.d{sender}.test\r\n".encode()
        writer.write(hello)
        await expect(reader, b"250")
        if self._tls is not None:
            writer.write(b"STARTTLS\r\n")
            await expect(reader, b"220")
            await writer.start_tls(self._tls, server_hostname="mx.example.test")
            writer.write(hello)
            await expect(reader, b"250")
        for content in letters:
            writer.write(
                f"MAIL FROM:<someone@d{sender}.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n".encode()
            )
            for code in (b"250", b"250", b"354"):
                await expect(reader, code)
            writer.write(content)
            await expect(reader, last)
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


def refuses_forgery(server: Server, messages: Sequence[tuple[int, bytes]]) -> None:
    """Somebody else's signed letter with one word changed, from a foreign network."""
    number, content = messages[0]
    changed = content[:-5] + b"!" + content[-5:]
    load = Load(server, messages, 1, tls=False)
    expected = b"250" if server.name == "unchecked" else b"550"
    asyncio.run(load.session((number + 1) % SENDERS, [changed], expected))


def teach(server: Server, folder: Path) -> None:
    """A classifier that has seen 300 letters of either kind."""
    dice = random.Random(11)
    for kind, words in (("ham", WORDS), ("spam", SPAM_WORDS)):
        place = folder / kind
        place.mkdir()
        for n in range(300):
            (place / f"{n}.eml").write_bytes(letter(dice, f"x@{kind}{n}.test", [*words, *WORDS[:4]], 2000))
    server.command("classifier", "train", "--ham", str(folder / "ham"), "--spam", str(folder / "spam"))


def measure(server: Server, senders: Senders, job: Job, arguments: argparse.Namespace) -> Figures:
    """Both of one run, with what else kept the machine busy."""
    load = Load(server, senders.messages[job.octets], arguments.per_connection, tls=job.tls)
    load.run(2 * SENDERS, arguments.connections)
    cpu, own, busy, began = (
        cpu_seconds(server.process.pid),
        time.process_time(),
        busy_seconds(),
        time.perf_counter(),
    )
    load.run(arguments.messages, arguments.connections)
    seconds, cpu = time.perf_counter() - began, cpu_seconds(server.process.pid) - cpu
    others = busy_seconds() - busy - cpu - (time.process_time() - own)
    return Figures(cpu / arguments.messages * 1000, arguments.messages / seconds, max(0.0, others) / seconds)


def busy_seconds() -> float:
    """Of all cores, since the machine started."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS  # without idle, and waiting for disks


def python_build() -> str:
    """Builds of one version differ: by their compiler, by -O2 or -O3, by what a profile guided."""
    flags = " ".join(filter(None, map(sysconfig.get_config_var, ("PY_CFLAGS", "CONFIG_ARGS"))))
    level = re.findall(r"-O[0-3s]", flags)
    kinds = [word for word in ("--enable-optimizations", "--with-lto") if word in flags]
    return (
        f"Python {platform.python_version()}, {platform.python_compiler()}, {' '.join([*level[-1:], *kinds])}"
    )


def profile(server: Server, senders: Senders, job: Job, arguments: argparse.Namespace) -> dict[str, float]:
    """Share of the samples, by the innermost of our files, of what held the interpreter lock while the load
    runs."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    shares: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        workers = process_tree(server.process.pid)[1:]
        watchers = [
            subprocess.Popen(
                [spy, "record", "--gil", "-f", "raw", "-r", "250", "-d", str(arguments.profile), "-o",
                f"{folder}/{pid}", "-p", str(pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for pid in workers
        ]  # fmt: skip
        load = Load(server, senders.messages[job.octets], arguments.per_connection, tls=job.tls)
        while any(watcher.poll() is None for watcher in watchers):
            load.run(400, arguments.connections)
        for pid in workers:
            for line in Path(f"{folder}/{pid}").read_text().splitlines():
                stack, _, count = line.rpartition(" ")
                shares[_place(stack)] += int(count)
    total = shares.total()
    return {place: count / total for place, count in shares.most_common(25)}


def _place(stack: str) -> str:
    """The innermost file of the package, such as core/mailauth/dkim/verify.py; "others" where none is on the
    stack."""
    found = re.findall(r"sekisho/([a-z0-9_/]+\.py)", stack)
    return found[-1] if found else "others"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--per-connection", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    jobs = [Job(4096, False), Job(4096, True), Job(65536, False), Job(65536, True)]
    senders = Senders((4096, 65536), 500)
    found: dict[tuple[str, Job], list[Figures]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dns = stack.enter_context(serving_names(senders.zone))
        servers = [stack.enter_context(serving(name, folder / name, dns)) for name in VARIANTS]
        for server in servers:
            refuses_forgery(server, senders.messages[4096])
        teach(servers[-1], folder)
        if arguments.profile:
            for place, share in profile(servers[-1], senders, jobs[0], arguments).items():
                print(f"{share:6.1%}  {place}")
            return
        for job in jobs:
            for _ in range(arguments.rounds):
                for server in servers:
                    found.setdefault((server.name, job), []).append(measure(server, senders, job, arguments))
    report(found, jobs, as_json=arguments.json)


def report(found: dict[tuple[str, Job], list[Figures]], jobs: Sequence[Job], *, as_json: bool) -> None:
    middle = {
        key: Figures(*(statistics.median(values) for values in zip(*runs, strict=True)))
        for key, runs in found.items()
    }
    if as_json:
        rows = [
            {
                "variant": name,
                "octets": job.octets,
                "tls": job.tls,
                "cpu_ms": round(figures.cpu_ms, 3),
                "per_second": round(figures.per_second),
                "other_load": round(figures.other_load, 2),
                "python": python_build(),
            }
            for (name, job), figures in middle.items()
        ]
        print(json.dumps(rows))
        return
    print(python_build())
    print(f"{'CPU-ms (messages/s; other load)':<34}" + "".join(f"{name:>20}" for name in VARIANTS))
    for job in jobs:
        cells = [str(middle[name, job]) for name in VARIANTS]
        print(f"{job!s:<34}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
