"""What the takeover guard costs one submitted message: looking at its content, gathering its facts, debiting
it inside the accepting transaction, and counting what became of it when it was relayed.

    python bench/guard_cost.py [--messages 3000] [--concurrency 20] [--profile]

One account with a month of history, 4 KB of text to one known recipient. CPU of this process, all threads;
accepting and settling are measured with and without the guard in turn, and the difference is its part.
"content" is what `content.outgoing` asks for: attachments, with a classifier that has not learnt yet.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import uvloop

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.contentrules import ContentRules
from sekisho.core.policy.takeover.judge import judge_by
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Outgoing
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.directory import Domain
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Acceptance, Outcome, QueueJob, RelayRecipient
from sekisho.probes.content import ContentProbe
from sekisho.services.submission.content import OutgoingContent
from sekisho.services.submission.seams import SubmissionContext, Submitted
from sekisho.services.submission.takeover import TakeoverWatch
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, NoMetrics

OWNER = Owner("host", 0, 1)
DELIVERED = Reply.of(250, "2.0.0", "queued")
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
        self.content = OutgoingContent(ContentProbe(), ContentRules(), self.clock, MemoryJournal())
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

    async def settle(self, job: QueueJob) -> None:
        said = tuple(
            Outcome(recipient_id=row.id, result="delivered", reply=DELIVERED) for row in job.recipients
        )
        await self.store.spool.settle(job, said)

    async def accept(self, submitted: Submitted, outgoing: Outgoing | None) -> tuple[QueueJob, ...]:
        relay = RelayRecipient(
            recipient=submitted.envelope.recipients[0],
            next_hop="there.test",
            due_at_us=0,
            expires_at_us=2**61,
            fresh_lease=OWNER,
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
        return (await self.store.spool.accept(item)).jobs


Work = list[tuple[Submitted, Outgoing | None]]


async def in_lanes(concurrency: int, steps: list[Callable[[], Awaitable[None]]]) -> float:
    """CPU-µs a step."""
    pending = iter(steps)

    async def lane() -> None:
        for step in pending:
            await step()

    began = time.process_time()
    await asyncio.gather(*(lane() for _ in range(concurrency)))
    return (time.process_time() - began) / len(steps) * 1e6


async def accept_and_settle(concurrency: int, work: Work, bench: Bench) -> tuple[float, float]:
    jobs: list[QueueJob] = []

    async def accept(submitted: Submitted, outgoing: Outgoing | None) -> None:
        jobs.extend(await bench.accept(submitted, outgoing))

    accepting = await in_lanes(concurrency, [partial(accept, *item) for item in work])
    return accepting, await in_lanes(concurrency, [partial(bench.settle, job) for job in jobs])


async def month_of_letters(bench: Bench) -> None:
    for _day in range(30):
        for number in range(5):
            submitted = bench.submitted(f"friend{number}")
            await bench.accept(submitted, await bench.facts(submitted))
        bench.clock.advance(86_400)


async def measure(arguments: argparse.Namespace, folder: Path) -> None:
    store = SqliteStore(folder, SystemClock(), SystemDice(), LocalChanges())
    store.guard.use(judge_by(RULES))
    await store.directory.add_domain(Domain("example.test", 0))
    account = await store.directory.add_account(ALICE, "", "")
    bench = Bench(store, account.id, HEADER + LINE * (4096 // len(LINE)))
    await month_of_letters(bench)
    count, each = arguments.messages, arguments.messages // 5
    messages = [bench.submitted("friend1") for _ in range(count)]
    profile = cProfile.Profile()
    if arguments.profile:
        profile.enable()
    began = time.process_time()
    for submitted in messages:
        await bench.content.says(submitted)
    looking = (time.process_time() - began) / count * 1e6
    began = time.process_time()
    facts = [await bench.facts(submitted) for submitted in messages]
    gathering = (time.process_time() - began) / count * 1e6
    without, guarded = [], []
    for start in range(0, count, each):
        part = slice(start, start + each)
        plain: Work = [(bench.submitted("friend1"), None) for _ in range(each)]
        without.append(await accept_and_settle(arguments.concurrency, plain, bench))
        work: Work = list(zip(messages[part], facts[part], strict=True))
        guarded.append(await accept_and_settle(arguments.concurrency, work, bench))
    if arguments.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    accept, settle = (statistics.median(values) for values in zip(*without, strict=True))
    debit, counting = (statistics.median(values) for values in zip(*guarded, strict=True))
    parts = {"content": looking, "facts": gathering, "debit": debit - accept, "outcome": counting - settle}
    print(
        ", ".join(f"{name} {part:.0f}" for name, part in parts.items())
        + f": {sum(parts.values()):.0f} µs CPU"
    )
    print(f"without the guard: an accept {accept:.0f} µs, settling it {settle:.0f} µs")
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
