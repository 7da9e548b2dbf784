"""A hijacked account from the first spam to the end of it, over the memory store: nothing leaves, people hear
of it, one step ends it."""

import base64
import email
import email.policy
import subprocess

import pytest
from tests.services.guard.world import AWAY, DAY, HOME, GuardedWorld

from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.signals import Reason
from sekisho.ports.guard import Case
from sekisho.ports.keys import DkimKey


async def hijacked(count: int = 40) -> GuardedWorld:
    world = await GuardedWorld().fill()
    await world.ordinary_days()
    for number in range(count):
        answer = await world.send(
            f"victim{number}@v{number % 15}.example",
            address=AWAY,
            agent="",
            text="buy https://evil.example/now",
        )
        assert answer.startswith("250")  # the thief learns nothing
    return world


async def the_case(world: GuardedWorld) -> Case:
    (case,) = await world.store.guard.cases()
    return case


def letters(octets: list[bytes]) -> list[tuple[str, str]]:
    found = []
    for one in octets:
        message = email.message_from_bytes(one, policy=email.policy.default)
        if message["Auto-Submitted"] == "auto-generated":
            found.append((str(message["Subject"]), message.get_content()))
    return found


async def test_a_burst_reaches_nobody() -> None:
    world = await hijacked()
    await world.deliver()
    world.clock.advance(3600)
    await world.deliver()
    assert world.courier.carried == []
    case = await the_case(world)
    assert case.action == "freeze" and case.credential_id == "password"
    assert {reason.signal for reason in case.reasons} >= {
        "network",
        "client",
        "link",
        "domains",
        "same-content",
    }
    assert len(await world.store.guard.held(world.accounts["user"].id)) == 40
    verdicts = {
        labels: count
        for (name, labels), count in world.metrics.values.items()
        if name == "sekisho_guard_verdicts_total"
    }
    assert set(verdicts) == {(("verdict", word),) for word in ("pass", "slow", "hold", "freeze")}
    entry = next(
        entry
        for entry in world.journal.entries
        if entry.kind == "guard.verdict" and entry.fields["verdict"] == "freeze"
    )
    assert entry.about == ("user@local.example", AWAY) and "evil.example" in str(entry.fields["because"])


async def test_the_credential_is_frozen_and_people_are_told_once() -> None:
    world = await hijacked()
    await world.store.guard.set_recovery_address(world.accounts["user"].id, "user@second.example")
    await world.keeper.keep()
    await world.keeper.keep()
    password = await world.store.credentials.credential(world.accounts["user"].id, "password")
    assert password is not None and password.disabled_at_us
    assert (await world.send("x@there.example", address=AWAY)).startswith("535")
    ((subject, text),) = letters(await world.mailbox("user"))
    assert subject == "Mail sent as user@local.example is held"
    assert (
        "The network 203.0.113.0/24 is new for this account." in text
        and "connections that it opened were cut" in text
    )
    assert "40 messages are held" in text and "other@local.example" in text
    ((subject, text),) = letters(await world.mailbox("other"))
    assert (
        subject == "Guard: mail of user@local.example is held"
        and "sekisho guard purge user@local.example" in text
    )
    relayed = [m for m in await world.store.spool.queue() if m.origin == "dsn"]
    assert [str(m.recipients[0].recipient.address) for m in relayed] == ["user@second.example"] and str(
        relayed[0].envelope.reverse_path
    ) == ""
    assert world.journal.kinds().count("guard.frozen") == 1 and "guard.held" not in world.journal.kinds()
    assert world.journal.faults == []
    case = await the_case(world)
    assert case.frozen_at_us and case.announced_at_us and len(case.done) == 1


async def test_who_had_mail_before_is_named_to_the_administrator() -> None:
    world = await GuardedWorld().fill()
    await world.ordinary_days()
    for number in range(50):  # slowly: what is sent leaves before the next
        await world.send(f"victim{number}@v{number}.example", address=AWAY, agent="")
        world.clock.advance(600)
        await world.deliver()
    await world.keeper.keep()
    reached = world.courier.reached()
    assert 20 < len(reached) < 50
    ((_, text),) = letters(await world.mailbox("other"))
    assert f"mail went to {len(reached)} recipients elsewhere" in text
    assert [line.removeprefix("  - ") for line in text.splitlines() if "victim" in line] == reached
    left = await world.store.guard.left(world.accounts["user"].id, (await the_case(world)).since_us)
    assert [row.address for row in left] == reached


async def test_a_traveller_only_waits_a_minute() -> None:
    world = await GuardedWorld().fill()
    await world.ordinary_days()
    for number in range(10):
        await world.send("friend1@there.example", address=f"198.51.{number}.3")
        world.clock.advance(3600)
    await world.deliver()
    assert len(world.courier.carried) == 10 and await world.store.guard.cases() == []
    slowed = [entry.fields["verdict"] for entry in world.journal.entries if entry.kind == "guard.verdict"]
    assert set(slowed) == {"slow"}


async def test_a_job_that_waits_in_a_worker_is_kept_back() -> None:
    world = await GuardedWorld().fill()
    await world.ordinary_days()
    await world.send("friend0@there.example")
    assert len(world.jobs) == 1  # claimed by this worker, not yet under way
    await world.store.guard.hold(
        world.accounts["user"].id, "password", "hold", Reason("by-hand", 100, "The administrator held it.")
    )
    await world.deliver()
    assert world.courier.carried == [] and "queue.kept_back" in world.journal.kinds()
    (message,) = await world.store.spool.queue()
    assert message.recipients[0].state == "held"


async def test_bounces_hold_the_rest() -> None:
    world = await GuardedWorld(rules=GuardRules(hold_at=60)).fill()
    await world.ordinary_days()
    for number in range(12):
        await world.send(f"gone{number}@there.example")
        world.clock.advance(61)
        await world.deliver()
    case = await the_case(world)
    assert case.reasons[0].signal == "bounces"


def private_key() -> DkimKey:
    pem = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True
    ).stdout
    return DkimKey(
        domain="local.example",
        selector="s1",
        algorithm="ed25519",
        state="active",
        private_pem=pem,
        created_at_us=0,
        changed_at_us=0,
    )


async def test_released_mail_is_signed_anew_and_sent_once() -> None:
    world = await GuardedWorld().fill()
    await world.add_key(private_key())
    user = world.accounts["user"].id
    await world.store.guard.hold(
        user, "password", "hold", Reason("by-hand", 100, "The administrator held it.")
    )
    assert (
        await world.send("friend@there.example", "other@local.example", To="friend@there.example")
    ).startswith("250")
    held_at = world.clock.now_us() // 1_000_000
    world.clock.advance(9 * DAY)
    ((sent),) = await world.store.guard.held(user)
    await world.store.guard.close_case((await the_case(world)).id, "released")
    assert await world.kit.releaser.release(sent.message_id) == (2, 0)
    assert await world.kit.releaser.release(sent.message_id) == (0, 0)
    for _ in range(3):
        await world.deliver()
    ((_, address, octets),) = world.courier.carried
    (copy,) = await world.mailbox("other")
    assert address == "friend@there.example" and copy == b"Return-Path: <user@local.example>\r\n" + octets
    assert octets.count(b"DKIM-Signature:") == 1 and f"t={held_at + 9 * DAY};".encode() in octets.replace(
        b"\r\n\t", b""
    )
    assert octets.startswith(b"Received: by mx.local.example") and octets.count(b"Received:") == 1
    assert await world.store.spool.queue() == []


async def test_an_account_that_is_gone_needs_no_letter() -> None:
    world = await GuardedWorld().fill()
    await world.store.guard.hold(
        12345, "password", "freeze", Reason("by-hand", 100, "The administrator held it.")
    )
    await world.keeper.keep()
    assert await world.store.guard.unfinished() == [] and world.journal.faults == []


async def test_a_failing_freezer_is_tried_again() -> None:
    world = await hijacked()

    class Broken:
        async def freeze(self, account_id: int, credential_id: str, since_us: int) -> tuple[str, ...]:
            raise RuntimeError("bug")

    ports = world.keeper._ports
    object.__setattr__(ports, "freezer", Broken())
    await world.keeper.keep()
    assert [where for where, _ in world.journal.faults] == ["guard.case"]
    object.__setattr__(ports, "freezer", world.freezer)
    await world.keeper.keep()
    assert await world.store.guard.unfinished() == []


@pytest.mark.parametrize("credential", ["uid:33"])
async def test_a_system_user_has_no_password_to_freeze(credential: str) -> None:
    world = await GuardedWorld().fill()
    user = world.accounts["user"].id
    assert "this system user" in (await world.freezer.freeze(user, credential, 0))[0]
    assert await world.freezer.thaw(user, credential) == ()
    account = await world.store.directory.account(user)
    assert account is not None and account.state == "active"


async def test_facts_of_a_message() -> None:
    world = await GuardedWorld().fill()
    await world.send(
        "friend@there.example", address=HOME, Reply_To="x@away.example", In_Reply_To="<q@there.example>"
    )
    watched = await world.store.guard.watched(world.accounts["user"].id)
    assert list(watched.state.networks) == ["192.0.2.0/24"] and list(watched.state.clients) == [
        "Thunderbird, literal, PLAIN"
    ]
    assert len(watched.state.identities) == 2 and len(watched.state.threads) == 1
    text = base64.b64encode(b"see https://www.Shop.example/a?b and mailto:x@y").decode()
    await world.send(
        "friend@there.example", text=text, Content_Transfer_Encoding="base64", Content_Type="text/plain"
    )
    watched = await world.store.guard.watched(world.accounts["user"].id)
    assert len(watched.state.links) == 1
