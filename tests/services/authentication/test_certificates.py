"""EXTERNAL: whose account a client certificate opens."""

from dataclasses import replace

import pytest
from tests.services.authentication.world import ALICE, HOME, TLS, World

from sekisho.core.sasl.exchange import Challenge
from sekisho.ports.authentication import Answer, Channel, LoginFailure
from sekisho.ports.bans import Ban
from sekisho.ports.credentials import Credential, StoredCredential
from sekisho.ports.directory import Account
from sekisho.ports.stream import ClientCertificate

NAME = "alice@example.test"
SHOWN = ClientCertificate((NAME,), "ab" * 32, 2_000_000_000_000_000)
ID = "certificate:" + "ab" * 16


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def log_in(world: World, shown: ClientCertificate | None = SHOWN, authzid: bytes = b"") -> Answer:
    return await world.authenticator.exchange(Channel("imap", HOME, replace(TLS, client=shown))).begin(
        "EXTERNAL", authzid
    )


async def test_a_certificate_opens_the_account_of_its_address(world: World) -> None:
    expected = replace(ALICE, credential_id=ID, valid_until_us=2_000_000_000_000_000)
    assert await log_in(world) == expected
    assert await log_in(world, authzid=b"Alice@EXAMPLE.test") == expected
    assert world.hashed == [] and world.journal.entries[-1].fields["mechanism"] == "EXTERNAL"
    assert world.credentials.uses[0][:2] == (1, ID)


async def test_the_client_may_be_asked_first(world: World) -> None:
    exchange = world.authenticator.exchange(Channel("imap", HOME, replace(TLS, client=SHOWN)))
    assert await exchange.begin("external", None) == Challenge(b"")
    assert await exchange.respond(b"") == replace(
        ALICE, credential_id=ID, valid_until_us=2_000_000_000_000_000
    )


async def test_the_first_address_that_has_an_account(world: World) -> None:
    found = await log_in(world, replace(SHOWN, addresses=("not an address", "nobody@example.test", NAME)))
    assert found == replace(ALICE, credential_id=ID, valid_until_us=2_000_000_000_000_000)


@pytest.mark.parametrize(
    ("addresses", "authzid", "cause"),
    [
        ((NAME,), b"bob@example.test", "certificate of somebody else"),
        ((NAME,), b"no address", "certificate of somebody else"),
        ((), b"", "no address in the certificate"),
        (("nobody@example.test",), b"", "no such account"),
    ],
)
async def test_what_it_does_not_open(
    world: World, addresses: tuple[str, ...], authzid: bytes, cause: str
) -> None:
    assert await log_in(world, replace(SHOWN, addresses=addresses), authzid) is LoginFailure.REFUSED
    assert world.cause() == cause and world.slept == [2.0]


async def test_accounts_and_credentials_that_ended(world: World) -> None:
    world.credentials.stored.append(
        StoredCredential(Credential(account_id=1, id=ID, kind="certificate", disabled_at_us=1), b"", "")
    )
    assert await log_in(world) is LoginFailure.REFUSED and world.cause() == "credential disabled"
    world.credentials.stored.clear()
    world.directory.accounts[NAME] = Account(id=1, address=NAME, state="login_disabled")
    assert await log_in(world) is LoginFailure.REFUSED


async def test_it_is_offered_to_those_who_show_one(world: World) -> None:
    assert world.authenticator.mechanisms(Channel("imap", HOME, replace(TLS, client=SHOWN)))[0] == "EXTERNAL"
    assert await log_in(world, None) is LoginFailure.NOT_OFFERED


async def test_nonsense(world: World) -> None:
    assert await log_in(world, authzid=b"a\0b") is LoginFailure.MALFORMED


@pytest.mark.parametrize("authzid", [b"", NAME.encode()])
async def test_a_ban_of_the_account_holds_without_its_name(world: World, authzid: bytes) -> None:
    await world.bans.put(Ban(network="192.0.2.0/24", account=NAME, reason="operator", since_us=0, until_us=0))
    assert (
        await log_in(world, authzid=authzid) is LoginFailure.LIMITED and world.cause() == "banned: operator"
    )
