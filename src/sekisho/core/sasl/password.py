"""The mechanisms that hand over the password itself: PLAIN and LOGIN. Only ever offered under TLS (RFC 4954
§4)."""

from sekisho.core.sasl.exchange import (
    MAX_NAME_OCTETS,
    MAX_PASSWORD_OCTETS,
    Challenge,
    SaslCredentials,
    SaslError,
    Step,
    decode_text,
)


class Plain:
    """RFC 4616: `[authzid] NUL authcid NUL passwd`."""

    name = "PLAIN"

    def __init__(self) -> None:
        self._over = False

    def start(self, initial_response: bytes | None) -> Step:
        if initial_response is None:
            return Challenge(b"")  # RFC 4422 §5: an empty challenge asks for the response
        return self.respond(initial_response)

    def respond(self, response: bytes) -> Step:
        if self._over:
            raise SaslError("the exchange is over")
        self._over = True
        parts = response.split(b"\0", 3)
        if len(parts) != 3:
            raise SaslError("PLAIN needs three parts between two NULs")
        authzid = decode_text(parts[0], MAX_NAME_OCTETS, "authorization identity")
        username = decode_text(parts[1], MAX_NAME_OCTETS, "user name")
        password = decode_text(parts[2], MAX_PASSWORD_OCTETS, "password")
        if not username or not password:  # RFC 4616 §2: authcid and passwd are 1*SAFE
            raise SaslError("PLAIN needs a user name and a password")
        return SaslCredentials(username, password, authzid)


class Login:
    """The two questions of the expired draft-murchison-sasl-login, which old clients and devices still
    speak."""

    name = "LOGIN"

    def __init__(self) -> None:
        self._username: str | None = None
        self._over = False

    def start(self, initial_response: bytes | None) -> Step:
        if initial_response:
            return self.respond(initial_response)
        return Challenge(b"Username:")

    def respond(self, response: bytes) -> Step:
        if self._over:
            raise SaslError("the exchange is over")
        if self._username is None:
            self._username = decode_text(response, MAX_NAME_OCTETS, "user name")
            if not self._username:
                self._over = True
                raise SaslError("LOGIN needs a user name")
            return Challenge(b"Password:")
        self._over = True
        password = decode_text(response, MAX_PASSWORD_OCTETS, "password")
        if not password:
            raise SaslError("LOGIN needs a password")
        return SaslCredentials(self._username, password)
