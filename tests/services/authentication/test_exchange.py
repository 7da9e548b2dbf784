"""SASL exchanges, with another implementation (scramp) as the client."""

import base64
from dataclasses import replace

import pytest
import scramp
from tests.services.authentication.world import ALICE, ELSEWHERE, HOME, TLS, World

from sekisho.config.schema import LoginSettings
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.sasl.scram import derive_secret
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, Channel, LoginFailure
from sekisho.ports.credentials import Credential, StoredCredential
from sekisho.ports.directory import Account, StoredPassword
from sekisho.services.authentication.scramkeys import SCRAM_ITERATIONS

NAME = "alice@example.test"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def scram(
    world: World,
    password: str = "correct horse",
    name: str = NAME,
    client: object = HOME,
    service: str = "imap",
) -> Answer:
    """A whole exchange, in which the client checks our signature too."""
    exchange = world.authenticator.exchange(Channel(service, client, TLS))
    speaker = scramp.ScramClient(["SCRAM-SHA-256"], name, password)
    answer = await exchange.begin("scram-sha-256", speaker.get_client_first().encode())
    if not isinstance(answer, Challenge):
        return answer
    speaker.set_server_first(answer.octets.decode())
    answer = await exchange.respond(speaker.get_client_final().encode())
    if not isinstance(answer, Challenge):
        return answer
    speaker.set_server_final(answer.octets.decode())
    return await exchange.respond(b"")


async def salt(world: World, name: str, client: object = HOME) -> str:
    answer = await world.authenticator.exchange(Channel("imap", client, TLS)).begin(
        "SCRAM-SHA-256", f"n,,n={name},r=abcdefgh".encode()
    )
    assert isinstance(answer, Challenge)
    return answer.octets.decode().partition(",")[2]


def app_password(world: World, number: int, secret: str, **fields: object) -> None:
    """Another password of alice, made as her first one was."""
    stored = world.directory.passwords[1]
    known = base64.b64decode(stored.scram_sha256.split("$")[1].partition(":")[2])
    credential = Credential(account_id=1, id=f"app:{number}", kind="app", label=f"device {number}", **fields)
    world.credentials.stored.append(
        StoredCredential(credential, b"", str(derive_secret(secret, known, SCRAM_ITERATIONS)))
    )


@pytest.mark.parametrize("service", ["submission", "imap", "pop3"])
async def test_scram(world: World, service: str) -> None:
    assert await scram(world, service=service) == ALICE
    assert world.slept == [] and world.hashed == []
    (entry,) = world.journal.entries
    assert entry.kind == "authentication.accepted" and entry.fields["mechanism"] == "SCRAM-SHA-256"
    assert entry.fields["cipher"] == "TLS_AES_256_GCM_SHA384" and entry.fields["service"] == service


async def test_another_spelling_of_the_name(world: World) -> None:
    assert await scram(world, name="Alice@EXAMPLE.test") == ALICE


async def test_a_wrong_password_and_an_unknown_name_look_the_same(world: World) -> None:
    assert await scram(world, "wrong horse") is LoginFailure.REFUSED and world.cause() == "wrong password"
    assert (
        await scram(world, name="nobody@example.test") is LoginFailure.REFUSED
        and world.cause() == "no such account"
    )
    assert await scram(world, name="no address") is LoginFailure.REFUSED and world.cause() == "not an address"
    assert world.slept == [2.0, 2.0, 2.0]
    assert (
        world.counters.sums["login:192.0.2.0/24:all"] == 3
        and world.counters.sums["login:192.0.2.0/24:unknown"] == 2
    )


async def test_salts_tell_nothing(world: World) -> None:
    for name in (NAME, "nobody@example.test", "no address"):
        first = await salt(world, name)
        assert await salt(world, name) == first and first.endswith(",i=50000")
    assert await salt(world, "nobody@example.test") != await salt(world, "somebody@example.test")
    before = await salt(world, NAME)
    world.directory.accounts[NAME] = Account(id=1, address=NAME, state="login_disabled")
    assert await salt(world, NAME) == before


async def test_the_limiter_speaks_for_scram_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, failures_per_account_and_network=3)
    for number in range(3):
        assert await scram(world, f"wrong horse {number}") is LoginFailure.REFUSED
    before = await salt(world, NAME, ELSEWHERE)
    assert await scram(world) is LoginFailure.LIMITED
    assert await salt(world, NAME) == before  # a banned network sees what it saw before
    assert await scram(world, client=ELSEWHERE) == ALICE


@pytest.mark.parametrize(
    ("state", "allowed"), [("login_disabled", False), ("deleted", False), ("sending_held", True)]
)
async def test_account_states(world: World, state: str, allowed: bool) -> None:
    world.directory.accounts[NAME] = Account(id=1, address=NAME, state=state)
    assert await scram(world) == (ALICE if allowed else LoginFailure.REFUSED)


async def test_an_account_that_ends_during_the_exchange(world: World) -> None:
    exchange = world.authenticator.exchange(Channel("imap", HOME, TLS))
    client = scramp.ScramClient(["SCRAM-SHA-256"], NAME, "correct horse")
    answer = await exchange.begin("SCRAM-SHA-256", client.get_client_first().encode())
    assert isinstance(answer, Challenge)
    client.set_server_first(answer.octets.decode())
    world.directory.accounts[NAME] = Account(id=1, address=NAME, state="login_disabled")
    assert await exchange.respond(client.get_client_final().encode()) is LoginFailure.REFUSED
    assert world.cause() == "changed during the login"


async def test_each_device_has_its_own_password(world: World) -> None:
    app_password(world, 1, "first secret of a device")
    app_password(world, 2, "second secret of a device", sender=NAME, expires_at_us=2_000_000_000_000_000)
    alice = Address("alice", "example.test")
    expected = Identity(
        account_id=1,
        address=alice,
        credential_id="app:2",
        sender=alice,
        valid_until_us=2_000_000_000_000_000,
        label="device 2",
    )
    assert await scram(world, "second secret of a device") == expected
    assert await scram(world) == ALICE  # the account's own goes on


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"disabled_at_us": 1}, "credential disabled"),
        ({"expires_at_us": 1}, "credential at its end"),
        ({"scopes": ("smtp", "pop3")}, "credential not for this service"),
        ({"networks": ("198.51.100.0/24", "2001:db8:1::/48")}, "credential not from this network"),
        ({"networks": ("192.0.2.0/28",), "scopes": ("imap",)}, ""),
    ],
)
async def test_what_a_credential_is_bound_to(world: World, fields: dict[str, object], cause: str) -> None:
    app_password(world, 1, "first secret of a device", **fields)
    found = await scram(world, "first secret of a device")
    if cause:
        assert found is LoginFailure.REFUSED and world.cause() == cause and world.slept == [2.0]
    else:
        assert isinstance(found, Identity)


async def test_an_account_without_keys_is_like_nobody(world: World) -> None:
    world.directory.passwords[1] = StoredPassword(1, "$argon2id$imported", "", 1)
    assert await scram(world) is LoginFailure.REFUSED


async def test_broken_keys_are_our_fault(world: World) -> None:
    world.directory.passwords[1] = StoredPassword(1, "", "SCRAM-SHA-1$x", 1)
    assert await scram(world) is LoginFailure.UNAVAILABLE and len(world.journal.faults) == 1


async def test_a_store_that_is_down(world: World) -> None:
    world.directory.broken = True
    assert await scram(world) is LoginFailure.UNAVAILABLE and world.slept == [2.0]


async def test_plain_and_login_are_judged_by_the_same(world: World) -> None:
    channel = Channel("submission", HOME, TLS)
    assert (
        await world.authenticator.exchange(channel).begin("PLAIN", b"\0alice@example.test\0correct horse")
        == ALICE
    )
    assert await world.authenticator.exchange(channel).begin(
        "PLAIN", b"bob@example.test\0alice@example.test\0correct horse"
    ) is (LoginFailure.REFUSED)
    exchange = world.authenticator.exchange(channel)
    assert await exchange.begin("login", None) == Challenge(b"Username:")
    assert await exchange.respond(b"alice@example.test") == Challenge(b"Password:")
    assert await exchange.respond(b"correct horse") == ALICE
    assert [entry.fields["mechanism"] for entry in world.journal.entries] == ["PLAIN", "PLAIN", "LOGIN"]


async def test_nonsense_is_told_at_once(world: World) -> None:
    channel = Channel("imap", HOME, TLS)
    for mechanism, octets in (
        ("PLAIN", b"x"),
        ("SCRAM-SHA-256", b"n,,m=x,n=a,r=abcdefgh"),
        ("LOGIN", b"\xff"),
    ):
        assert await world.authenticator.exchange(channel).begin(mechanism, octets) is LoginFailure.MALFORMED
    assert world.slept == [] and set(world.journal.kinds()) == {"authentication.malformed"}


async def test_a_signature_is_acknowledged_by_nothing(world: World) -> None:
    exchange = world.authenticator.exchange(Channel("imap", HOME, TLS))
    client = scramp.ScramClient(["SCRAM-SHA-256"], NAME, "correct horse")
    answer = await exchange.begin("SCRAM-SHA-256", None)
    assert answer == Challenge(b"")
    answer = await exchange.respond(client.get_client_first().encode())
    assert isinstance(answer, Challenge)
    client.set_server_first(answer.octets.decode())
    assert isinstance(await exchange.respond(client.get_client_final().encode()), Challenge)
    assert await exchange.respond(b"more") is LoginFailure.MALFORMED


BOUND = replace(TLS, end_point=b"c" * 32)


async def bound(world: World, data: bytes = b"c" * 32, kind: str = "tls-server-end-point") -> Answer:
    exchange = world.authenticator.exchange(Channel("imap", HOME, BOUND))
    client = scramp.ScramClient(["SCRAM-SHA-256-PLUS"], NAME, "correct horse", channel_binding=(kind, data))
    answer = await exchange.begin("SCRAM-SHA-256-PLUS", client.get_client_first().encode())
    if not isinstance(answer, Challenge):
        return answer
    client.set_server_first(answer.octets.decode())
    answer = await exchange.respond(client.get_client_final().encode())
    if not isinstance(answer, Challenge):
        return answer
    client.set_server_final(answer.octets.decode())
    return await exchange.respond(b"")


async def test_a_login_bound_to_its_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, channel_binding="tls-server-end-point")
    channel = Channel("imap", HOME, BOUND)
    assert world.authenticator.mechanisms(channel) == (
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "PLAIN",
        "LOGIN",
    )
    assert await bound(world) == ALICE
    assert (
        await bound(world, b"d" * 32) is LoginFailure.REFUSED
        and world.cause() == "the channel binding does not match"
    )
    assert await bound(world, kind="tls-unique") is LoginFailure.REFUSED
    assert world.cause() == "the client binds to a channel that was not offered"
    # RFC 5802 §6: the client could bind and was told that we cannot.
    assert (
        await world.authenticator.exchange(channel).begin("SCRAM-SHA-256", b"y,,n=alice,r=abcdefgh")
        is LoginFailure.REFUSED
    )
    assert world.cause() == "somebody hid the -PLUS mechanism from the client"
    assert world.slept == [2.0] * 3
    world.authenticator.use(LoginSettings())
    assert await bound(world) is LoginFailure.NOT_OFFERED


async def test_no_binding_where_the_certificate_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, channel_binding="tls-server-end-point")
    assert world.authenticator.mechanisms(Channel("imap", HOME, TLS))[0] == "SCRAM-SHA-256"
    answer = await world.authenticator.exchange(Channel("imap", HOME, TLS)).begin(
        "SCRAM-SHA-256", b"y,,n=alice,r=abcdefgh"
    )
    assert isinstance(answer, Challenge)


async def test_scram_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, scram=False, channel_binding="tls-server-end-point")
    assert world.authenticator.mechanisms(Channel("imap", HOME, BOUND)) == ("PLAIN", "LOGIN")
    assert await scram(world) is LoginFailure.NOT_OFFERED


async def test_other_settings_leave_the_authenticator_in_place(world: World) -> None:
    assert await scram(world) == ALICE
    world.authenticator.use(LoginSettings(hashing_threads=1, failure_seconds=5.0))
    assert await scram(world, "wrong horse") is LoginFailure.REFUSED and world.slept == [5.0]
    channel = Channel("imap", HOME, TLS)
    assert (
        await world.authenticator.exchange(channel).begin("PLAIN", b"\0alice@example.test\0correct horse")
        == ALICE
    )


async def test_what_is_offered(world: World) -> None:
    assert world.authenticator.mechanisms(Channel("imap", HOME, TLS)) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert world.authenticator.mechanisms(Channel("imap", HOME)) == ()
    for name in ("CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "NTLM"):
        assert (
            await world.authenticator.exchange(Channel("imap", HOME, TLS)).begin(name, b"")
            is LoginFailure.NOT_OFFERED
        )
    assert (
        await world.authenticator.exchange(Channel("imap", HOME)).begin("PLAIN", b"\0a\0b")
        is LoginFailure.NOT_OFFERED
    )
