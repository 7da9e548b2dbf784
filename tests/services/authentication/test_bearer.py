"""Tokens shown instead of passwords, through a whole exchange."""

import json

import pytest
from tests.services.authentication.world import HOME, TLS, World

from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, Channel, LoginFailure
from sekisho.ports.bans import Ban
from sekisho.ports.credentials import Credential, SecondFactor, StoredCredential
from sekisho.ports.directory import Account
from sekisho.ports.tokens import TokenFacts, TokenHints

ALICE = "alice@example.test"
END_US = 1_900_000_000_000_000
BY_TOKEN = Identity(
    account_id=1,
    address=Address("alice", "example.test"),
    credential_id="token:id.example.test",
    valid_until_us=END_US,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(monkeypatch)
    made.tokens.hints = TokenHints("mail", "https://id.example.test/.well-known/openid-configuration")
    made.tokens.good["good"] = TokenFacts("Alice@example.test", "id.example.test", END_US)
    made.tokens.good["stranger"] = TokenFacts("nobody@example.test", "id.example.test", END_US)
    return made


async def show(
    world: World, token: str, name: str = "", mechanism: str = "OAUTHBEARER", service: str = "imap"
) -> tuple[Answer, object]:
    """(the answer, what the error challenge said before it or None)."""
    exchange = world.authenticator.exchange(Channel(service, HOME, TLS))
    if mechanism == "XOAUTH2":
        message = f"user={name}\x01auth=Bearer {token}\x01\x01"
    else:
        message = f"n,{f'a={name}' if name else ''},\x01auth=Bearer {token}\x01\x01"
    answer = await exchange.begin(mechanism, message.encode())
    if not isinstance(answer, Challenge):
        return answer, None
    return await exchange.respond(b"\x01"), json.loads(answer.octets)


def test_they_are_offered_where_an_issuer_is_named(world: World) -> None:
    channel = Channel("imap", HOME, TLS)
    assert world.authenticator.mechanisms(channel) == (
        "SCRAM-SHA-256",
        "OAUTHBEARER",
        "XOAUTH2",
        "PLAIN",
        "LOGIN",
    )
    assert world.authenticator.mechanisms(Channel("imap", HOME)) == ()
    world.tokens.hints = None
    assert "OAUTHBEARER" not in world.authenticator.mechanisms(channel)


@pytest.mark.parametrize("service", ["submission", "imap", "pop3"])
@pytest.mark.parametrize(
    ("mechanism", "name"), [("OAUTHBEARER", ""), ("OAUTHBEARER", ALICE), ("XOAUTH2", "ALICE@EXAMPLE.TEST")]
)
async def test_a_good_token(world: World, mechanism: str, name: str, service: str) -> None:
    assert await show(world, "good", name, mechanism, service) == (BY_TOKEN, None)
    assert world.slept == [] and world.hashed == []
    entry = world.journal.entries[-1]
    assert entry.fields["credential"] == "token:id.example.test" and entry.fields["mechanism"] == mechanism
    assert await world.authenticator.still_valid(BY_TOKEN)


async def test_without_an_initial_response(world: World) -> None:
    exchange = world.authenticator.exchange(Channel("pop3", HOME, TLS))
    assert await exchange.begin("oauthbearer", None) == Challenge(b"")
    assert await exchange.respond(b"n,,\x01auth=Bearer good\x01\x01") == BY_TOKEN


async def test_every_refusal_looks_the_same(world: World) -> None:
    world.directory.accounts["bob@example.test"] = Account(
        id=2, address="bob@example.test", state="login_disabled"
    )
    world.tokens.good["bobs"] = TokenFacts("bob@example.test", "id.example.test", END_US)
    told = {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": "https://id.example.test/.well-known/openid-configuration",
    }
    for token, name, cause in (
        ("old", ALICE, "token expired"),
        ("old", ALICE, "wrong token, again"),
        ("stranger", "", "no such account"),
        ("good", "bob@example.test", "token of somebody else"),
        ("bobs", "", "account login_disabled"),
    ):
        assert await show(world, token, name) == (LoginFailure.REFUSED, told) and world.cause() == cause
    assert world.slept == [2.0] * 5 and world.tokens.asked == 4
    assert not any(word in repr(world.journal.entries) for word in ("'old'", "'bobs'"))


async def test_the_elder_brother_is_told_in_its_own_words(world: World) -> None:
    failure, told = await show(world, "old", ALICE, "XOAUTH2")
    assert failure is LoginFailure.REFUSED and told == {"status": "401", "schemes": "bearer", "scope": "mail"}


async def test_a_dead_issuer_is_no_refusal(world: World) -> None:
    assert await show(world, "dead") == (LoginFailure.UNAVAILABLE, None)
    assert "no answer" in str(world.cause()) and world.counters.sums == {}
    assert await show(world, "dead") == (LoginFailure.UNAVAILABLE, None) and world.tokens.asked == 2


async def test_the_limiter_speaks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_network=3)
    world.tokens.hints = TokenHints("", "")
    for number in range(3):
        assert (await show(world, f"old-{number}"))[0] is LoginFailure.REFUSED
    asked = world.tokens.asked
    assert (
        await show(world, "another") == (LoginFailure.LIMITED, {"status": "invalid_token"})
        and world.tokens.asked == asked
    )


async def test_bad_tokens_without_a_name_ban_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=3)
    world.tokens.hints = TokenHints("", "")
    for number in range(5):
        await show(world, f"old-{number}")
    assert [ban.account for ban in await world.bans.listing()] == ["*"]
    assert isinstance(await world.login(), Identity)


async def test_a_second_factor_is_the_issuers_business(world: World) -> None:
    world.credentials.factors[1] = SecondFactor(b"secret", 5)
    assert await show(world, "good") == (BY_TOKEN, None)
    assert await world.authenticator.still_valid(BY_TOKEN)


async def test_tokens_of_an_account_can_be_disabled(world: World) -> None:
    world.credentials.stored.append(
        StoredCredential(
            Credential(account_id=1, id="token:id.example.test", kind="token", disabled_at_us=5), b"", ""
        )
    )
    assert (await show(world, "good"))[0] is LoginFailure.REFUSED and world.cause() == "credential disabled"
    assert not await world.authenticator.still_valid(BY_TOKEN)


async def test_the_session_ends_with_the_token(world: World) -> None:
    world.clock.advance((END_US - world.clock.now_us()) / 1_000_000 - 1)
    assert await world.authenticator.still_valid(BY_TOKEN)
    world.clock.advance(1)
    assert not await world.authenticator.still_valid(BY_TOKEN)


async def test_a_token_that_came_too_early_is_good_later(world: World) -> None:
    for _ in range(2):
        assert (await show(world, "early"))[
            0
        ] is LoginFailure.REFUSED and world.cause() == "token not valid yet"
    assert world.tokens.asked == 2


@pytest.mark.parametrize("name", ["", ALICE])
async def test_a_ban_of_the_account_holds_without_its_name(world: World, name: str) -> None:
    await world.bans.put(
        Ban(network="192.0.2.0/24", account=ALICE, reason="operator", since_us=0, until_us=0)
    )
    assert (await show(world, "good", name))[
        0
    ] is LoginFailure.LIMITED and world.cause() == "banned: operator"
    assert not world.counters.sums
