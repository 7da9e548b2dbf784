"""The one place where logins are judged, for submission, IMAP and POP3 alike.

Order (DESIGN §4 Time to refuse): limiter, directory, remembered outcomes, Argon2id. A failure is answered at
a fixed time after the question, so that neither the cause nor the existence of an account can be timed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from argon2.exceptions import Argon2Error

from sekisho.config.schema import LoginSettings
from sekisho.core.sasl.exchange import (
    MAX_NAME_OCTETS,
    MAX_PASSWORD_OCTETS,
    BearerToken,
    Proven,
    SaslError,
    SaslWrong,
    SecretNeeded,
    Step,
)
from sekisho.core.sasl.external import EXTERNAL
from sekisho.core.sasl.mechanisms import PASSWORD_MECHANISMS, SCRAM, SCRAM_PLUS, TOKEN_MECHANISMS
from sekisho.core.sasl.preparation import PreparationError, prepare_password
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.ports.bans import Bans
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Counters, Recent
from sekisho.ports.credentials import PASSWORD, Credentials
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import client_keys, history_key
from sekisho.ports.metrics import Metrics
from sekisho.ports.places import Places
from sekisho.ports.stream import IpAddress
from sekisho.ports.tokens import TokenHints, TokenVerifier
from sekisho.services.authentication.attempt import Attempt, Outcome, Refused, refused_by
from sekisho.services.authentication.bearer import judge_token
from sekisho.services.authentication.candidates import Candidate, Candidates, Claim, login_name
from sekisho.services.authentication.certificates import addresses_shown, judge_certificate
from sekisho.services.authentication.exchange import NONCE_OCTETS, SaslExchange
from sekisho.services.authentication.factor_letter import FactorLetters
from sekisho.services.authentication.hashing import HashingBusy, HashingPool, Lane
from sekisho.services.authentication.limiter import Leave, LimiterTools, LoginLimiter
from sekisho.services.authentication.logbook import LoginBook
from sekisho.services.authentication.passwords import (
    NOBODYS_HASH,
    WeakPassword,
    hash_password,
    is_current,
    verify_password,
)
from sekisho.services.authentication.remembered import RememberedLogins
from sekisho.services.authentication.scramkeys import scram_terms
from sekisho.services.authentication.spray import SprayWatch
from sekisho.services.authentication.standing import LoginStanding
from sekisho.services.authentication.tallies import NAMELESS, network_of
from sekisho.services.authentication.uses import CredentialUses


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationTools:
    """What the authenticator works with. `sleep` is replaced in tests."""

    directory: Directory
    credentials: Credentials
    counters: Counters
    bans: Bans
    places: Places
    changes: Changes
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    recent: Recent
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    factor_letters: FactorLetters | None = None
    tokens: TokenVerifier | None = None
    standing: LoginStanding | None = None  # None: asks `directory` and `credentials` each time


class SaslAuthenticator:
    """Implements `ports.authentication.Authenticator`. One per worker, for its whole life."""

    def __init__(self, tools: AuthenticationTools, settings: LoginSettings) -> None:
        self._tools = tools
        standing = tools.standing or LoginStanding(tools.directory, tools.credentials, tools.clock)
        self._standing = standing
        self._candidates = Candidates(tools.directory, tools.credentials, tools.clock)
        self._uses = CredentialUses(tools.credentials, tools.clock)
        self._book = LoginBook(tools.places, tools.clock)
        self._use(settings)
        self._unsubscribe = tools.changes.subscribe_directory(self._forget)

    def _use(self, settings: LoginSettings) -> None:
        tools = self._tools
        self._settings = settings
        limiter_tools = LimiterTools(
            counters=tools.counters,
            bans=tools.bans,
            clock=tools.clock,
            journal=tools.journal,
            metrics=tools.metrics,
            recent=tools.recent,
        )
        self._limiter = LoginLimiter(limiter_tools, settings)
        self._spray = SprayWatch(tools.recent, settings.sprayed_accounts, settings.window_seconds)
        self._pool = HashingPool(settings.hashing_threads)
        self._good = RememberedLogins(tools.dice.octets(32), tools.clock, settings.cache_seconds)
        # A device that repeats one wrong password is not guessing: it is neither counted nor hashed again.
        self._bad = RememberedLogins(tools.dice.octets(32), tools.clock, settings.window_seconds)
        # Of those, the right passwords that are not enough. They count like wrong ones: whoever could tell
        # would know that one is right.
        self._short = RememberedLogins(tools.dice.octets(32), tools.clock, settings.window_seconds)

    def use(self, settings: LoginSettings, tools: AuthenticationTools | None = None) -> None:
        """From now on by these settings; checks under way end by the old ones. The same settings forget
        nothing.

        It outlives them, since what it remembers of guesses and good logins must, and open connections are
        bound by the new ones.
        """
        self._tools = tools or self._tools
        if settings != self._settings:
            self._pool.retire()
            self._use(settings)

    def _forget(self) -> None:
        self._good.clear()
        self._bad.clear()
        self._short.clear()

    def close(self) -> None:
        self._unsubscribe()
        self._pool.close()

    # -- the port --------------------------------------------------------------------------------------------

    def mechanisms(self, channel: Channel) -> tuple[str, ...]:
        if channel.tls is None:  # RFC 4954 §4, RFC 8314 §3
            return ()
        plus = (SCRAM_PLUS,) if self.bindings(channel) else ()
        scram = (*plus, SCRAM) if self._settings.scram else ()
        tokens = TOKEN_MECHANISMS if self._hints() else ()
        certified = (EXTERNAL,) if channel.tls.client is not None else ()  # RFC 8314 §4.2
        return (*certified, *scram, *tokens, *PASSWORD_MECHANISMS)

    def _hints(self) -> TokenHints | None:
        return self._tools.tokens.hints if self._tools.tokens else None

    def bindings(self, channel: Channel) -> dict[str, bytes]:
        """The channel bindings that are offered there, by type. Python's TLS does not give out tls-exporter
        (RFC 9266)."""
        kind = self._settings.channel_binding
        if kind == "off" or channel.tls is None or not channel.tls.end_point:
            return {}
        return {kind: channel.tls.end_point}

    def exchange(self, channel: Channel) -> SaslExchange:
        return SaslExchange(self, channel, self._tools.dice.octets(NONCE_OCTETS))

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure:
        attempt = self._attempt(channel, proof.mechanism, proof.username)
        return await self._settle(attempt, await self._shielded(self._check(channel, proof)))

    async def still_valid(self, identity: Identity) -> bool:
        return await self._standing.still_valid(identity)

    # -- what exchanges ask (exchange.Judge) -----------------------------------------------------------------

    async def claim(self, channel: Channel, mechanism: str, needed: SecretNeeded) -> Claim | LoginFailure:
        """Only reads rows: the limiter speaks before the proof is looked at, so that a banned network sees
        the same salt as others."""
        attempt = self._attempt(channel, mechanism, needed.username)
        try:
            async with self._limiter.turn(channel.client):
                return await self._candidates.claim(needed.username, needed.authzid)
        except StoreUnavailable:
            refused = Refused(LoginFailure.UNAVAILABLE, "store unavailable")
        except ValueError as error:
            refused = Refused(
                LoginFailure.UNAVAILABLE, f"fault {self._tools.journal.fault('authentication', error)}"
            )
        return await self._fail(attempt, refused)

    async def prove(
        self, channel: Channel, mechanism: str, claim: Claim, respond: Callable[[], Step]
    ) -> tuple[Identity, Proven] | LoginFailure:
        """`respond` gives the client's proof to the mechanism."""
        attempt = self._attempt(channel, mechanism, claim.candidate.name)
        proofs: list[Proven] = []
        result = await self._settle(
            attempt, await self._shielded(self._check_proof(channel, claim, respond, proofs))
        )
        return (result, proofs[0]) if isinstance(result, Identity) else result

    async def bear(self, channel: Channel, mechanism: str, shown: BearerToken) -> Identity | LoginFailure:
        attempt = self._attempt(channel, mechanism, shown.username)
        return await self._settle(attempt, await self._shielded(self._check_token(channel, shown)))

    async def certify(self, channel: Channel, authzid: str) -> Identity | LoginFailure:
        """EXTERNAL: the client's certificate was verified in the handshake."""
        attempt = self._attempt(channel, EXTERNAL, authzid or ", ".join(addresses_shown(channel)))
        return await self._settle(attempt, await self._shielded(self._check_certificate(channel, authzid)))

    def token_hints(self) -> TokenHints:
        return self._hints() or TokenHints("", "")

    async def refuse(self, channel: Channel, mechanism: str, refused: Refused) -> LoginFailure:
        """An exchange that ended before anybody was named."""
        return await self._fail(self._attempt(channel, mechanism, ""), refused)

    # -- judging ---------------------------------------------------------------------------------------------

    async def _check(self, channel: Channel, proof: PasswordProof) -> Outcome:
        async with self._limiter.turn(channel.client):
            leave = await self._limiter.leave(channel.client, login_name(proof.username))
            if leave.ban is not None:
                return Refused(LoginFailure.LIMITED, f"banned: {leave.ban.reason}")
            candidate = await self._candidates.find(proof.username, proof.authzid)
            return await self._check_password(channel, leave, candidate, _usable_password(proof.password))

    async def _check_password(
        self, channel: Channel, leave: Leave, candidate: Candidate, password: str
    ) -> Outcome:
        client = channel.client
        version = candidate.password.version if candidate.password else 0
        inputs = (channel.service, candidate.name, password, str(version), candidate.cause)
        bad = self._bad.fingerprint(network_of(client), *inputs)
        if self._bad.has(bad):
            if self._short.has(bad):
                return Refused(LoginFailure.REFUSED, "second factor, again", candidate.account)
            return Refused(LoginFailure.REFUSED, f"{candidate.cause or 'wrong password'}, again")
        shown = await self._candidates.owner_of(candidate, password)
        if shown:  # nobody guesses these: what is off here may be good at the next host or a moment later
            outcome = self._candidates.admit(candidate, shown, channel)
            if isinstance(outcome, Refused):
                return outcome
        else:
            outcome = await self._check_own(
                channel, leave, candidate, password, self._good.fingerprint(*inputs)
            )
        if isinstance(outcome, Identity):
            await self._limiter.count_success(client, candidate.name)
        elif outcome.failure is LoginFailure.REFUSED:
            self._bad.remember(bad)
            if outcome.tell:
                self._short.remember(bad)
            if not leave.is_familiar:
                self._spray.note(password, candidate.name)
            await self._limiter.count_failure(client, candidate.name, is_known=candidate.account is not None)
        return outcome

    async def _check_own(
        self, channel: Channel, leave: Leave, candidate: Candidate, password: str, good: bytes
    ) -> Outcome:
        """The account's own password. While strangers try it from everywhere, only devices that were let in
        before are."""
        if leave.only_known and not self._good.has(good):
            return Refused(LoginFailure.LIMITED, "banned: account")
        if not await self._fits(channel.client, candidate, password, good, leave):
            return Refused(LoginFailure.REFUSED, candidate.cause or "wrong password")
        if not leave.is_familiar and self._spray.is_sprayed(password):
            return Refused(LoginFailure.REFUSED, candidate.cause or "password tried at many accounts")
        outcome = self._candidates.admit(candidate, PASSWORD, channel)
        if isinstance(outcome, Identity):
            await self._upgrade(candidate, password)
        return outcome

    async def _fits(
        self, client: IpAddress, candidate: Candidate, password: str, good: bytes, leave: Leave
    ) -> bool:
        """Costs the same for a name that nobody has and for an account that nobody may open."""
        if not candidate.cause and self._good.has(good):
            return True
        stored = candidate.password.argon2 if candidate.password else ""
        try:
            fits = await self._pool.run(verify_password, stored or NOBODYS_HASH, password, lane=leave.lane)
        except HashingBusy:
            if not leave.is_familiar:
                await self._limiter.count_unanswered(client)
            raise
        if fits and not candidate.cause:
            self._good.remember(good)
        return fits

    async def _upgrade(self, candidate: Candidate, password: str) -> None:
        """Keep an imported password from now on as our own ones are kept. If that cannot be done now, the
        next login does it."""
        stored = candidate.password
        if stored is None or is_current(stored.argon2):
            return
        try:
            address = Address.from_text(candidate.name)
            terms = await scram_terms(self._tools.directory, self._tools.credentials, address)
            hashed = await self._pool.run(hash_password, password, terms, lane=Lane.FAMILIAR)
            await self._tools.directory.upgrade_password(stored.account_id, stored.argon2, *hashed)
        except (HashingBusy, StoreUnavailable, WeakPassword):
            return
        self._tools.journal.record(
            Entry("authentication.upgraded", candidate.name, {"account_id": stored.account_id})
        )

    async def _check_proof(
        self, channel: Channel, claim: Claim, respond: Callable[[], Step], proofs: list[Proven]
    ) -> Outcome:
        client, name, is_known = channel.client, claim.candidate.name, claim.candidate.account is not None
        async with self._limiter.turn(client):
            leave = await self._limiter.leave(client, name)
            if leave.ban is not None:
                return Refused(LoginFailure.LIMITED, f"banned: {leave.ban.reason}")
            try:
                step = respond()
            except SaslWrong:
                if leave.only_known:
                    return Refused(LoginFailure.LIMITED, "banned: account")
                await self._limiter.count_failure(client, name, is_known=is_known)
                return Refused(LoginFailure.REFUSED, claim.candidate.cause or "wrong password")
            except SaslError as error:
                return refused_by(error)
            assert isinstance(step, Proven)
            shown = claim.credential_ids[step.index]
            if leave.only_known and shown == PASSWORD:  # nobody guesses the others
                return Refused(LoginFailure.LIMITED, "banned: account")
            outcome = self._candidates.admit(claim.candidate, shown, channel)
            if isinstance(outcome, Identity) and not await self._standing.still_valid(
                outcome
            ):  # changed since the salt was given out
                outcome = Refused(LoginFailure.REFUSED, "changed during the login")
            if isinstance(outcome, Identity):
                proofs.append(step)
                await self._limiter.count_success(client, name)
            elif outcome.tell:
                # counted as if it were wrong: who shares the network could tell by what is left of its
                # guesses
                await self._limiter.count_failure(client, name, is_known=is_known)
            return outcome  # whoever knows a password that is off, or a former one, does not guess

    async def _check_token(self, channel: Channel, shown: BearerToken) -> Outcome:
        client, name, verifier = channel.client, login_name(shown.username) or NAMELESS, self._tools.tokens
        if verifier is None:  # the settings changed during the exchange
            return Refused(LoginFailure.UNAVAILABLE, "no issuer")
        async with self._limiter.turn(client):
            leave = await self._limiter.leave(client, name)
            if leave.ban is not None:
                return Refused(LoginFailure.LIMITED, f"banned: {leave.ban.reason}")
            bad = self._bad.fingerprint(network_of(client), channel.service, name, shown.token)
            if self._bad.has(bad):
                return Refused(LoginFailure.REFUSED, "wrong token, again")
            outcome = await judge_token(verifier, self._candidates, channel, shown)
            if isinstance(outcome, Identity):
                return await self._let_in(client, name, outcome)
            if outcome.failure is LoginFailure.REFUSED:
                if not outcome.may_pass:
                    self._bad.remember(bad)
                await self._limiter.count_failure(
                    client, name, is_known=True
                )  # a name that is nobody's needs a signature here
            return outcome

    async def _check_certificate(self, channel: Channel, authzid: str) -> Outcome:
        client, name = channel.client, login_name(authzid)
        async with self._limiter.turn(client):
            leave = await self._limiter.leave(client, name)
            if leave.ban is not None:
                return Refused(LoginFailure.LIMITED, f"banned: {leave.ban.reason}")
            outcome = await judge_certificate(self._candidates, channel, authzid)
            # A refusal is no guess: the authority vouches for the client.
            return await self._let_in(client, name, outcome) if isinstance(outcome, Identity) else outcome

    async def _let_in(self, client: IpAddress, name: str, identity: Identity) -> Outcome:
        """`name`: what the client said of itself, which may be nothing; a ban of the account holds all the
        same."""
        address = str(identity.address)
        if address != name:
            leave = await self._limiter.leave(client, address)
            if leave.ban is not None:
                return Refused(LoginFailure.LIMITED, f"banned: {leave.ban.reason}")
        await self._limiter.count_success(client, address)
        return identity

    # -- the tail of every login -----------------------------------------------------------------------------

    def _attempt(self, channel: Channel, mechanism: str, username: str) -> Attempt:
        return Attempt(
            channel, mechanism, username, self._tools.clock.monotonic() + self._settings.failure_seconds
        )

    async def _shielded(self, check: Awaitable[Outcome]) -> Outcome:
        try:
            return await check
        except StoreUnavailable:
            return Refused(LoginFailure.UNAVAILABLE, "store unavailable")
        except HashingBusy:
            return Refused(LoginFailure.UNAVAILABLE, "too many password checks waiting")
        except (Argon2Error, ValueError) as error:
            return Refused(
                LoginFailure.UNAVAILABLE, f"fault {self._tools.journal.fault('authentication', error)}"
            )

    async def _settle(self, attempt: Attempt, outcome: Outcome) -> Identity | LoginFailure:
        """Whatever the mechanism: every login leaves an entry and a count, and a failure is answered at its
        time."""
        if isinstance(outcome, Refused):
            return await self._fail(attempt, outcome)
        is_new = await self._book.note(attempt.channel, attempt.mechanism, outcome)
        more: dict[str, str | int] = {
            "account_id": outcome.account_id,
            "credential": outcome.credential_id,
            "new_place": is_new,
        }
        self._write_down(attempt, "accepted", "accepted", (history_key(str(outcome.address)),), **more)
        await self._uses.note(outcome, network_of(attempt.channel.client))
        return outcome

    async def _fail(self, attempt: Attempt, refused: Refused) -> LoginFailure:
        if refused.failure is LoginFailure.MALFORMED:  # answered at once: it tells nothing about anybody
            self._write_down(attempt, "malformed", refused.failure.value, cause=refused.cause)
        else:
            self._write_down(attempt, "refused", refused.failure.value, cause=refused.cause)
            if refused.tell and self._tools.factor_letters:
                account = refused.tell
                self._tools.factor_letters.tell(
                    account.id, Address.from_text(account.address), attempt.channel
                )
            await self._tools.sleep(max(0.0, attempt.answer_at - self._tools.clock.monotonic()))
        return refused.failure

    def _write_down(
        self, attempt: Attempt, kind: str, result: str, keys: tuple[str, ...] = (), **more: str | int
    ) -> None:
        channel, tools = attempt.channel, self._tools
        tls = channel.tls
        fields: dict[str, str | int | None] = {
            "service": channel.service,
            "username": attempt.username[:MAX_NAME_OCTETS],
            "client": str(channel.client),
            "mechanism": attempt.mechanism,
            "tls": tls.version if tls else None,
            "cipher": tls.cipher if tls else None,  # RFC 8314 §4.3
            **more,
        }
        tools.metrics.count("sekisho_logins_total", service=channel.service, result=result)
        about = tuple(filter(None, (*client_keys(channel.client), attempt.username[:MAX_NAME_OCTETS], *keys)))
        tools.journal.record(Entry(f"authentication.{kind}", "", fields, about))


def _usable_password(password: str) -> str:
    """The prepared password, or "", which fits nothing: no stored password is empty."""
    if len(password) > MAX_PASSWORD_OCTETS:
        return ""
    try:
        return prepare_password(password)
    except PreparationError:
        return ""
