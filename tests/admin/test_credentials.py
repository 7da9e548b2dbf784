"""App passwords and service credentials, from the operator's order to a login."""

import json
from ipaddress import ip_address
from typing import Any

import pytest
import scramp
from tests.stores.opened import OpenStore

from sekisho.adapters.process.recent import SharedRecent
from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.credentials import MOST_CREDENTIALS
from sekisho.admin.operations import answer, read_answer
from sekisho.config.schema import LoginSettings
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, Channel, LoginFailure, ServiceName
from sekisho.ports.stream import TlsInfo
from sekisho.services.authentication.authenticator import AuthenticationTools, SaslAuthenticator
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics

TARO = "taro@example.org"
PASSWORD = "correct horse battery"
TLS = TlsInfo(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")


async def ask(context: Context, operation: str, **arguments: Any) -> Any:
    request = json.dumps({"operation": operation, "arguments": arguments}).encode()
    return read_answer(operation, await answer(context, request))


async def refusal(context: Context, operation: str, **arguments: Any) -> str:
    with pytest.raises(AdminRefused) as caught:
        await ask(context, operation, **arguments)
    return str(caught.value)


@pytest.fixture
async def taro(context: Context) -> Context:
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address=TARO, password=PASSWORD)
    return context


class Door:
    """Logins over the same store."""

    def __init__(self, store: OpenStore) -> None:
        self.journal = MemoryJournal()
        tools = AuthenticationTools(
            directory=store.directory,
            credentials=store.credentials,
            counters=store.counters,
            bans=store.bans,
            places=store.places,
            changes=store.changes,
            clock=ManualClock(),
            dice=SeededDice(),
            journal=self.journal,
            metrics=MemoryMetrics(),
            recent=SharedRecent(1, 16).by(ManualClock()),
            sleep=self._sleep,
        )
        self._authenticator = SaslAuthenticator(tools, LoginSettings())

    async def _sleep(self, seconds: float) -> None:
        pass

    async def plain(self, secret: str, service: ServiceName = "imap", client: str = "192.0.2.1") -> Answer:
        exchange = self._authenticator.exchange(Channel(service, ip_address(client), TLS))
        return await exchange.begin("PLAIN", f"\0{TARO}\0{secret}".encode())

    async def scram(self, secret: str) -> Answer:
        exchange = self._authenticator.exchange(Channel("imap", ip_address("192.0.2.1"), TLS))
        client = scramp.ScramClient(["SCRAM-SHA-256"], TARO, secret)
        answer = await exchange.begin("SCRAM-SHA-256", client.get_client_first().encode())
        assert isinstance(answer, Challenge)
        client.set_server_first(answer.octets.decode())
        answer = await exchange.respond(client.get_client_final().encode())
        return await exchange.respond(b"") if isinstance(answer, Challenge) else answer


@pytest.fixture
def door(store: OpenStore) -> Door:
    return Door(store)


async def test_an_app_password_opens_the_account(taro: Context, store: OpenStore, door: Door) -> None:
    made = await ask(taro, "credential.add", address=TARO, label="phone")
    assert (made.credential.kind, made.credential.created_by, made.credential.scopes) == (
        "app",
        "uid:0",
        ("imap", "pop3", "smtp"),
    )
    assert len(made.secret.replace("-", "")) == 28 and made.secret.count("-") == 6
    bare = made.secret.replace("-", "")
    for typed in (made.secret, bare, made.secret.upper(), made.secret.replace("-", " ")):
        found = await door.plain(typed)
        assert isinstance(found, Identity) and (found.credential_id, found.label) == (
            made.credential.id,
            "phone",
        )
    for typed in (made.secret, bare):
        found = await door.scram(typed)
        assert isinstance(found, Identity) and found.credential_id == made.credential.id
    assert isinstance(await door.plain(PASSWORD), Identity) and isinstance(
        await door.scram(PASSWORD), Identity
    )
    assert await door.plain(bare[:-1] + ("a" if bare[-1] != "a" else "b")) is LoginFailure.REFUSED
    stored, own = sorted(
        await store.credentials.of_account(made.credential.account_id),
        key=lambda stored: stored.credential.id,
    )
    assert (
        bare not in repr(stored)
        and stored.credential.last_used_from == "192.0.2.0/24"
        and own.credential.id == "password"
    )


async def test_a_new_account_password_leaves_the_devices_alone(taro: Context, door: Door) -> None:
    phone = await ask(taro, "credential.add", address=TARO, label="phone")
    await ask(taro, "account.passwd", address=TARO, password="something altogether else")
    assert isinstance(await door.scram(phone.secret), Identity)
    assert isinstance(await door.scram("something altogether else"), Identity)
    assert await door.scram(PASSWORD) is LoginFailure.REFUSED


async def test_a_device_with_the_former_password_is_no_guesser(
    taro: Context, store: OpenStore, door: Door
) -> None:
    for password in ("something altogether else", "and yet another thing"):
        await ask(taro, "account.passwd", address=TARO, password=password)
    for _ in range(40):
        assert await door.scram("something altogether else") is LoginFailure.REFUSED
    assert door.journal.entries[-1].fields["cause"] == "former password"
    assert isinstance(await door.scram("and yet another thing"), Identity)  # from the same network
    assert (
        await door.scram(PASSWORD) is LoginFailure.REFUSED
        and door.journal.entries[-1].fields["cause"] == "wrong password"
    )
    former = next(c for c in await ask(taro, "credential.list", address=TARO) if c.label == "former password")
    assert former.disabled_at_us
    assert "stays off" in await refusal(taro, "credential.enable", address=TARO, credential="former password")
    await ask(taro, "credential.remove", address=TARO, credential=former.id)
    assert await door.scram("something altogether else") is LoginFailure.REFUSED


async def test_a_stranger_does_not_see_that_an_account_was_made(
    context: Context, store: OpenStore, door: Door
) -> None:
    async def salt() -> str:
        exchange = door._authenticator.exchange(Channel("imap", ip_address("192.0.2.1"), TLS))
        found = await exchange.begin("SCRAM-SHA-256", b"n,,n=taro@example.org,r=abcdefgh")
        assert isinstance(found, Challenge)
        return found.octets.decode().partition(",s=")[2]

    before = await salt()
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address=TARO, password=PASSWORD)
    assert await salt() == before


async def test_bounds(taro: Context, door: Door) -> None:
    made = await ask(
        taro,
        "credential.add",
        address=TARO,
        label="scanner at work",
        scopes=["smtp"],
        networks=["192.0.2.77/28"],
    )
    assert made.credential.networks == ("192.0.2.64/28",)
    assert isinstance(await door.plain(made.secret, "submission", "192.0.2.70"), Identity)
    assert await door.plain(made.secret, "imap", "192.0.2.70") is LoginFailure.REFUSED
    assert door.journal.entries[-1].fields["cause"] == "credential not for this service"
    assert await door.plain(made.secret, "submission", "192.0.2.1") is LoginFailure.REFUSED
    assert door.journal.entries[-1].fields["cause"] == "credential not from this network"


async def test_a_program_sends_as_one_address_only(taro: Context, door: Door) -> None:
    assert "may not send as" in await refusal(
        taro, "credential.add", address=TARO, label="form", service="web@example.org"
    )
    await ask(taro, "account.may_send_as", address=TARO, sender="web@example.org")
    made = await ask(taro, "credential.add", address=TARO, label="form", service="Web@example.org")
    assert made.credential.id.startswith("service:") and made.credential.scopes == ("smtp",)
    found = await door.plain(made.secret, "submission")
    assert isinstance(found, Identity) and found.is_service and str(found.sender) == "web@example.org"
    assert await door.plain(made.secret, "pop3") is LoginFailure.REFUSED


async def test_switching_off_and_taking_away(taro: Context, door: Door, journal: MemoryJournal) -> None:
    made = await ask(taro, "credential.add", address=TARO, label="phone")
    await ask(taro, "credential.disable", address=TARO, credential="phone")
    assert (
        await door.plain(made.secret) is LoginFailure.REFUSED
        and await door.scram(made.secret) is LoginFailure.REFUSED
    )
    assert isinstance(await door.plain(PASSWORD), Identity)
    done = await ask(taro, "credential.enable", address=TARO, credential=made.credential.id)
    assert done.credential.disabled_at_us == 0 and isinstance(await door.plain(made.secret), Identity)
    await ask(taro, "credential.remove", address=TARO, credential="phone")
    assert await door.plain(made.secret) is LoginFailure.REFUSED
    assert [c.id for c in await ask(taro, "credential.list", address=TARO)] == ["password"]
    assert "no credential 'phone'" in await refusal(
        taro, "credential.disable", address=TARO, credential="phone"
    )
    kinds = [kind for kind in journal.kinds() if kind.startswith("admin.credential")]
    assert kinds == [
        "admin.credential.add",
        "admin.credential.disable",
        "admin.credential.enable",
        "admin.credential.remove",
    ]
    assert made.secret not in repr(journal.entries)


async def test_the_own_password_can_be_switched_off(taro: Context, door: Door) -> None:
    phone = await ask(taro, "credential.add", address=TARO, label="phone")
    await ask(taro, "credential.disable", address=TARO, credential="password")
    assert await door.plain(PASSWORD) is LoginFailure.REFUSED and isinstance(
        await door.plain(phone.secret), Identity
    )
    assert "cannot be removed" in await refusal(
        taro, "credential.remove", address=TARO, credential="password"
    )
    await ask(taro, "account.passwd", address=TARO, password="something altogether else")
    assert isinstance(await door.plain("something altogether else"), Identity)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"label": " "}, "A label is"),
        ({"label": "x" * 65}, "A label is"),
        ({"label": "a\nb"}, "A label is"),
        ({"label": "password"}, "another label"),
        ({"label": "former password"}, "another label"),
        ({"label": "x", "networks": ["here"]}, "not a network"),
        ({"label": "x", "expires_at_us": 1}, "in the past"),
        ({"label": "x", "service": "nobody"}, "not an address"),
        ({"label": "phone"}, "has a credential phone already"),
    ],
)
async def test_what_is_refused(taro: Context, arguments: dict[str, Any], words: str) -> None:
    await ask(taro, "credential.add", address=TARO, label="phone")
    assert words in await refusal(taro, "credential.add", address=TARO, **arguments)


async def test_there_is_an_end_to_how_many(taro: Context, store: OpenStore) -> None:
    account = (await ask(taro, "account.show", address=TARO)).account
    await store.credentials.set_disabled(
        account.id, tuple(f"token:{number}" for number in range(MOST_CREDENTIALS)), 1
    )
    assert f"{MOST_CREDENTIALS} credentials" in await refusal(
        taro, "credential.add", address=TARO, label="one more"
    )


async def test_an_account_ends(taro: Context, door: Door) -> None:
    phone = await ask(taro, "credential.add", address=TARO, label="phone")
    now_us = ManualClock().now_us()
    assert (await ask(taro, "account.expire", address=TARO, expires_at_us=now_us)).expires_at_us == now_us
    for secret in (PASSWORD, phone.secret):
        assert (
            await door.plain(secret) is LoginFailure.REFUSED
            and door.journal.entries[-1].fields["cause"] == "account at its end"
        )
    await ask(taro, "account.expire", address=TARO, expires_at_us=0)
    assert isinstance(await door.plain(PASSWORD), Identity)
    assert "a day, or never" in await refusal(taro, "account.expire", address=TARO, expires_at_us=-1)
