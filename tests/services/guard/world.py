"""The small server of `smtp_world` with a guard, its letters, and a queue whose courier only takes notes."""

import asyncio
import base64
from dataclasses import dataclass, field

from tests.services.smtp_world import HOSTNAME, OWNER, World, talk

from sekisho.config.schema import QueueSettings, RelaySettings
from sekisho.core.policy.takeover.judge import judge_by
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import MessageOctets
from sekisho.ports.keys import DkimKey
from sekisho.ports.spool import Outcome, QueueJob
from sekisho.services.guard.cases import CaseKeeper, CasePorts
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.guard.releasing import GuardKit, Releaser
from sekisho.services.letters import LetterRules, LetterWriter
from sekisho.services.queue.queue import Queue
from sekisho.services.queue.surroundings import QueuePorts, QueueRules
from sekisho.services.signing import KeySigning
from sekisho.services.submission.signer import DomainSigner
from sekisho.services.submission.takeover import TakeoverWatch

HOME, AWAY = "192.0.2.7", "203.0.113.9"
DAY = 86_400
DELIVERED = Reply.of(250, "2.0.0", "queued")
NO_SUCH = Reply.of(550, "5.1.1", "No such user")


class NotingCourier:
    """Delivers everything at once; recipients that begin with "gone" do not exist."""

    def __init__(self) -> None:
        self.carried: list[tuple[str, str, bytes]] = []  # message id, recipient, octets

    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        whole = await octets.read(0, octets.size_octets)
        out = []
        for row in job.recipients:
            address = str(row.recipient.address)
            if address.startswith("gone"):
                out.append(Outcome(recipient_id=row.id, result="failed", reply=NO_SUCH))
            else:
                self.carried.append((job.message_id, address, whole))
                out.append(Outcome(recipient_id=row.id, result="delivered", reply=DELIVERED))
        return tuple(out)

    def reached(self) -> list[str]:
        return [address for _, address, _ in self.carried]


@dataclass
class GuardedWorld(World):
    rules: GuardRules = field(default_factory=GuardRules)

    async def fill(self) -> "GuardedWorld":
        await super().fill()
        self.store.guard.use(judge_by(self.rules))
        self.judge = TakeoverWatch(
            self.rules, self.clock, self.journal, self.metrics, places=self.store.places
        )
        signing = KeySigning(self.store.keys, self.clock, self.journal)
        self.signer = DomainSigner(signing)
        self.courier = NotingCourier()
        ports = QueuePorts(
            spool=self.store.spool,
            courier=self.courier,
            recipients=self.recipients,
            changes=self.store.changes,
            clock=self.clock,
            dice=self.dice,
            journal=self.journal,
            metrics=self.metrics,
            signing=signing,
            gate=self.store.guard,
        )
        self.queue = Queue(QueueRules.of(HOSTNAME, "en", OWNER, QueueSettings(), RelaySettings()), ports)
        rules = LetterRules(HOSTNAME, "en", {}, DAY * 1_000_000)
        letters = LetterWriter(rules, self.store.spool, self.recipients, signing, self.clock)
        self.freezer = CredentialFreezer(self.store.credentials, self.clock)
        case_ports = CasePorts(
            guard=self.store.guard,
            directory=self.store.directory,
            freezer=self.freezer,
            letters=letters,
            clock=self.clock,
            journal=self.journal,
            metrics=self.metrics,
        )
        self.keeper = CaseKeeper(case_ports, rules, "other@local.example")
        releaser = Releaser(
            spool=self.store.spool,
            guard=self.store.guard,
            recipients=self.recipients,
            signing=signing,
            clock=self.clock,
            lifetime_us=5 * DAY * 1_000_000,
        )
        self.kit = GuardKit(self.store.guard, releaser, self.freezer)
        return self

    async def add_key(self, key: DkimKey) -> None:
        await self.store.keys.put_dkim_keys((key,))

    async def send(
        self,
        *recipients: str,
        address: str = HOME,
        agent: str = "Thunderbird/115",
        text: str = "hello",
        **fields: str,
    ) -> str:
        """One login and one message by user@local.example; the last reply."""
        client = self.connect("submissions", address)
        login = b"AUTH PLAIN " + base64.b64encode(b"\0user@local.example\0secret") + b"\r\n"
        replies = await talk(client, b"", b"EHLO [192.168.1.2]\r\n", login)
        if not replies[-1].startswith("235"):
            return replies[-1]
        header = f"From: User <user@local.example>\r\nUser-Agent: {agent}\r\nSubject: letter\r\n"
        header += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        replies = await talk(
            client,
            b"MAIL FROM:<user@local.example>\r\n",
            *(f"RCPT TO:<{r}>\r\n".encode() for r in recipients),
        )
        if not replies[-1].startswith("250"):
            return replies[-1]
        return (await talk(client, b"DATA\r\n", f"{header}\r\n{text}\r\n.\r\n".encode()))[-1]

    async def ordinary_days(self, days: int = 11) -> None:
        """Three letters a day to friends, each delivered."""
        for _ in range(days):
            for number in range(3):
                assert (await self.send(f"friend{number}@there.example")).startswith("250")
            await self.deliver()
            self.clock.advance(DAY)
        self.courier.carried.clear()

    async def deliver(self) -> None:
        """What is ready now leaves, through the queue's own steps."""
        jobs, self.jobs = [*self.jobs], []
        jobs += await self.store.spool.claim(OWNER, 10_000)
        for job in jobs:
            self.queue.take((job,))
            while self.queue._tasks:
                await asyncio.wait(set(self.queue._tasks))
