"""The one place where passwords are checked, for submission, IMAP and POP3 alike.

Order (DESIGN §4 Time to refuse): limiter, directory, remembered outcomes, Argon2id. A failure is answered at a fixed time
after the question, so that neither the cause nor the existence of an account can be timed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from argon2.exceptions import Argon2Error, InvalidHashError

from sekisho.config.schema import LoginSettings
from sekisho.core.sasl.exchange import MAX_NAME_OCTETS, MAX_PASSWORD_OCTETS
from sekisho.core.sasl.preparation import PreparationError, prepare_password, prepare_username
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import LoginFailure, PasswordProof, ServiceName
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Counters
from sekisho.ports.credentials import PASSWORD, Credentials
from sekisho.ports.directory import Account, Directory
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import IpAddress
from sekisho.services.authentication.hashing import HashingBusy, HashingPool
from sekisho.services.authentication.limiter import LoginLimiter, network_of
from sekisho.services.authentication.passwords import NOBODYS_HASH, verify_password
from sekisho.services.authentication.remembered import RememberedLogins
from sekisho.services.authentication.standing import Standing


@dataclass(frozen=True, slots=True)
class _Refusal:
    failure: LoginFailure
    cause: str  # for the journal only


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What the directory says about a login name. `account` None: refuse, after the same work, because of `cause`."""

    account: Account | None
    argon2: str
    version: int
    cause: str


@dataclass(frozen=True, slots=True)
class AuthenticationTools:
    """What the authenticator works with. `sleep` is replaced in tests."""

    directory: Directory
    credentials: Credentials
    counters: Counters
    changes: Changes
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class PasswordAuthenticator:
    """Implements `ports.authentication.Authenticator`. One per worker."""

    def __init__(self, tools: AuthenticationTools, settings: LoginSettings) -> None:
        self._tools = tools
        self._settings = settings
        self._standing = Standing(tools.directory, tools.credentials, tools.clock)
        self._limiter = LoginLimiter(tools.counters, settings)
        self._pool = HashingPool(settings.hashing_threads)
        self._good = RememberedLogins(tools.dice.octets(32), tools.clock, settings.cache_seconds)
        # A device that repeats one wrong password is not guessing: it is neither counted nor hashed again.
        self._bad = RememberedLogins(tools.dice.octets(32), tools.clock, settings.window_seconds)
        self._unsubscribe = tools.changes.subscribe_directory(self._forget)

    def _forget(self) -> None:
        self._good.clear()
        self._bad.clear()

    def close(self) -> None:
        self._unsubscribe()
        self._pool.close()

    async def verify(self, service: ServiceName, proof: PasswordProof, client: IpAddress) -> Identity | LoginFailure:
        """See the port. Every login leaves an entry and a count."""
        tools = self._tools
        answer_at = tools.clock.monotonic() + self._settings.failure_seconds
        try:
            result = await self._check(service, proof, client)
        except StoreUnavailable:
            result = _Refusal(LoginFailure.UNAVAILABLE, "store unavailable")
        except HashingBusy:
            result = _Refusal(LoginFailure.UNAVAILABLE, "too many password checks waiting")
        except (Argon2Error, InvalidHashError) as error:
            result = _Refusal(LoginFailure.UNAVAILABLE, f"fault {tools.journal.fault('authentication', error)}")
        fields = {"service": service, "username": proof.username[:MAX_NAME_OCTETS], "client": str(client)}
        about = (*client_keys(client), fields["username"])
        if isinstance(result, Identity):
            tools.metrics.count("sekisho_logins_total", service=service, result="accepted")
            tools.journal.record(Entry("authentication.accepted", "", {**fields, "account_id": result.account_id}, about))
            return result
        tools.metrics.count("sekisho_logins_total", service=service, result=result.failure.value)
        tools.journal.record(Entry("authentication.refused", "", {**fields, "cause": result.cause}, about))
        await tools.sleep(max(0.0, answer_at - tools.clock.monotonic()))
        return result.failure

    async def _check(self, service: ServiceName, proof: PasswordProof, client: IpAddress) -> Identity | _Refusal:
        network = network_of(client)
        address = _login_address(proof.username)
        name = str(address) if address else proof.username
        async with self._limiter.turn(network):
            if await self._limiter.is_limited(network, name):
                return _Refusal(LoginFailure.LIMITED, "too many failed logins")
            candidate = await self._candidate(address, proof)
            password = _usable_password(proof.password)
            inputs = (service, name, password, str(candidate.version), candidate.cause)
            bad = self._bad.fingerprint(network, *inputs)
            if self._bad.has(bad):
                return _Refusal(LoginFailure.REFUSED, f"{candidate.cause or 'wrong password'}, again")
            fits = await self._fits(candidate, password, self._good.fingerprint(*inputs))
            if candidate.account is None or not fits:
                self._bad.remember(bad)
                await self._limiter.count_failure(network, name)
                return _Refusal(LoginFailure.REFUSED, candidate.cause or "wrong password")
            await self._limiter.count_success(network, name)
        account = candidate.account
        return Identity(account.id, Address.from_text(account.address), PASSWORD, account.credential_version)

    async def still_valid(self, identity: Identity) -> bool:
        return await self._standing.still_valid(identity)

    async def _fits(self, candidate: _Candidate, password: str, good: bytes) -> bool:
        if candidate.account is not None and self._good.has(good):
            return True
        fits = await self._pool.run(verify_password, candidate.argon2, password)
        if fits and candidate.account is not None:
            self._good.remember(good)
        return fits

    async def _candidate(self, address: Address | None, proof: PasswordProof) -> _Candidate:
        """Every refusal here goes on to the same hashing as a wrong password."""
        if address is None:
            return _Candidate(None, NOBODYS_HASH, 0, "not an address")
        account = await self._tools.directory.account_by_address(address)
        if account is None:
            return _Candidate(None, NOBODYS_HASH, 0, "no such account")
        stored = await self._tools.directory.password(account.id)
        if stored is None or not stored.argon2:
            return _Candidate(None, NOBODYS_HASH, 0, "no password")
        now_us = self._tools.clock.now_us()
        if not account.may_log_in(now_us):  # THREATS 15
            ended = account.state in ("active", "sending_held")
            return _Candidate(None, stored.argon2, stored.version, "account at its end" if ended else f"account {account.state}")
        password = await self._tools.credentials.credential(account.id, PASSWORD)
        if password is not None and not password.is_usable(now_us):
            return _Candidate(None, stored.argon2, stored.version, "password disabled")
        if proof.authzid and _login_address(proof.authzid) != address:  # THREATS 14
            return _Candidate(None, stored.argon2, stored.version, "acting for somebody else")
        return _Candidate(account, stored.argon2, stored.version, "")


def _login_address(username: str) -> Address | None:
    if len(username) > MAX_NAME_OCTETS:
        return None
    try:
        return prepare_username(username)
    except PreparationError:
        return None


def _usable_password(password: str) -> str:
    """The prepared password, or "", which fits nothing: no stored password is empty."""
    if len(password) > MAX_PASSWORD_OCTETS:
        return ""
    try:
        return prepare_password(password)
    except PreparationError:
        return ""
