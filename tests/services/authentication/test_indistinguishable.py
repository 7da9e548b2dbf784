"""Every refusal looks alike: to each service it is the same answer, at the same moment, whatever its cause
(THREATS 19)."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from tests.services.authentication.test_exchange import app_password, scram
from tests.services.authentication.world import HOME, TLS, World

from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.ports.bans import Ban
from sekisho.ports.credentials import SecondFactor
from sekisho.ports.directory import Account

ALICE, SERVICE_SECRET = "alice@example.test", "scanner in the hall"


def nothing(world: World) -> None:
    pass


def set_account(**fields: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.directory.accounts[ALICE] = Account(id=1, address=ALICE, **{"state": "active", **fields})

    return change


def ban(account: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.bans._bans["192.0.2.0/24", account] = Ban(
            network="192.0.2.0/24",
            account=account,
            reason="guesses",
            since_us=world.clock.now_us(),
            until_us=0,
        )

    return change


def limited_credential(world: World) -> None:
    app_password(world, 1, SERVICE_SECRET, scopes=("smtp",))


def second_factor(world: World) -> None:
    world.credentials.factors[1] = SecondFactor(b"secret", confirmed_at_us=1)


# cause, as the ledger names it: what makes it so, and what is typed
CAUSES: dict[str, tuple[Callable[[World], None], str, str]] = {
    "wrong password": (nothing, ALICE, "wrong horse"),
    "no such account": (nothing, "nobody@example.test", "correct horse"),
    "not an address": (nothing, "nobody", "correct horse"),
    "account login_disabled": (set_account(state="login_disabled"), ALICE, "correct horse"),
    "account deleted": (set_account(state="deleted"), ALICE, "correct horse"),
    "account at its end": (set_account(expires_at_us=1), ALICE, "correct horse"),
    "second factor": (second_factor, ALICE, "correct horse"),
    "banned: guesses": (ban(""), ALICE, "correct horse"),
    "credential not for this service": (limited_credential, ALICE, SERVICE_SECRET),
}
# What a service makes one answer of.
SAME = (LoginFailure.REFUSED, LoginFailure.LIMITED)


@pytest.mark.parametrize("cause", CAUSES)
async def test_scram_is_answered_at_the_same_moment(monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    world = World(monkeypatch)
    prepare, name, password = CAUSES[cause]
    prepare(world)
    began = world.clock.monotonic()
    assert await scram(world, password, name) in SAME
    assert world.cause() == cause
    assert world.clock.monotonic() + sum(world.slept) - began == pytest.approx(2.0)


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause != "credential not for this service"])
async def test_passwords_are_answered_at_the_same_moment(monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    world = World(monkeypatch)
    prepare, name, password = CAUSES[cause]
    prepare(world)
    for _ in range(2):  # what was refused before too
        began, slept = world.clock.monotonic(), len(world.slept)
        assert await world.login(PasswordProof(name, password), HOME) in SAME
        assert world.clock.monotonic() + sum(world.slept[slept:]) - began == pytest.approx(2.0)
        assert str(world.cause()).removesuffix(", again") == cause


async def test_a_banned_network_reads_the_same_salt_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    challenges = []
    for client in (HOME, ip_address("198.51.100.1")):
        exchange = world.authenticator.exchange(Channel("imap", client, TLS))
        answer = await exchange.begin("SCRAM-SHA-256", b"n,,n=alice@example.test,r=abcdefgh")
        challenges.append(answer.octets.decode().partition(",")[2])
        ban("")(world)
    assert challenges[0] == challenges[1]
