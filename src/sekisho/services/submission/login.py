"""AUTH on a submission connection: the authentication service judges, failures are counted."""

from dataclasses import replace

from sekisho.core.sasl.exchange import Challenge
from sekisho.core.smtp.events import SaslBegins, SaslDropped, SaslResponse
from sekisho.core.terms.address import Address
from sekisho.core.terms.base64 import encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.authentication import Authenticator, Channel, Exchange, LoginFailure
from sekisho.services.smtp.connection import Connection
from sekisho.services.smtp.refusal import Refusal

_WELCOME = Reply.of(235, "2.7.0", "Authentication successful")
_REFUSED = Refusal.of(535, "5.7.8", "Wrong user name or password")  # RFC 4954 §6
_REFUSALS = {
    LoginFailure.REFUSED: _REFUSED,
    LoginFailure.LIMITED: _REFUSED,
    LoginFailure.UNAVAILABLE: Refusal.of(454, "4.7.0", "Temporary authentication failure"),
    LoginFailure.MALFORMED: Refusal.of(501, "5.5.2", "The response is not valid for this mechanism"),
    LoginFailure.NOT_OFFERED: Refusal.of(504, "5.5.4", "This mechanism is not offered"),
}
_CANCELLED = Refusal.of(501, "5.7.0", "Authentication cancelled")
_TOO_MANY = Reply.of(421, "4.7.0", "Too many failed logins, closing the connection")


class SubmissionLogin:
    """`identity` is set once a login succeeded, or from the start (`is_local`); `mechanism` is the name of
    the one that was last begun."""

    def __init__(
        self,
        authenticator: Authenticator,
        connection: Connection,
        max_failures: int,
        identity: Identity | None,
    ) -> None:
        self.connection = connection
        self.identity = identity
        self.is_local = identity is not None
        self.mechanism = ""
        self._authenticator = authenticator
        self._max_failures = max_failures
        self._failures = 0
        self._exchange: Exchange | None = None

    @property
    def only_sender(self) -> Address | None:
        """The one address that the credential may send as; None: all of the account's."""
        return self.identity.sender if self.identity is not None else None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is offered on the connection as it is now."""
        return self._authenticator.mechanisms(self._channel)

    @property
    def _channel(self) -> Channel:
        return Channel("submission", self.connection.stream.peer.address, self.connection.stream.tls)

    async def take(self, event: SaslBegins | SaslResponse | SaslDropped) -> Refusal | Reply | bytes:
        """A reply to who is let in, or a challenge in base64."""
        if isinstance(event, SaslDropped):
            return self._failed(_CANCELLED)  # the machine has said so
        if isinstance(event, SaslBegins):
            self.mechanism = event.mechanism.upper()
            self._exchange = self._authenticator.exchange(
                self._channel
            )  # THREATS 13: a new object for each exchange
            answer = await self._exchange.begin(event.mechanism, event.initial)
        else:
            assert self._exchange is not None
            answer = await self._exchange.respond(event.octets)
        if isinstance(answer, Challenge):
            return encode_base64(answer.octets)
        self._exchange = None
        if isinstance(answer, Identity):
            self.identity = answer
            self.connection.account = str(answer.address)
            return _WELCOME
        if answer is LoginFailure.UNAVAILABLE:
            return self._parting(_REFUSALS[answer])
        return self._failed(_REFUSALS[answer])

    def _failed(self, refusal: Refusal) -> Refusal:
        """A wrong password, a broken or a cancelled exchange."""
        self._exchange = None
        self._failures += 1
        return self._parting(refusal)

    def _parting(self, refusal: Refusal) -> Refusal:
        return replace(refusal, parting=_TOO_MANY) if self._failures >= self._max_failures else refusal
