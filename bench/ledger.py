"""What the ledger costs: CPU per message while it is written, and the time of a question when it is large.

    bench/ledger.py [--entries 10000000] [--folder DIR] [--json]

The folder must have room for about 400 octets an entry; it is removed afterwards. Entries are what reception
records of an ordinary message: connection, evidence, acceptance. Questions are asked with the operating
system's cache as the filling left it, and once more after the files were dropped from it.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.journal import StructlogJournal
from sekisho.adapters.keeping import KeepingJournal
from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.adapters.stores.sqlite.ledger import LEDGER, LedgerLimits, SqliteLedger
from sekisho.admin.context import Context
from sekisho.admin.why.question import Why, why
from sekisho.config.schema import RoleOwners
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import client_keys

START_US = 1_780_000_000_000_000
STEP_US = 250_000  # four entries a second: ten million in a month
BURST = 300  # messages in one second of load


def message(number: int) -> tuple[Entry, ...]:
    """What reception writes down about one message."""
    client, session, id_ = (
        f"203.0.{number % 251}.{number % 241}",
        f"s{number:07x}",
        f"{number:013x}{number * 2654435761 % 2**64:016x}",
    )
    sender, recipient, message_id = (
        f"user{number % 99_991}@example.org",
        f"local{number % 997}@example.test",
        f"{number:x}.{number % 7919}@example.org",
    )
    evidence = {
        "client": client,
        "verdict": "accept",
        "rule": "",
        "because": "",
        "observed": False,
        "iprev": "pass",
        "client_name": "mail.example.org",
        "spf": "pass",
        "spf_domain": "example.org",
        "spf_helo": "none",
        "dkim": "pass:example.org",
        "arc": "none",
        "dmarc": "pass",
        "dmarc_policy": "reject",
        "author_domain": "example.org",
    }
    accepted = {
        "client": client,
        "hello": "mail.example.org",
        "reverse_path": sender,
        "recipient": recipient,
        "recipients": 1,
        "delivered": 1,
        "over_quota": 0,
        "relayed": 0,
        "octets": 4096,
        "message_id": message_id,
        "session": session,
    }
    connection = {
        "client": client,
        "hello": "mail.example.org",
        "tls": "TLSv1.3",
        "reason": "quit",
        "accepted": 1,
        "refused": 0,
        "recipients_refused": 0,
    }
    return (
        Entry("reception.evidence", id_, evidence),
        Entry("reception.accepted", id_, accepted, (message_id, sender, recipient, "example.org", session)),
        Entry("reception.connection", session, connection, client_keys(ip_address(client))),
    )


class MovingClock(SystemClock):
    now = START_US

    def now_us(self) -> int:
        return self.now


def lost(count: int, why_lost: str) -> None:
    sys.exit(f"{count} entries were lost: {why_lost}")


def cost(folder: Path, messages: int, *, with_ledger: bool, with_log: bool = True) -> float:
    """CPU-ms of this process per message, the writer's thread and checkpoints included."""
    clock = MovingClock()
    ledger = SqliteLedger(folder, clock, LedgerLimits(), lost, alone=True) if with_ledger else None
    with open(os.devnull, "wb") as sink:
        log: Journal = (
            StructlogJournal(clock, descriptor=os.dup(sink.fileno()), worker=0) if with_log else _NoLog()
        )
        journal = KeepingJournal(log, clock, ledger)
        entries = [message(number) for number in range(messages)]
        began = time.process_time()
        for number, of_message in enumerate(entries):
            for entry in of_message:
                journal.record(entry)
            if ledger is not None and number % BURST == BURST - 1:
                ledger._writer.flush()
                if number % (BURST * 10) == BURST * 10 - 1:
                    asyncio.run(ledger.keep_house())
        if ledger is not None:
            ledger.close()
        return (time.process_time() - began) / messages * 1000


class _NoLog:
    def record(self, entry: Entry) -> None:
        pass

    def fault(self, where: str, error: BaseException) -> str:
        return ""


def fill(folder: Path, entries: int) -> SqliteLedger:
    clock = MovingClock()
    ledger = SqliteLedger(folder, clock, LedgerLimits(keep_octets=1 << 40), lost, alone=True)
    began, number, written = time.perf_counter(), 0, 0
    while written < entries:
        for entry in message(number):
            ledger.keep(MovingClock.now, entry)
            MovingClock.now += STEP_US
            written += 1
        number += 1
        if number % 1000 == 0:
            ledger._writer.flush()
            if number % 10_000 == 0:
                asyncio.run(ledger.keep_house())
                rate = written / (time.perf_counter() - began)
                print(f"\r{written:,} entries, {rate:,.0f}/s", end="", file=sys.stderr)
    ledger._writer.flush()
    ledger._checkpointer.run(truncate=True)
    print(file=sys.stderr)
    return ledger


def questions(messages: int, count: int) -> Iterator[tuple[str, list[str]]]:
    """Kinds of questions, each with keys spread over the whole ledger."""
    dice = random.Random(1)
    chosen = [message(dice.randrange(messages)) for _ in range(count)]
    yield "id", [entries[1].id for entries in chosen]
    yield "session", [entries[2].id for entries in chosen]
    yield "message-id", [entries[1].about[0] for entries in chosen]
    yield "sender", [entries[1].about[1] for entries in chosen]
    yield "recipient", [entries[1].about[2] for entries in chosen]
    yield "client", [entries[2].about[0] for entries in chosen]
    yield "nothing", [f"nobody{number}@example.net" for number in range(count)]


async def ask(ledger: SqliteLedger, messages: int, count: int) -> dict[str, dict[str, float]]:
    """Milliseconds of finding the entries, and of the whole `why` with its stories."""
    clock = MovingClock()
    store = MemoryStore(clock, SystemDice())
    roles = RoleOwners(postmaster="a@example.test", abuse="a@example.test")
    context = Context(
        directory=store.directory,
        spool=store.spool,
        keys=store.keys,
        journal=_NoLog(),
        clock=clock,
        roles=roles,
        actor="uid:0",
        ledger=ledger,
    )
    found: dict[str, dict[str, float]] = {}
    for kind, keys in questions(messages, count):
        finding, telling = [], []
        for key in keys:
            began = time.perf_counter()
            entries = await ledger.find(key, limit=20)
            finding.append((time.perf_counter() - began) * 1000)
            assert bool(entries) != (kind == "nothing"), key
        for key in keys if kind != "nothing" else ():
            began = time.perf_counter()
            answer = await why(context, Why(key))
            telling.append((time.perf_counter() - began) * 1000)
            assert answer.stories
        found[kind] = {**_percentiles("find", finding), **_percentiles("why", telling)}
    return found


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"{name}_p50": round(cuts[49], 2), f"{name}_p99": round(cuts[98], 2)}


def drop_from_cache(folder: Path) -> None:
    for path in folder.glob(f"{LEDGER}*"):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--questions", type=int, default=100, help="of each kind")
    parser.add_argument("--folder", type=Path, help="where the ledger is made; default: a temporary folder")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=arguments.folder))
    try:
        result = measure(folder, arguments.entries, arguments.questions)
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(
        "CPU-ms a message (three entries): "
        + ", ".join(f"{name} {value:.4f}" for name, value in result["cost"].items())
    )
    print(
        f"{arguments.entries:,} entries: {result['octets'] / 2**30:.2f} GiB, "
        f"{result['octets'] / arguments.entries:.0f} octets each"
    )
    for state in ("warm", "cold"):
        for kind, numbers in result[state].items():
            print(
                f"{state} {kind:11} "
                + "  ".join(f"{name} {value:8.2f} ms" for name, value in numbers.items())
            )


def measure(folder: Path, entries: int, count: int) -> dict[str, Any]:
    costs = {}
    for name, options in (
        ("log only", {"with_ledger": False}),
        ("log and ledger", {"with_ledger": True}),
        ("ledger only", {"with_ledger": True, "with_log": False}),
    ):
        place = folder / name.replace(" ", "-")
        place.mkdir()
        costs[name] = statistics.median(cost(place, 30_000, **options) for _ in range(3))
        shutil.rmtree(place)
    ledger = fill(folder, entries)
    messages = entries // 3
    octets = (folder / LEDGER).stat().st_size
    warm = asyncio.run(ask(ledger, messages, count))
    cold: dict[str, dict[str, float]] = {}
    for kind, keys in questions(messages, min(count, 20)):
        finding = []
        for key in keys:
            drop_from_cache(folder)
            again = SqliteLedger(folder, MovingClock(), LedgerLimits(keep_octets=1 << 40), lost, alone=True)
            began = time.perf_counter()
            asyncio.run(again.find(key, limit=20))
            finding.append((time.perf_counter() - began) * 1000)
            again.close()
        cold[kind] = _percentiles("find", finding)
    ledger.close()
    return {"cost": costs, "octets": octets, "warm": warm, "cold": cold}


if __name__ == "__main__":
    main()
