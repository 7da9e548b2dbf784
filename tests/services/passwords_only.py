"""An authenticator that knows passwords only: whoever inherits says which in `verify`."""

from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.services.authentication.attempt import Refused
from sekisho.services.authentication.exchange import NONCE_OCTETS, SaslExchange


class PasswordsOnly:
    def mechanisms(self, channel: Channel) -> tuple[str, ...]:
        return ("PLAIN", "LOGIN") if channel.tls is not None else ()

    def bindings(self, channel: Channel) -> dict[str, bytes]:
        return {}

    def exchange(self, channel: Channel) -> SaslExchange:
        return SaslExchange(self, channel, b"n" * NONCE_OCTETS)

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure:
        raise NotImplementedError

    async def refuse(self, channel: Channel, mechanism: str, refused: Refused) -> LoginFailure:
        return refused.failure

    async def claim(self, *_: object) -> LoginFailure:
        raise NotImplementedError

    async def prove(self, *_: object) -> LoginFailure:
        raise NotImplementedError
