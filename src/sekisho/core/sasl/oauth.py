"""OAUTHBEARER (RFC 7628) and XOAUTH2, its elder brother of some large providers: the client shows a token
that an issuer gave it.

Nothing is verified here. A refused token is told by a challenge of JSON, which the client answers before the
exchange fails.
"""

import json
import re

from sekisho.core.sasl.exchange import MAX_NAME_OCTETS, BearerToken, Challenge, SaslError, Step, decode_text
from sekisho.core.sasl.scram import decode_saslname

OAUTHBEARER = "OAUTHBEARER"
XOAUTH2 = "XOAUTH2"
MAX_TOKEN_OCTETS = 6000  # in base64 it fits into the lines that are taken before a login
_TOKEN = rb"(?P<token>[A-Za-z0-9._~+/-]{1,%d}=*)" % MAX_TOKEN_OCTETS  # RFC 6750 §2.1
# RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep. Channel binding is not defined for it (§3.2.1).
_MESSAGE = re.compile(
    rb"(?P<flag>n|y|p=[A-Za-z0-9.\-]{1,64}),(?:a=(?P<authzid>[^,\0\x01]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[\t"
    rb"\n\r -~]*\x01)*)\x01"
)
_XOAUTH2 = re.compile(
    rb"user=(?P<user>[^\0\x01]*)\x01auth=[Bb][Ee][Aa][Rr][Ee][Rr] +" + _TOKEN + rb" *\x01\x01"
)
_BEARER = re.compile(rb"(?:\A|\x01)auth=[Bb][Ee][Aa][Rr][Ee][Rr] +" + _TOKEN + rb" *\x01")
_MAX_OCTETS = MAX_TOKEN_OCTETS + 2048


class OauthBearer:
    """RFC 7628 §3.1."""

    name = OAUTHBEARER

    def __init__(self) -> None:
        self._over = False

    def start(self, initial_response: bytes | None) -> Step:
        return Challenge(b"") if initial_response is None else self.respond(initial_response)

    def respond(self, response: bytes) -> Step:
        if self._over:
            raise SaslError("the exchange is over")
        self._over = True
        if len(response) > _MAX_OCTETS:
            raise SaslError("the message with the token is too long")
        return self._read(response)

    def _read(self, message: bytes) -> BearerToken:
        match = _MESSAGE.fullmatch(message)
        if not match or match["flag"].startswith(b"p"):
            raise SaslError(f"the {self.name} message is malformed")
        token = _BEARER.search(match["pairs"])
        if not token:  # §3.1: the one pair that must be there
            raise SaslError(f"the {self.name} message has no bearer token")
        return BearerToken(
            decode_saslname(match["authzid"]) if match["authzid"] else "", token["token"].decode()
        )


class Xoauth2(OauthBearer):
    """`user=NAME ^A auth=Bearer TOKEN ^A ^A`, as the providers that invented it describe it."""

    name = XOAUTH2

    def _read(self, message: bytes) -> BearerToken:
        match = _XOAUTH2.fullmatch(message)
        if not match:
            raise SaslError("the XOAUTH2 message is malformed")
        return BearerToken(decode_text(match["user"], MAX_NAME_OCTETS, "user name"), match["token"].decode())


def error_challenge(mechanism: str, scope: str, discovery: str) -> bytes:
    """What is said before a token's exchange fails (RFC 7628 §3.2.2): the same for all that may be wrong with
    it."""
    if mechanism == XOAUTH2:
        told = {"status": "401", "schemes": "bearer", "scope": scope}
    else:
        told = {"status": "invalid_token", "scope": scope, "openid-configuration": discovery}
    return json.dumps({name: text for name, text in told.items() if text}).encode()
