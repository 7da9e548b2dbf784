"""EXTERNAL: the client's certificate, which TLS has verified, says who it is (RFC 4422 Appendix A)."""

from sekisho.core.sasl.exchange import MAX_NAME_OCTETS, Certified, Challenge, SaslError, Step, decode_text

EXTERNAL = "EXTERNAL"


class External:
    def __init__(self) -> None:
        self._over = False

    def start(self, initial_response: bytes | None) -> Step:
        return Challenge(b"") if initial_response is None else self.respond(initial_response)

    def respond(self, response: bytes) -> Step:
        """An authorization identity, or nothing: whoever the certificate is of."""
        if self._over:
            raise SaslError("the exchange is over")
        self._over = True
        return Certified(decode_text(response, MAX_NAME_OCTETS, "authorization identity"))
