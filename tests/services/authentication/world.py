"""An authenticator against small fakes of its ports; Argon2 is real, but counted."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from sekisho.adapters.process.recent import SharedRecent
from sekisho.adapters.stores.memory.bans import MemoryBans
from sekisho.adapters.stores.memory.places import MemoryPlaces
from sekisho.config.schema import LoginSettings
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.credentials import Credential, SecondFactor, StoredCredential
from sekisho.ports.directory import Account, StoredPassword
from sekisho.ports.stream import TlsInfo
from sekisho.ports.tokens import IssuerUnavailable, TokenFacts, TokenHints, TokenRefused
from sekisho.services.authentication import authenticator as module
from sekisho.services.authentication.authenticator import AuthenticationTools, SaslAuthenticator
from sekisho.services.authentication.passwords import hash_password, verify_password
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics

TLS = TlsInfo(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
HOME = ip_address("192.0.2.1")
NEIGHBOUR = ip_address("192.0.2.200")
ELSEWHERE = ip_address("2001:db8::1")
GOOD = PasswordProof("alice@example.test", "correct horse")
ALICE = Identity(account_id=1, address=Address("alice", "example.test"))
HASHED = hash_password("correct horse")


class Counters:
    def __init__(self) -> None:
        self.sums: dict[str, int] = {}

    async def add(self, key: str, amount: int, window_seconds: int) -> int:
        self.sums[key] = self.sums.get(key, 0) + amount
        return self.sums[key]

    async def total(self, key: str, window_seconds: int) -> int:
        return self.sums.get(key, 0)

    async def clear(self, key: str) -> None:
        self.sums.pop(key, None)

    async def clear_below(self, prefix: str) -> None:
        self.sums = {key: total for key, total in self.sums.items() if not key.startswith(prefix)}


class Directory:
    def __init__(self) -> None:
        self.accounts = {
            "alice@example.test": Account(id=1, address="alice@example.test", state="active"),
            "bob@example.test": Account(id=2, address="bob@example.test", state="active"),
        }
        self.passwords = {1: StoredPassword(1, *HASHED, 1), 2: StoredPassword(2, *HASHED, 1)}
        self.broken = self.broken_upgrades = False

    async def account_by_address(self, address: Address) -> Account | None:
        if self.broken:
            raise StoreUnavailable
        return self.accounts.get(str(address))

    async def account(self, account_id: int) -> Account | None:
        return next((account for account in self.accounts.values() if account.id == account_id), None)

    async def password(self, account_id: int) -> StoredPassword | None:
        return self.passwords.get(account_id)

    async def upgrade_password(
        self, account_id: int, old_argon2: str, argon2: str, scram_sha256: str
    ) -> None:
        if self.broken_upgrades:
            raise StoreUnavailable
        old = self.passwords[account_id]
        assert old.argon2 == old_argon2
        self.passwords[account_id] = StoredPassword(account_id, argon2, scram_sha256, old.version)


class Credentials:
    def __init__(self) -> None:
        self.stored: list[StoredCredential] = []
        self.factors: dict[int, SecondFactor] = {}
        self.uses: list[tuple[int, str, str]] = []

    async def of_account(self, account_id: int) -> list[StoredCredential]:
        return [stored for stored in self.stored if stored.credential.account_id == account_id]

    async def credential(self, account_id: int, credential_id: str) -> Credential | None:
        return next(
            (s.credential for s in await self.of_account(account_id) if s.credential.id == credential_id),
            None,
        )

    async def second_factor(self, account_id: int) -> SecondFactor | None:
        return self.factors.get(account_id)

    async def note_use(self, account_id: int, credential_id: str, at_us: int, network: str) -> None:
        self.uses.append((account_id, credential_id, network))

    async def server_key(self, purpose: str) -> bytes:
        return purpose.encode().ljust(32, b".")


class Changes:
    def __init__(self) -> None:
        self.wakes: list[Callable[[], None]] = []

    def subscribe_directory(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)


class Letters:
    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def tell(self, account_id: int, address: Address, channel: Channel) -> None:
        self.told.append((account_id, f"{address} {channel.service}"))


class Tokens:
    """`good`: what each token says. The token "dead" finds the issuer down."""

    def __init__(self) -> None:
        self.hints: TokenHints | None = None
        self.good: dict[str, TokenFacts] = {}
        self.asked = 0

    async def verify(self, token: str) -> TokenFacts:
        self.asked += 1
        if token == "dead":
            raise IssuerUnavailable("issuer unavailable: no answer within 5 seconds")
        if token == "early":
            raise TokenRefused("token not valid yet", may_pass=True)
        if token not in self.good:
            raise TokenRefused("token expired")
        return self.good[token]


class World:
    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, recent: SharedRecent | None = None, **settings: object
    ) -> None:
        self.directory, self.credentials, self.counters, self.changes = (
            Directory(),
            Credentials(),
            Counters(),
            Changes(),
        )
        self.clock, self.journal, self.metrics = ManualClock(), MemoryJournal(), MemoryMetrics()
        self.slept: list[float] = []
        self.letters, self.tokens = Letters(), Tokens()
        self.hashed: list[str] = []
        monkeypatch.setattr(module, "verify_password", self._verify_password)
        self.bans, self.places = MemoryBans(self.clock), MemoryPlaces()
        tools = AuthenticationTools(
            directory=self.directory,
            credentials=self.credentials,
            counters=self.counters,
            bans=self.bans,
            places=self.places,
            changes=self.changes,
            clock=self.clock,
            dice=SeededDice(),
            journal=self.journal,
            metrics=self.metrics,
            recent=(recent or SharedRecent(1, 16)).by(self.clock),
            sleep=self._sleep,
            factor_letters=self.letters,
            tokens=self.tokens,
        )
        self.authenticator = SaslAuthenticator(tools, LoginSettings(**settings))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def _verify_password(self, argon2: str, prepared: str) -> bool:
        self.hashed.append(prepared)
        self.clock.advance(0.025)
        return verify_password(argon2, prepared)

    async def login(
        self, proof: PasswordProof = GOOD, client: object = HOME, service: str = "imap"
    ) -> Identity | LoginFailure:
        return await self.authenticator.verify(Channel(service, client, TLS), proof)

    def cause(self) -> Any:
        return self.journal.entries[-1].fields["cause"]
