"""The second factor: its codes, and that with it the account's own password opens no mail, as if it were
wrong."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest
from tests.services.authentication.test_exchange import app_password, scram
from tests.services.authentication.world import ALICE, GOOD, HOME, TLS, World
from tests.stores.opened import OpenStore

from sekisho.core.sasl.totp import totp_code
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.credentials import SecondFactor
from sekisho.ports.directory import Domain
from sekisho.services.authentication.factor import RECOVERY_CODES, SecondFactors
from sekisho.services.authentication.factor_letter import FactorLetters, FactorPorts, FactorRules
from sekisho.services.letters import Letter
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal

ALICES = Address("alice", "example.test")


class Desk:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = OpenStore(self.clock, SeededDice())
        self.factors = SecondFactors(self.store.credentials, self.clock, SeededDice().octets)

    async def account(self) -> int:
        await self.store.directory.add_domain(Domain(ALICES.domain, 0))
        return (await self.store.directory.add_account(ALICES, "argon2", "")).id

    async def code(self, account_id: int) -> str:
        factor = await self.store.credentials.second_factor(account_id)
        assert factor is not None
        return totp_code(factor.secret, self.clock.now_us() // 30_000_000)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_factor_counts_from_its_first_code_on(desk: Desk) -> None:
    account_id = await desk.account()
    assert await desk.factors.confirm(account_id, "123456") == []
    secret = await desk.factors.begin(account_id)
    assert len(secret) == 20 and await desk.factors.check(account_id, await desk.code(account_id)) is None
    assert await desk.factors.confirm(account_id, "12345") == []
    codes = await desk.factors.confirm(account_id, await desk.code(account_id))
    assert len(set(codes)) == RECOVERY_CODES and all(len(code) == 19 for code in codes)
    factor = await desk.store.credentials.second_factor(account_id)
    assert factor is not None and factor.counts and factor.secret == secret
    assert not any(code.replace("-", "").encode() in b"".join(factor.recovery) for code in codes)


async def test_each_code_fits_once(desk: Desk) -> None:
    account_id = await desk.account()
    await desk.factors.begin(account_id)
    codes = await desk.factors.confirm(account_id, await desk.code(account_id))
    assert await desk.factors.check(account_id, await desk.code(account_id)) is None  # it confirmed already
    desk.clock.advance(30)
    assert await desk.factors.check(account_id, await desk.code(account_id)) == "code"
    assert await desk.factors.check(account_id, await desk.code(account_id)) is None
    assert await desk.factors.check(account_id, codes[3].upper().replace("-", " ")) == "recovery"
    assert await desk.factors.check(account_id, codes[3]) is None
    assert await desk.factors.check(account_id, codes[4]) == "recovery"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(monkeypatch)
    made.credentials.factors[1] = SecondFactor(b"secret", 5)
    return made


@pytest.mark.parametrize("service", ["submission", "imap", "pop3"])
async def test_the_password_alone_is_refused_like_a_wrong_one(world: World, service: str) -> None:
    for result in (await world.login(service=service), await scram(world, service=service)):
        assert result is LoginFailure.REFUSED and world.cause() == "second factor"
    assert world.letters.told == [(1, f"alice@example.test {service}")] * 2
    assert await world.login(replace(GOOD, password="wrong horse"), service=service) is LoginFailure.REFUSED
    assert await scram(world, "wrong horse", service=service) is LoginFailure.REFUSED
    assert world.cause() == "wrong password" and len(world.letters.told) == 2  # who guesses makes no letters
    assert [round(seconds + 0.025 * (seconds < 2), 3) for seconds in world.slept] == [2.0] * 4


@pytest.mark.parametrize("by", ["password", "scram"])
async def test_it_is_counted_like_a_wrong_one(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Whoever shares the network and could count would learn that the password is right."""
    sums = []
    for password in ("correct horse", "wrong horse"):
        world = World(monkeypatch)
        world.credentials.factors[1] = SecondFactor(b"secret", 5)
        for _ in range(5):
            if by == "password":
                assert await world.login(replace(GOOD, password=password)) is LoginFailure.REFUSED
            else:
                assert await scram(world, password) is LoginFailure.REFUSED
        sums.append(world.counters.sums)
        causes = {
            entry.fields["cause"] for entry in world.journal.entries if entry.kind == "authentication.refused"
        }
        name = "second factor" if password == "correct horse" else "wrong password"
        assert causes == ({name, f"{name}, again"} if by == "password" else {name})
        assert len(world.letters.told) == (5 if name == "second factor" else 0)
    assert sums[0] == sums[1]


async def test_a_factor_that_was_only_begun_changes_nothing(world: World) -> None:
    world.credentials.factors[1] = SecondFactor(b"secret")
    assert await world.login() == ALICE and await world.authenticator.still_valid(ALICE)


async def test_an_app_password_goes_on_working(world: World) -> None:
    app_password(world, 1, "first secret of a device")
    identity = await scram(world, "first secret of a device")
    assert isinstance(identity, Identity) and identity.credential_id == "app:1"
    assert await world.authenticator.still_valid(identity) and world.letters.told == []


async def test_what_the_password_alone_opened_ends(world: World) -> None:
    factor = world.credentials.factors.pop(1)
    identity = await world.login()
    assert isinstance(identity, Identity) and await world.authenticator.still_valid(identity)
    world.credentials.factors[1] = factor
    assert not await world.authenticator.still_valid(identity)


class Post:
    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.error: Exception | None = None
        self.takes = True

    async def send(self, letter: Letter) -> bool:
        if self.error:
            raise self.error
        self.letters.append(letter)
        return self.takes


class Telling:
    def __init__(self, language: str = "en") -> None:
        self.clock, self.journal, self.post = ManualClock(), MemoryJournal(), Post()
        self.store = OpenStore(self.clock, SeededDice())
        self.rules = FactorRules("mx.example.test", language, "postmaster@example.test")
        self.under_way: set[asyncio.Task[None]] = set()
        ports = FactorPorts(self.store.counters, self.clock, self.journal)
        self.letters = FactorLetters(self.rules, self.post, ports, self.under_way)

    async def tell(self, client: object = HOME) -> None:
        self.letters.tell(1, ALICES, Channel("imap", client, TLS))
        await asyncio.gather(*self.under_way)


@pytest.mark.parametrize(("language", "word"), [("en", "app password"), ("ja", "アプリパスワード")])
async def test_a_letter_says_how_to_go_on(language: str, word: str) -> None:
    telling = Telling(language)
    await telling.tell(ip_address("2001:db8::5"))
    (letter,) = telling.post.letters
    assert letter.to == ALICES and word in letter.subject
    for words in (
        "sekisho account credential add alice@example.test phone",
        "IMAP",
        "2001:db8::/64",
        "postmaster@example.test",
        word,
    ):
        assert words in letter.text


async def test_one_letter_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = Telling()
    for _ in range(3):
        await telling.tell()
    assert len(telling.post.letters) == 1
    telling.clock.advance(2 * 86_400)
    await telling.tell()
    assert len({letter.id for letter in telling.post.letters}) == 2


async def test_a_letter_that_cannot_be_sent() -> None:
    telling = Telling()
    telling.post.takes = False
    await telling.tell()
    assert telling.journal.kinds() == ["notice.lost"]
    telling.clock.advance(2 * 86_400)
    telling.post.error = StoreUnavailable()
    await telling.tell()
    telling.clock.advance(2 * 86_400)
    telling.post.error = RuntimeError("a bug")
    await telling.tell()
    assert [where for where, _ in telling.journal.faults] == ["factor.letter"]
