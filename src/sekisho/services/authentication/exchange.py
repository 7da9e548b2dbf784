"""A SASL exchange: the mechanism speaks, the authenticator judges."""

from collections.abc import Callable
from typing import Protocol

from sekisho.core.sasl.exchange import (
    BearerToken,
    Certified,
    Challenge,
    Mechanism,
    Proven,
    SaslCredentials,
    SaslError,
    SecretNeeded,
    Step,
)
from sekisho.core.sasl.mechanisms import make_mechanism
from sekisho.core.sasl.oauth import error_challenge
from sekisho.core.sasl.scram import ScramSha256
from sekisho.core.terms.base64 import encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, Channel, LoginFailure, PasswordProof
from sekisho.ports.tokens import TokenHints
from sekisho.services.authentication.attempt import Refused, refused_by
from sekisho.services.authentication.candidates import Claim

NONCE_OCTETS = 18


class Judge(Protocol):
    """The authenticator, as its exchanges see it."""

    def mechanisms(self, channel: Channel) -> tuple[str, ...]: ...

    def bindings(self, channel: Channel) -> dict[str, bytes]: ...

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure: ...

    async def claim(self, channel: Channel, mechanism: str, needed: SecretNeeded) -> Claim | LoginFailure: ...

    async def prove(
        self, channel: Channel, mechanism: str, claim: Claim, respond: Callable[[], Step]
    ) -> tuple[Identity, Proven] | LoginFailure: ...

    async def bear(self, channel: Channel, mechanism: str, shown: BearerToken) -> Identity | LoginFailure: ...

    def token_hints(self) -> TokenHints: ...

    async def certify(self, channel: Channel, authzid: str) -> Identity | LoginFailure: ...

    async def refuse(self, channel: Channel, mechanism: str, refused: Refused) -> LoginFailure: ...


class SaslExchange:
    """Implements `ports.authentication.Exchange`. `nonce`: NONCE_OCTETS random ones."""

    def __init__(self, judge: Judge, channel: Channel, nonce: bytes) -> None:
        self._judge = judge
        self._channel = channel
        self._nonce = encode_base64(nonce)
        self._name = ""
        self._mechanism: Mechanism | None = None
        self._claim: Claim | None = None
        self._identity: Identity | None = None
        self._failure: LoginFailure | None = None

    async def begin(self, mechanism: str, initial: bytes | None) -> Answer:
        name = mechanism.upper()
        if name not in self._judge.mechanisms(self._channel):
            return LoginFailure.NOT_OFFERED
        self._name = name
        made = self._mechanism = make_mechanism(name, self._nonce, self._judge.bindings(self._channel))
        return await self._step(lambda: made.start(initial))

    async def respond(self, octets: bytes) -> Answer:
        mechanism = self._mechanism
        if mechanism is None:
            raise RuntimeError("the exchange is over, or has not begun")
        if (
            self._identity is not None
        ):  # it has seen our signature: an empty response ends the exchange (RFC 4954 §4)
            self._mechanism = None
            return LoginFailure.MALFORMED if octets else self._identity
        if (
            self._failure is not None
        ):  # it has seen why; what it says to that (RFC 7628 §3.2.3) is all the same
            self._mechanism = None
            return self._failure
        if self._claim is None:
            return await self._step(lambda: mechanism.respond(octets))
        return await self._prove(self._claim, lambda: mechanism.respond(octets))

    async def _step(self, take: Callable[[], Step]) -> Answer:
        try:
            step = take()
        except SaslError as error:
            return await self._fail(error)
        if isinstance(step, Challenge):
            return step
        if isinstance(step, SecretNeeded):
            return await self._give_secrets(step)
        if isinstance(step, BearerToken):
            return await self._bear(step)
        if isinstance(step, Certified):
            self._mechanism = None
            return await self._judge.certify(self._channel, step.authzid)
        self._mechanism, mechanism = None, self._name
        if not isinstance(step, SaslCredentials):
            raise RuntimeError(f"{mechanism} ended in {type(step).__name__}")
        return await self._judge.verify(
            self._channel, PasswordProof(step.username, step.password, step.authzid, mechanism)
        )

    async def _give_secrets(self, needed: SecretNeeded) -> Answer:
        claim = await self._judge.claim(self._channel, self._name, needed)
        if isinstance(claim, LoginFailure):
            self._mechanism = None
            return claim
        assert isinstance(self._mechanism, ScramSha256)
        self._claim = claim
        return self._mechanism.give_secrets(claim.secrets)

    async def _bear(self, shown: BearerToken) -> Answer:
        result = await self._judge.bear(self._channel, self._name, shown)
        if result in (
            LoginFailure.REFUSED,
            LoginFailure.LIMITED,
        ):  # RFC 7628 §3.2.2: an error challenge, then the failure
            self._failure = result
            hints = self._judge.token_hints()
            return Challenge(error_challenge(self._name, hints.scope, hints.discovery))
        self._mechanism = None
        return result

    async def _prove(self, claim: Claim, respond: Callable[[], Step]) -> Answer:
        result = await self._judge.prove(self._channel, self._name, claim, respond)
        if isinstance(result, LoginFailure):
            self._mechanism = None
            return result
        self._identity, proven = result
        return Challenge(proven.final)

    async def _fail(self, error: SaslError) -> LoginFailure:
        self._mechanism = None
        return await self._judge.refuse(self._channel, self._name, refused_by(error))
