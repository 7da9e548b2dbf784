"""The authenticator against small fakes of its ports; Argon2 is real, but counted."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest
from tests.services.authentication.world import ALICE, ELSEWHERE, GOOD, HOME, NEIGHBOUR, World

from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import LoginFailure, PasswordProof
from sekisho.ports.credentials import Credential, StoredCredential
from sekisho.ports.directory import Account, StoredPassword
from sekisho.services.authentication.appsecrets import SECRET_KEY, letters_of, make_secret, secret_digest
from sekisho.services.authentication.hashing import HashingBusy, Lane
from sekisho.services.authentication.limiter import CHECKS_PER_NETWORK
from sekisho.services.authentication.passwords import hash_password, is_current, verify_password


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_a_good_login_is_answered_at_once(world: World) -> None:
    assert await world.login() == ALICE
    assert world.slept == [] and world.journal.kinds() == ["authentication.accepted"]
    assert world.metrics.values[("sekisho_logins_total", (("result", "accepted"), ("service", "imap")))] == 1


@pytest.mark.parametrize("username", ["ALICE@Example.Test", "ａｌｉｃｅ@example.test"])
async def test_other_spellings_of_the_name(world: World, username: str) -> None:
    assert await world.login(replace(GOOD, username=username)) == ALICE


async def test_the_second_login_costs_no_hash(world: World) -> None:
    await world.login()
    assert await world.login() == ALICE and len(world.hashed) == 1
    assert (
        await world.login(service="pop3") == ALICE and len(world.hashed) == 2
    )  # another service is another login
    world.clock.advance(301)
    assert await world.login() == ALICE and len(world.hashed) == 3


async def test_a_new_password_ends_the_memory_of_the_old(world: World) -> None:
    await world.login()
    world.directory.passwords[1] = StoredPassword(1, hash_password("other staple").argon2, "", 2)
    assert await world.login() is LoginFailure.REFUSED


async def test_a_directory_change_ends_the_memory(world: World) -> None:
    await world.login()
    world.changes.wakes[0]()
    await world.login()
    assert len(world.hashed) == 2


@pytest.mark.parametrize(
    ("username", "password", "authzid"),
    [
        ("alice@example.test", "wrong horse", ""),
        ("alice@example.test", "wrong\0horse", ""),
        ("alice@example.test", "", ""),
        ("alice@example.test", "x" * 5000, ""),
        ("nobody@example.test", "correct horse", ""),
        ("alice", "correct horse", ""),
        ("alice@example.test\r\n", "correct horse", ""),
        ("x" * 5000, "correct horse", ""),
        ("alice@example.test", "correct horse", "bob@example.test"),
        ("alice@example.test", "correct horse", "root"),
    ],
)
async def test_refusals_take_the_same_time_and_work(
    world: World, username: str, password: str, authzid: str
) -> None:
    assert await world.login(PasswordProof(username, password, authzid)) is LoginFailure.REFUSED
    assert len(world.hashed) == 1 and world.slept == [pytest.approx(1.975)]


async def test_acting_for_oneself_is_allowed(world: World) -> None:
    assert await world.login(replace(GOOD, authzid="Alice@EXAMPLE.test")) == ALICE


@pytest.mark.parametrize(
    ("state", "allowed"), [("login_disabled", False), ("deleted", False), ("sending_held", True)]
)
async def test_account_states(world: World, state: str, allowed: bool) -> None:
    await world.login()  # remembered, and yet:
    world.directory.accounts["alice@example.test"] = Account(id=1, address="alice@example.test", state=state)
    assert await world.login() == (ALICE if allowed else LoginFailure.REFUSED)


async def test_the_limiter_speaks_before_any_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=3)
    for number in range(3):
        assert await world.login(replace(GOOD, password=f"wrong {number}")) is LoginFailure.REFUSED
    world.hashed.clear()
    assert await world.login() is LoginFailure.LIMITED
    assert await world.login(client=NEIGHBOUR) is LoginFailure.LIMITED  # the same /24
    assert world.hashed == [] and world.slept[-1] == 2.0
    assert await world.login(client=ELSEWHERE) == ALICE  # never locked everywhere
    assert await world.login(replace(GOOD, username="bob@example.test")) == Identity(
        account_id=2, address=Address("bob", "example.test")
    )


async def test_a_network_that_sprays_is_limited_but_not_for_whom_it_is_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, failures_per_network=3)
    assert await world.login() == ALICE
    for number in range(3):
        await world.login(PasswordProof(f"user{number}@example.test", "correct horse"), NEIGHBOUR)
    assert await world.login(replace(GOOD, username="bob@example.test")) is LoginFailure.LIMITED
    assert await world.login() == ALICE


async def test_a_device_with_an_old_password_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=3)
    for _ in range(10):
        assert await world.login(replace(GOOD, password="last year's")) is LoginFailure.REFUSED
    assert len(world.hashed) == 1
    assert await world.login() == ALICE


async def test_success_forgives(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=2)
    for number in range(5):
        await world.login(replace(GOOD, password=f"wrong {number}"))
        assert await world.login() == ALICE


async def test_guesses_sent_at_once_do_not_pass_the_limit_by_much(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=3)
    guesses = [world.login(replace(GOOD, password=f"wrong {number}")) for number in range(60)]
    results = await asyncio.gather(*guesses)
    assert len(world.hashed) <= 3 + CHECKS_PER_NETWORK and results.count(LoginFailure.LIMITED) >= 49


async def test_a_full_queue_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, hashing_threads=1)
    clients = [ip_address(f"198.51.{n}.1") for n in range(Lane.NEWCOMER.value + 4)]
    results = await asyncio.gather(*(world.login(replace(GOOD, password=f"wrong {c}"), c) for c in clients))
    assert (
        results.count(LoginFailure.UNAVAILABLE) == 3
        and results.count(LoginFailure.REFUSED) == Lane.NEWCOMER.value + 1
    )
    assert await world.login() == ALICE  # the queue is free again


async def test_who_finds_the_queue_full_all_the_time_is_banned(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_network=5, failures_per_wide_network=1000)
    assert await world.login() == ALICE

    async def run(*_: object, lane: Lane) -> bool:
        raise HashingBusy

    monkeypatch.setattr(world.authenticator._pool, "run", run)
    for number in range(5):
        assert (
            await world.login(replace(GOOD, password=f"guess {number}"), ELSEWHERE)
            is LoginFailure.UNAVAILABLE
        )
        assert (
            await world.login(replace(GOOD, password=f"guess {number}")) is LoginFailure.UNAVAILABLE
        )  # at home nobody counts
    assert await world.login(replace(GOOD, password="guess"), ELSEWHERE) is LoginFailure.LIMITED
    assert await world.login() == ALICE


async def test_a_store_that_is_down_is_unavailable(world: World) -> None:
    world.directory.broken = True
    assert await world.login() is LoginFailure.UNAVAILABLE
    assert world.slept == [2.0] and world.counters.sums == {}


async def test_a_broken_hash_is_our_fault(world: World) -> None:
    world.directory.passwords[1] = StoredPassword(1, "$argon2id$broken", "", 1)
    assert await world.login() is LoginFailure.UNAVAILABLE
    assert len(world.journal.faults) == 1


async def test_causes_are_written_down(world: World) -> None:
    await world.login(replace(GOOD, password="wrong horse"))
    assert world.cause() == "wrong password"
    await world.login(replace(GOOD, username="nobody@example.test"))
    assert world.cause() == "no such account"
    assert "correct horse" not in repr(world.journal.entries)


async def test_closing_unsubscribes(world: World) -> None:
    world.authenticator.close()
    assert world.changes.wakes == []


async def test_an_imported_password_is_kept_better_after_the_first_good_login(world: World) -> None:
    imported = (
        "{CRYPT}$6$saltsalt$1Ow1N1lMu5MSWd7U26oAl3WVEb/OlwP92YyLNoYnDEuHBK3F9ihboOwZCK.mdxpOAXaD8PgI"
        "GyKhzzhvpcW021"
    )
    good = PasswordProof("alice@example.test", "himitsu")
    world.directory.passwords[1] = StoredPassword(1, imported, "", 1)
    assert await world.login() is LoginFailure.REFUSED and world.directory.passwords[1].argon2 == imported
    world.directory.broken_upgrades = True
    assert await world.login(good) == ALICE and world.directory.passwords[1].argon2 == imported
    world.directory.broken_upgrades = False
    assert await world.login(good, service="pop3") == ALICE
    kept = world.directory.passwords[1]
    assert (
        is_current(kept.argon2)
        and verify_password(kept.argon2, "himitsu")
        and kept.scram_sha256
        and kept.version == 1
    )
    assert world.journal.kinds()[-2:] == ["authentication.upgraded", "authentication.accepted"]
    assert await world.login(good) == ALICE and world.journal.kinds()[-2:] == ["authentication.accepted"] * 2


async def test_a_hash_that_nobody_can_read_is_our_fault(world: World) -> None:
    world.directory.passwords[1] = StoredPassword(1, "himitsu", "", 1)
    assert await world.login() is LoginFailure.UNAVAILABLE


async def test_a_sprayed_password_opens_nothing_from_a_strange_place(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, sprayed_accounts=3)
    assert await world.login() == ALICE
    for number in range(3):
        await world.login(
            PasswordProof(f"member{number}@example.test", "correct horse"), ip_address(f"203.0.{number}.1")
        )
    assert await world.login(client=ELSEWHERE) is LoginFailure.REFUSED
    assert world.cause() == "password tried at many accounts"
    assert await world.login() == ALICE
    world.clock.advance(901)
    assert await world.login(client=ELSEWHERE) == ALICE


async def test_guesses_from_the_owners_own_network_do_not_end_what_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, failures_per_account_and_network=2)
    assert await world.login() == ALICE
    for number in range(6):
        await world.login(replace(GOOD, password=f"guess {number}"), NEIGHBOUR)
    world.hashed.clear()
    assert await world.login(replace(GOOD, password="guess 7"), NEIGHBOUR) is LoginFailure.LIMITED
    assert world.cause() == "banned: account" and world.hashed == []
    assert await world.login() == ALICE  # what fitted a moment ago is no guess
    world.clock.advance(301)
    assert await world.login() is LoginFailure.LIMITED  # it is not remembered any more
    world.clock.advance(600)
    assert await world.login() == ALICE


async def test_who_is_known_from_there_is_checked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    lanes: list[Lane] = []

    async def run(function: object, first: str, second: str, *, lane: Lane) -> bool:
        lanes.append(lane)
        return second == GOOD.password

    monkeypatch.setattr(world.authenticator._pool, "run", run)
    await world.login()
    await world.login(client=ELSEWHERE, service="pop3")
    await world.login(client=NEIGHBOUR, service="submission")
    for number in range(4):
        await world.login(replace(GOOD, password=f"guess {number}"), ip_address("203.0.113.9"))
    assert lanes == [
        Lane.NEWCOMER,
        Lane.NEWCOMER,
        Lane.FAMILIAR,
        Lane.NEWCOMER,
        Lane.NEWCOMER,
        Lane.NEWCOMER,
        Lane.STRANGE,
    ]


async def test_no_name_at_all_bans_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=3)
    for number in range(3):
        await world.login(PasswordProof("", f"wrong {number}"))
    assert [(ban.account, ban.reason) for ban in await world.bans.listing()] == [("*", "account")]
    assert isinstance(await world.login(), Identity)


async def test_a_secret_shown_at_the_wrong_host_is_good_at_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, secret = World(monkeypatch), make_secret()
    digest = secret_digest(await world.credentials.server_key(SECRET_KEY), letters_of(secret))
    credential = Credential(account_id=1, id="app:1", kind="app", label="scanner", networks=(f"{HOME}/32",))
    world.credentials.stored.append(StoredCredential(credential, digest, ""))
    proof = PasswordProof("alice@example.test", secret)
    for _ in range(2):
        assert (
            await world.login(proof, NEIGHBOUR) is LoginFailure.REFUSED
            and world.cause() == "credential not from this network"
        )
    assert not world.counters.sums  # as with SCRAM, it was no guess
    assert isinstance(await world.login(proof, HOME), Identity)
