"""AUTH on a submission connection: the mechanism speaks, the authenticator judges, failures are counted."""

from sekisho.core.sasl.exchange import Challenge, Credentials, Mechanism, SaslError, Step
from sekisho.core.sasl.mechanisms import password_mechanism
from sekisho.core.smtp.events import SaslBegins, SaslResponse
from sekisho.core.terms.base64 import encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.authentication import Authenticator, LoginFailure, PasswordProof
from sekisho.ports.stream import IpAddress

_WELCOME = Reply.of(235, "2.7.0", "Authentication successful")
_REFUSED = Reply.of(535, "5.7.8", "Wrong user name or password")  # RFC 4954 §6
_UNAVAILABLE = Reply.of(454, "4.7.0", "Temporary authentication failure")
_MALFORMED = Reply.of(501, "5.5.2", "The response does not fit the mechanism")
_NOT_OFFERED = Reply.of(504, "5.5.4", "That mechanism is not offered")
_TOO_MANY = Reply.of(421, "4.7.0", "Too many failed logins, closing the connection")


class Login:
    """`identity` is set once a login succeeded; `mechanism` is the name of the one that was last begun."""

    def __init__(self, authenticator: Authenticator, client: IpAddress, max_failures: int) -> None:
        self.identity: Identity | None = None
        self.mechanism = ""
        self._authenticator = authenticator
        self._client = client
        self._max_failures = max_failures
        self._failures = 0
        self._mechanism: Mechanism | None = None

    @property
    def last_words(self) -> Reply | None:
        return _TOO_MANY if self._failures >= self._max_failures else None

    async def take(self, event: SaslBegins | SaslResponse) -> Reply | bytes:
        """A reply, or a challenge in base64."""
        try:
            step = self._step(event)
        except SaslError:
            self.failed()
            return _MALFORMED
        if isinstance(step, Challenge):
            return encode_base64(step.octets)
        self._mechanism = None
        if not isinstance(step, Credentials):
            return _NOT_OFFERED
        proof = PasswordProof(step.username, step.password, step.authzid)
        result = await self._authenticator.verify("submission", proof, self._client)
        if isinstance(result, Identity):
            self.identity = result
            return _WELCOME
        if result is LoginFailure.UNAVAILABLE:
            return _UNAVAILABLE
        self.failed()
        return _REFUSED

    def _step(self, event: SaslBegins | SaslResponse) -> Step:
        if isinstance(event, SaslBegins):
            self.mechanism = event.mechanism.upper()
            self._mechanism = password_mechanism(event.mechanism)  # THREATS 13: a new object for each exchange
            if self._mechanism is None:
                raise SaslError("not offered")
            return self._mechanism.start(event.initial)
        if self._mechanism is None:
            raise SaslError("no exchange is open")
        return self._mechanism.respond(event.octets)

    def failed(self) -> None:
        """A wrong password, a broken or a cancelled exchange."""
        self._mechanism = None
        self._failures += 1
