"""A small server in memory for the SMTP services: one domain, a few accounts and aliases, no sockets."""

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar

from tests.services.passwords_only import PasswordsOnly
from tests.stores.opened import OpenStore

from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits, LoginSettings, QueueSettings, ReceptionSettings, SubmissionSettings
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.ports.directory import Account, Alias, Domain
from sekisho.ports.leases import Owner
from sekisho.ports.spool import QueueJob
from sekisho.ports.stream import ListenerInfo
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.authentication.standing import LoginStanding
from sekisho.services.reception.inspection import Inspector, NoInspection
from sekisho.services.reception.reception import Reception
from sekisho.services.reception.tools import ReceptionConfig, ReceptionTools
from sekisho.services.reception.watch import DoorWatch
from sekisho.services.reports.intake import NO_INTAKE, Intake
from sekisho.services.sieve.service import NO_SIEVE, Sieving
from sekisho.services.submission.seams import NoJudge, NoSigner, OutboundJudge, Signer
from sekisho.services.submission.submission import Submission
from sekisho.services.submission.tools import SubmissionConfig, SubmissionTools
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.stream import ManualShutdown, MemoryStream, connected_streams

OWNER = Owner("host", 0, 1)
HOSTNAME = "mx.local.example"


class OnePassword(PasswordsOnly):
    """Everybody's password is one of `passwords`."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.unavailable = False
        self.passwords = {"secret"}
        self.sender: Address | None = None  # that the credential may send as, None: all of the account's

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure:
        if self.unavailable:
            return LoginFailure.UNAVAILABLE
        account = await self._world.store.directory.account_by_address(Address.from_text(proof.username))
        if (
            account is None
            or proof.password not in self.passwords
            or account.state not in ("active", "sending_held")
        ):
            return LoginFailure.REFUSED
        identity = Identity(
            account_id=account.id,
            address=Address.from_text(account.address),
            version=account.credential_version,
            sender=self.sender,
        )
        return identity if await self.still_valid(identity) else LoginFailure.REFUSED

    async def still_valid(self, identity: Identity) -> bool:
        store = self._world.store
        return await LoginStanding(store.directory, store.credentials, self._world.clock).still_valid(
            identity
        )


@dataclass
class World:
    limits: Limits = field(default_factory=Limits)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    inspector: Inspector = field(default_factory=NoInspection)
    watch: DoorWatch | None = None
    judge: OutboundJudge = field(default_factory=NoJudge)
    signer: Signer = field(default_factory=NoSigner)
    clock: ManualClock = field(default_factory=ManualClock)
    dice: SeededDice = field(default_factory=SeededDice)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    sieve: Sieving = NO_SIEVE
    intake: Intake = NO_INTAKE
    shutdown: ManualShutdown = field(default_factory=ManualShutdown)
    accounts: dict[str, Account] = field(default_factory=dict)
    jobs: list[QueueJob] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    said: bytearray = field(default_factory=bytearray)  # by the services, on all connections
    made: ClassVar[list["World"]] = []

    def __post_init__(self) -> None:
        World.made.append(self)
        self.store = OpenStore(self.clock, self.dice)
        self.authenticator = OnePassword(self)
        self.recipients = RecipientProbe(
            self.store.directory,
            HOSTNAME,
            {"postmaster": "user@local.example", "abuse": "other@local.example"},
        )

    async def fill(self) -> "World":
        directory = self.store.directory
        await directory.add_domain(Domain("local.example", 0))
        await directory.add_domain(Domain("caught.example", 0, catch_all="user@local.example"))
        for name in ("user", "other", "held", "closed", "gone"):
            self.accounts[name] = await directory.add_account(
                Address.from_text(f"{name}@local.example"), "x", ""
            )
        await directory.set_state(self.accounts["held"].id, "sending_held")
        await directory.set_state(self.accounts["closed"].id, "login_disabled")
        await directory.set_state(self.accounts["gone"].id, "deleted")
        for address, targets, may_send in (
            ("both@local.example", ("user@local.example", "other@local.example"), True),
            ("sales@local.example", ("user@local.example",), True),
            ("quiet@local.example", ("user@local.example",), False),
            ("away@local.example", ("friend@elsewhere.example",), True),
            ("mixed@local.example", ("user@local.example", "friend@elsewhere.example"), True),
            ("loop1@local.example", ("loop2@local.example",), True),
            ("loop2@local.example", ("loop1@local.example",), True),
            ("looped@local.example", ("looped@local.example", "user@local.example"), True),
            ("dead@local.example", ("nobody@local.example",), True),
        ):
            await directory.put_alias(Alias(address, targets, may_send))
        return self

    def reception(self) -> Reception:
        tools = ReceptionTools(
            spool=self.store.spool,
            recipients=self.recipients,
            inspector=self.inspector,
            clock=self.clock,
            dice=self.dice,
            journal=self.journal,
            metrics=self.metrics,
            shutdown=self.shutdown,
            owner=lambda: OWNER,
            started=self.jobs.extend,
            watch=self.watch,
            sieve=self.sieve,
            intake=self.intake,
        )
        return Reception(
            tools,
            ReceptionConfig(
                hostname=HOSTNAME,
                limits=self.limits,
                reception=ReceptionSettings(),
                queue=QueueSettings(),
                ledger=self.ledger,
            ),
        )

    def submission(self) -> Submission:
        tools = SubmissionTools(
            spool=self.store.spool,
            directory=self.store.directory,
            recipients=self.recipients,
            authenticator=self.authenticator,
            judge=self.judge,
            signer=self.signer,
            clock=self.clock,
            dice=self.dice,
            journal=self.journal,
            metrics=self.metrics,
            shutdown=self.shutdown,
            owner=lambda: OWNER,
            started=self.jobs.extend,
            sieve=self.sieve,
        )
        config = SubmissionConfig(
            hostname=HOSTNAME,
            limits=self.limits,
            submission=SubmissionSettings(),
            login=LoginSettings(),
            queue=QueueSettings(),
            loose_dot_domains=("docomo.ne.jp",),
            ledger=self.ledger,
        )
        return Submission(tools, config)

    def connect(self, kind: str = "smtp", address: str = "192.0.2.7") -> MemoryStream:
        """The client's end of a new connection to the service of that listener kind."""
        client, server = connected_streams(address, port=25, tls=kind == "submissions")
        write = server.write

        def heard(octets: bytes) -> None:
            self.said += octets
            write(octets)

        server.write = heard  # type: ignore[method-assign]
        if kind == "smtp":
            listener = ListenerInfo("smtp", "smtp", True)
            self.tasks.append(asyncio.create_task(self._serve(self.reception(), server, listener)))
        else:
            listener = ListenerInfo(
                kind, "submissions" if kind == "submissions" else "submission", kind == "submission"
            )
            self.tasks.append(asyncio.create_task(self._serve(self.submission(), server, listener)))
        return client

    async def _serve(
        self, handler: Reception | Submission, server: MemoryStream, listener: ListenerInfo
    ) -> None:
        try:
            await handler(server, listener)
        finally:
            await server.close()

    async def mailbox(self, name: str, mailbox: str = "INBOX") -> list[bytes]:
        """The messages in a mailbox of the account, oldest first, prefix and content."""
        mail, account_id = self.store.mail, self.accounts[name].id
        view = await mail.view(account_id, mailbox, claim_recent=False)
        found = []
        for uid in view.uids:
            octets = await mail.open(view.info.id, uid)
            assert octets is not None
            found.append(await octets.read(0, octets.size_octets))
        return found


async def talk(client: MemoryStream, *sent: bytes) -> list[str]:
    """Send each piece after the reply to the one before; all reply lines. The connection must be open and
    quiet afterwards."""
    replies: list[str] = []
    for piece in sent:
        if piece:
            client.write(piece)
        replies += await reply(client)
    return replies


async def reply(client: MemoryStream) -> list[str]:
    """One batch of replies, up to a last line; an empty list when the server closed."""
    octets = b""
    while True:
        octets += await asyncio.wait_for(client.read(), 20)
        if not octets:
            return []
        lines = octets.decode().splitlines()
        if octets.endswith(b"\r\n") and lines[-1][3:4] == " ":
            return lines


def codes(lines: list[str]) -> list[int]:
    return [int(line[:3]) for line in lines if line[3] == " "]
