"""What follows from a case, broken off at every call of it and begun again: people are told once, and all of
them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.breaking import Breaker

from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.terms.address import Address
from sekisho.core.terms.reply import Reply
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Account, Alias, Domain
from sekisho.ports.guard import Case
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Outcome
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.guard.cases import CaseKeeper, CasePorts
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.letters import LetterRules, LetterWriter
from sekisho.services.signing import NO_SIGNING
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics

HERE, THERE = "here.example", "there.example"
OWNER = Owner("host", 0, 1)
REASON = Reason("by-hand", 100, "The administrator held it.")


class World:
    """mary@here is watched and has a second address there; postmaster@here is boss@here and chief@there."""

    def __init__(self, store: Any, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.breaker = Breaker()
        self.journal, self.metrics = MemoryJournal(), MemoryMetrics()
        wrap = self.breaker.wrap
        rules = LetterRules(HERE, "en", {}, 10**12)
        recipients = RecipientProbe(wrap(store.directory), HERE, {"postmaster": f"boss@{HERE}"})
        letters = LetterWriter(rules, wrap(store.spool), recipients, NO_SIGNING, clock)
        freezer = CredentialFreezer(wrap(store.credentials), clock)
        ports = CasePorts(
            guard=wrap(store.guard),
            directory=wrap(store.directory),
            freezer=freezer,
            letters=letters,
            clock=clock,
            journal=self.journal,
            metrics=self.metrics,
        )
        self.keeper = CaseKeeper(ports, rules, f"post@{HERE}")
        self.carried: list[tuple[str, str]] = []

    async def fill(self) -> "World":
        directory = self.store.directory
        await directory.add_domain(Domain(HERE, 0))
        self.people: dict[str, Account] = {}
        for name in ("mary", "boss"):
            self.people[name] = await directory.add_account(Address(name, HERE), "argon2", "scram")
        await directory.put_alias(Alias(f"post@{HERE}", (f"boss@{HERE}", f"chief@{THERE}"), False))
        await self.store.guard.set_recovery_address(self.people["mary"].id, f"mary@{THERE}")
        return self

    async def open(self, action: Any) -> Case:
        case: Case = await self.store.guard.hold(self.people["mary"].id, "password", action, REASON)
        return case

    async def round(self) -> None:
        """As the duty does it: what goes wrong here is tried again."""
        try:
            await self.keeper.keep()
        except (StoreUnavailable, RuntimeError, asyncio.CancelledError):
            pass
        self.clock.advance(30)

    async def carry(self) -> None:
        """The queue's letters leave."""
        for job in await self.store.spool.claim(OWNER, 100):
            for row in job.recipients:
                self.carried.append((job.message_id, str(row.recipient.address)))
            reply = Reply.of(250, "2.0.0", "taken")
            await self.store.spool.settle(
                job,
                tuple(
                    Outcome(recipient_id=row.id, result="delivered", reply=reply) for row in job.recipients
                ),
            )

    async def letters(self, name: str) -> list[tuple[bytes | None, int]]:
        """(Message-ID, size) of what is in the mailbox."""
        info = await self.store.mail.mailbox(self.people[name].id, "INBOX")
        found = []
        for row in await self.store.mail.rows(info.id, UidSet.of(range(1, info.uidnext))):
            octets = await self.store.mail.open(info.id, row.uid)
            found.append(
                (HeaderSection(await octets.read(0, 1 << 16)).first(b"message-id"), octets.size_octets)
            )
        return found

    async def state(self) -> dict[str, Any]:
        """All that is left behind, without times."""
        (case,) = await self.store.guard.cases()
        password = await self.store.credentials.credential(self.people["mary"].id, "password")
        return {
            "mailboxes": {name: await self.letters(name) for name in self.people},
            "carried": sorted(self.carried),
            "queue": await self.store.spool.queue(),
            "frozen": bool(password and password.disabled_at_us),
            "case": (case.action, bool(case.announced_at_us), bool(case.frozen_at_us), case.done),
        }


@pytest.fixture(params=["memory", pytest.param("sqlite", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made: list[SqliteStore] = []

    async def new() -> World:
        clock = ManualClock()
        if request.param == "memory":
            return await World(MemoryStore(clock, SeededDice(3)), clock).fill()
        settings = StoreSettings(free_disk_octets=1)
        made.append(
            SqliteStore(tmp_path / f"data{len(made)}", clock, SeededDice(3), LocalChanges(), settings)
        )
        return await World(made[-1], clock).fill()

    new.made = made  # type: ignore[attr-defined]  # for `closing`
    return new


@pytest.fixture
async def closing(make: Any) -> AsyncIterator[None]:
    yield
    for store in make.made:
        await store.close()


async def played(
    make: Any,
    action: str,
    at: int = -1,
    *,
    after: bool = False,
    error: BaseException | None = None,
    leaves: bool = False,
) -> World:
    world: World = await make()
    await world.open(action)
    world.breaker.arm(at, error or RuntimeError("injected"), after=after)
    for _ in range(4):
        await world.round()
        if leaves:
            await world.carry()
    await world.carry()
    return world


@pytest.mark.parametrize("action", ["hold", "freeze"])
async def test_a_case_broken_off_anywhere_ends_as_if_it_was_not(
    make: Any, closing: None, action: str
) -> None:
    whole = await played(make, action)
    expected, calls = await whole.state(), whole.breaker.count
    assert [len(expected["mailboxes"][name]) for name in ("mary", "boss")] == [1, 1] and len(
        expected["carried"]
    ) == 2
    assert calls > 10 and not whole.journal.faults and expected["case"][1]
    errors: list[BaseException] = [
        RuntimeError("injected"),
        StoreUnavailable("injected"),
        asyncio.CancelledError(),
    ]
    step = 1 if isinstance(whole.store, MemoryStore) else 3
    for at in range(1, calls + 1, step):
        for after in (False, True):
            error = errors[(at + after) % 3]
            world = await played(make, action, at, after=after, error=error, leaves=at % 2 == 0)
            assert await world.state() == expected, (at, after, error)


async def test_one_letter_that_cannot_be_written_keeps_back_no_other(make: Any, closing: None) -> None:
    world: World = await make()
    await world.store.guard.set_recovery_address(world.people["mary"].id, "no address")
    await world.open("hold")
    await world.round()
    assert [len(await world.letters(name)) for name in ("mary", "boss")] == [1, 1]
    assert await world.store.guard.unfinished() == [] and world.journal.kinds().count("notice.lost") == 1


async def test_a_fault_in_one_letter_is_tried_again_and_the_others_came_once(
    make: Any, closing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world: World = await make()
    send, broken = LetterWriter.send, [True]

    async def failing(writer: LetterWriter, letter: Any) -> bool:
        if broken[0] and letter.id.endswith("-owner"):
            raise ZeroDivisionError("a bug")
        return await send(writer, letter)

    monkeypatch.setattr(LetterWriter, "send", failing)
    await world.open("hold")
    for _ in range(3):
        await world.round()
    assert [len(await world.letters(name)) for name in ("mary", "boss")] == [0, 1]
    assert [where for where, _ in world.journal.faults] == ["guard.letter"] * 3
    broken[0] = False
    await world.round()
    await world.carry()
    assert [len(await world.letters(name)) for name in ("mary", "boss")] == [1, 1] and len(world.carried) == 2


async def test_a_case_that_grows_graver_between_two_steps_is_told_as_such(make: Any, closing: None) -> None:
    """Worse while the letters about holding were written, and broken off between freezing and telling."""
    whole = await played(make, "freeze")
    step = 1 if isinstance(whole.store, MemoryStore) else 3
    for at in range(1, whole.breaker.count + 1, step):
        world: World = await make()
        await world.open("hold")
        await world.round()
        await world.open("freeze")
        world.breaker.arm(at, RuntimeError("injected"), after=True)
        for _ in range(3):
            await world.round()
        boss = [message_id or b"" for message_id, _ in await world.letters("boss")]
        assert [b"-freeze-" in message_id for message_id in boss] == [False, True], at
        assert (await world.store.guard.cases())[0].frozen_at_us
