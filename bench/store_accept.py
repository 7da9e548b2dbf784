"""How much one accepted message costs the store: 4 KB, one INBOX, many concurrent accepts, everything
durable.

    python bench/store_accept.py [--messages 5000] [--concurrency 20] [--octets 4096] [--profile]

Prints CPU per message (this process, all threads), messages per second and the size of the groups.
"""

import argparse
import asyncio
import cProfile
import pstats
import shutil
import tempfile
import time
from pathlib import Path

import uvloop

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.directory import Domain
from sekisho.ports.spool import Acceptance, MailboxDelivery

PREFIX = (
    b"Return-Path: <sender@elsewhere.test>\r\nAuthentication-Results: mx.example.test; "
    + b"x" * 300
    + b"\r\n"
)


async def client(store: SqliteStore, account_id: int, name: str, count: int, octets: bytes) -> None:
    envelope = Envelope(reverse_path=ReversePath(Address("sender", "elsewhere.test")))
    for number in range(count):
        content = store.spool.open_content()
        content.write(octets)
        message_id = f"{name}-{number}"
        delivery = MailboxDelivery(delivery_id=f"{message_id}/0", account_id=account_id, prefix=PREFIX)
        await store.spool.accept(
            Acceptance(
                message_id=message_id,
                envelope=envelope,
                content=content,
                prefix=b"",
                deliveries=(delivery,),
                header_message_id=f"<{message_id}@elsewhere.test>",
            )
        )


async def measure(arguments: argparse.Namespace, folder: Path) -> None:
    store = SqliteStore(folder, SystemClock(), SystemDice(), LocalChanges())
    await store.directory.add_domain(Domain("example.test", 0))
    account = await store.directory.add_account(Address("alice", "example.test"), "", "")
    octets = b"Subject: bench\r\n\r\n" + b"0123456789abcdef" * (arguments.octets // 16)
    each = arguments.messages // arguments.concurrency
    before = store.writer.commits
    profile = cProfile.Profile()
    if arguments.profile:
        profile.enable()
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(
        *(client(store, account.id, str(n), each, octets) for n in range(arguments.concurrency))
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if arguments.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    count, commits = each * arguments.concurrency, store.writer.commits - before
    print(
        f"{count} messages: {cpu / count * 1e6:.0f} µs CPU each, {count / wall:.0f}/s, "
        f"{count / commits:.1f} per commit"
    )
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sekisho-bench-", dir="."))
    try:
        uvloop.run(measure(arguments, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
