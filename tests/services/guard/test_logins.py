"""Logins from new places: told to the owner, not too often; and who reads from a place may send from
there."""

import pytest
from tests.services.guard.test_hijack import letters
from tests.services.guard.world import AWAY, DAY, HOME, GuardedWorld

from sekisho.core.message.dsn_text import Language
from sekisho.ports.credentials import Credential, StoredCredential
from sekisho.ports.places import LoginPlace
from sekisho.services.guard.logins import FORGOTTEN_SECONDS, LoginNoticePorts, LoginNotices
from sekisho.services.letters import LetterRules, LetterWriter
from sekisho.services.signing import NO_SIGNING


class ReadingWorld(GuardedWorld):
    """Its user reads by IMAP from wherever the test says."""

    async def fill(self) -> "ReadingWorld":
        await super().fill()
        self.notices = self.notices_in("en", 2)
        return self

    def notices_in(self, language: Language, per_day: int) -> LoginNotices:
        rules = LetterRules("mx.local.example", language, {}, DAY * 1_000_000)
        store = self.store
        letter_writer = LetterWriter(rules, store.spool, self.recipients, NO_SIGNING, self.clock)
        ports = LoginNoticePorts(
            places=store.places,
            directory=store.directory,
            credentials=store.credentials,
            guard=store.guard,
            counters=store.counters,
            letters=letter_writer,
            clock=self.clock,
            journal=self.journal,
        )
        return LoginNotices(ports, rules, "postmaster@local.example", per_day)

    async def log_in(self, network: str, credential: str = "password", user: str = "user") -> None:
        now_us = self.clock.now_us()
        client = network.partition("0/")[0] + "9"
        await self.store.places.note(
            LoginPlace(
                account_id=self.accounts[user].id,
                network=network,
                credential_id=credential,
                first_us=now_us,
                last_us=now_us,
                days=1,
                client=client,
                service="imap",
                mechanism="SCRAM-SHA-256",
                tls="TLSv1.3",
            )
        )

    async def told(self, user: str = "user") -> list[tuple[str, str]]:
        await self.notices.keep()
        return letters(await self.mailbox(user))


@pytest.fixture
async def world() -> ReadingWorld:
    return await ReadingWorld().fill()


async def test_the_owner_hears_of_a_new_place_once_and_never_of_the_first(world: ReadingWorld) -> None:
    await world.store.guard.set_recovery_address(world.accounts["user"].id, "user@second.example")
    await world.log_in("192.0.2.0/24")
    await world.log_in("198.51.100.0/24")
    assert await world.told() == []
    world.clock.advance(DAY)
    await world.log_in("192.0.2.0/24")
    assert await world.told() == []
    await world.log_in("203.0.113.0/24")
    ((subject, text),) = await world.told()
    assert subject == "New login as user@local.example"
    assert "203.0.113.9, by imap, SCRAM-SHA-256, TLSv1.3, with the password of the account" in text
    assert "If it was not you" in text and "postmaster@local.example" in text
    await world.log_in("203.0.113.0/24")
    assert len(await world.told()) == 1
    relayed = [str(message.recipients[0].recipient.address) for message in await world.store.spool.queue()]
    assert relayed == ["user@second.example"]


async def test_a_new_device_is_named_by_its_label(world: ReadingWorld) -> None:
    account_id = world.accounts["user"].id
    await world.log_in("192.0.2.0/24")
    world.clock.advance(DAY)
    await world.store.credentials.add(
        StoredCredential(
            Credential(account_id=account_id, id="app:1", kind="app", label="phone of Hanako"), b"", ""
        )
    )
    await world.log_in("192.0.2.0/24", "app:1")
    ((_, text),) = await world.told()
    assert "with “phone of Hanako”" in text


async def test_several_places_are_one_letter_and_a_day_has_few_of_them(world: ReadingWorld) -> None:
    await world.log_in("192.0.2.0/24")
    world.clock.advance(DAY)
    for number in range(30):
        await world.log_in(f"198.51.{number}.0/24")
    ((_, text),) = await world.told()
    assert text.count("\n  - ") == 20
    for number in range(3):
        world.clock.advance(60)
        await world.log_in(f"203.0.{number}.0/24")
        assert len(await world.told()) == min(2, 2 + number)
    world.clock.advance(2 * DAY)
    assert len(await world.told()) == 3
    assert "203.0.1.9" in (await world.told())[-1][1] and "203.0.2.9" in (await world.told())[-1][1]
    world.clock.advance(FORGOTTEN_SECONDS)
    await world.told()
    assert await world.store.places.of_account(world.accounts["user"].id) == []


async def test_in_japanese_and_not_at_all(world: ReadingWorld) -> None:
    await world.log_in("192.0.2.0/24")
    world.clock.advance(DAY)
    world.notices = world.notices_in("en", 0)
    await world.log_in("198.51.100.0/24")
    assert await world.told() == []
    world.notices = world.notices_in("ja", 2)
    await world.log_in("203.0.113.0/24")
    ((subject, text),) = await world.told()
    assert (
        subject == "user@local.example への新しいログイン"
        and "203.0.113.9(imap、SCRAM-SHA-256、TLSv1.3、アカウントのパスワード)" in text
    )
    assert "198.51.100" not in text


async def test_a_deleted_account_gets_no_letter(world: ReadingWorld) -> None:
    await world.log_in("192.0.2.0/24")
    world.clock.advance(DAY)
    await world.log_in("203.0.113.0/24")
    await world.store.directory.set_state(world.accounts["user"].id, "deleted")
    await world.notices.keep()
    assert await world.store.places.untold() == []


@pytest.mark.parametrize(("days_read", "verdicts"), [(0, ["slow"]), (1, ["slow"]), (4, [])])
async def test_who_reads_from_a_place_may_send_from_there(
    world: ReadingWorld, days_read: int, verdicts: list[str]
) -> None:
    await world.ordinary_days()
    for _ in range(days_read):
        await world.log_in("203.0.113.0/24")
        world.clock.advance(DAY)
    world.journal.entries.clear()
    assert (await world.send("friend1@there.example", address=AWAY)).startswith("250")
    assert [
        entry.fields["verdict"] for entry in world.journal.entries if entry.kind == "guard.verdict"
    ] == verdicts
    assert (await world.send("friend1@there.example", address=HOME)).startswith("250")
