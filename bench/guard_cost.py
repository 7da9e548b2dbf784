"""What the takeover guard costs one submitted message: gathering its facts, and debiting it inside the
accepting transaction.

    python bench/guard_cost.py [--messages 3000] [--concurrency 20] [--profile]

One account with a month of history, 4 KB of text to one known recipient. CPU of this process, all threads;
the accepts are measured with and without the debit in turn, and the difference is the debit.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path

import uvloop

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.takeover.judge import judge_by
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Outgoing
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.identity import Identity
from sekisho.ports.directory import Domain
from sekisho.ports.spool import Acceptance, RelayRecipient
from sekisho.services.submission.seams import SubmissionContext, Submitted
from sekisho.services.submission.takeover import TakeoverWatch
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, NoMetrics

ALICE = Address("alice", "example.test")
LINE = b"Some words of an ordinary letter that somebody wrote to a friend.\r\n"
HEADER = (
    b"From: Alice <alice@example.test>\r\nTo: <friend@there.test>\r\nSubject: about last week\r\n"
    b"User-Agent: Thunderbird/115\r\n"
    b"In-Reply-To: <1@there.test>\r\n\r\n"
)
RULES = GuardRules(recipients_per_day=10**9, usual_fan_out=10**9, newcomer_fan_out=10**9)


class Bench:
    def __init__(self, store: SqliteStore, account_id: int, octets: bytes) -> None:
        self.store, self.octets = store, octets
        self.clock = ManualClock(1_800_000_000_000_000)
        self.watch = TakeoverWatch(RULES, self.clock, MemoryJournal(), NoMetrics())
        self.identity = Identity(account_id=account_id, address=ALICE)
        self.numbers = iter(range(10**9))

    def submitted(self, friend: str = "friend") -> Submitted:
        content = self.store.spool.open_content()
        content.write(self.octets)
        to = Address(friend, "there.test")
        envelope = Envelope(reverse_path=ReversePath(ALICE), recipients=(Recipient(to),))
        context = SubmissionContext(ip_address("192.0.2.7"), "[192.168.1.2]", "PLAIN")
        header = HeaderSection(self.octets)
        return Submitted(
            message_id=f"m{next(self.numbers)}",
            identity=self.identity,
            envelope=envelope,
            header=header,
            content=content,
            authors=(ALICE,),
            context=context,
            elsewhere=(to,),
            locals=(),
        )

    async def facts(self, submitted: Submitted) -> Outgoing:
        outgoing = (await self.watch.judge(submitted)).outgoing
        assert outgoing is not None
        return outgoing

    async def accept(self, submitted: Submitted, outgoing: Outgoing | None) -> None:
        relay = RelayRecipient(
            recipient=submitted.envelope.recipients[0],
            next_hop="there.test",
            due_at_us=2**60,
            expires_at_us=2**61,
        )
        item = Acceptance(
            message_id=submitted.message_id,
            envelope=submitted.envelope,
            content=submitted.content,
            prefix=b"Received: x\r\n",
            deliveries=(),
            relays=(relay,),
            origin="submission",
            account_id=self.identity.account_id,
            outgoing=outgoing,
        )
        await self.store.spool.accept(item)


async def cpu_us(
    count: int, concurrency: int, work: list[tuple[Submitted, Outgoing | None]], bench: Bench
) -> float:
    pending = iter(work)

    async def lane() -> None:
        for submitted, outgoing in pending:
            await bench.accept(submitted, outgoing)

    began = time.process_time()
    await asyncio.gather(*(lane() for _ in range(concurrency)))
    return (time.process_time() - began) / count * 1e6


async def measure(arguments: argparse.Namespace, folder: Path) -> None:
    store = SqliteStore(folder, SystemClock(), SystemDice(), LocalChanges())
    store.guard.use(judge_by(RULES))
    await store.directory.add_domain(Domain("example.test", 0))
    account = await store.directory.add_account(ALICE, "", "")
    bench = Bench(store, account.id, HEADER + LINE * (4096 // len(LINE)))
    for _day in range(30):
        for number in range(5):
            submitted = bench.submitted(f"friend{number}")
            await bench.accept(submitted, await bench.facts(submitted))
        bench.clock.advance(86_400)
    count, each = arguments.messages, arguments.messages // 5
    messages = [bench.submitted() for _ in range(count)]
    profile = cProfile.Profile()
    if arguments.profile:
        profile.enable()
    began = time.process_time()
    facts = [await bench.facts(submitted) for submitted in messages]
    gathering = (time.process_time() - began) / count * 1e6
    without, with_debit = [], []
    for start in range(0, count, each):
        part = slice(start, start + each)
        plain = [bench.submitted() for _ in range(each)]
        without.append(
            await cpu_us(each, arguments.concurrency, [(submitted, None) for submitted in plain], bench)
        )
        with_debit.append(
            await cpu_us(
                each, arguments.concurrency, list(zip(messages[part], facts[part], strict=True)), bench
            )
        )
    if arguments.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    debit = statistics.median(with_debit) - statistics.median(without)
    size = len((await store.guard.watched(account.id)).state.contents)
    print(
        f"gathering {gathering:.0f} µs, debit {debit:.0f} µs, together {gathering + debit:.0f} µs CPU a "
        f"message ({size} contents known)"
    )
    print(f"an accept without the debit: {statistics.median(without):.0f} µs")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(measure(parser.parse_args(), Path(folder)))


if __name__ == "__main__":
    main()
