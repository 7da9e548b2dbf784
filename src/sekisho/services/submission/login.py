"""AUTH on a submission connection: the authentication service judges, failures are counted."""

from sekisho.core.sasl.exchange import Challenge
from sekisho.core.smtp.events import SaslBegins, SaslResponse
from sekisho.core.terms.base64 import encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.authentication import Authenticator, Channel, Exchange, LoginFailure
from sekisho.ports.stream import Stream

_WELCOME = Reply.of(235, "2.7.0", "Authentication successful")
_REFUSED = Reply.of(535, "5.7.8", "Wrong user name or password")  # RFC 4954 §6
_REFUSALS = {
    LoginFailure.REFUSED: _REFUSED,
    LoginFailure.LIMITED: _REFUSED,
    LoginFailure.UNAVAILABLE: Reply.of(454, "4.7.0", "Temporary authentication failure"),
    LoginFailure.MALFORMED: Reply.of(501, "5.5.2", "The response does not fit the mechanism"),
    LoginFailure.NOT_OFFERED: Reply.of(504, "5.5.4", "That mechanism is not offered"),
}
_TOO_MANY = Reply.of(421, "4.7.0", "Too many failed logins, closing the connection")


class Login:
    """`identity` is set once a login succeeded; `mechanism` is the name of the one that was last begun."""

    def __init__(self, authenticator: Authenticator, stream: Stream, max_failures: int) -> None:
        self.identity: Identity | None = None
        self.mechanism = ""
        self._authenticator = authenticator
        self._stream = stream
        self._max_failures = max_failures
        self._failures = 0
        self._exchange: Exchange | None = None

    @property
    def last_words(self) -> Reply | None:
        return _TOO_MANY if self._failures >= self._max_failures else None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is offered on the connection as it is now."""
        return self._authenticator.mechanisms(self._channel)

    @property
    def _channel(self) -> Channel:
        return Channel("submission", self._stream.peer.address, self._stream.tls)

    async def take(self, event: SaslBegins | SaslResponse) -> Reply | bytes:
        """A reply, or a challenge in base64."""
        if isinstance(event, SaslBegins):
            self.mechanism = event.mechanism.upper()
            self._exchange = self._authenticator.exchange(self._channel)  # THREATS 13: a new object for each exchange
            answer = await self._exchange.begin(event.mechanism, event.initial)
        else:
            assert self._exchange is not None
            answer = await self._exchange.respond(event.octets)
        if isinstance(answer, Challenge):
            return encode_base64(answer.octets)
        self._exchange = None
        if isinstance(answer, Identity):
            self.identity = answer
            return _WELCOME
        if answer is not LoginFailure.UNAVAILABLE:
            self.failed()
        return _REFUSALS[answer]

    def failed(self) -> None:
        """A wrong password, a broken or a cancelled exchange."""
        self._exchange = None
        self._failures += 1
