"""SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677), from stored keys: the password itself is never here.

With `bindings` given it serves SCRAM-SHA-256-PLUS too (RFC 5802 §6) and notices a downgrade. An account may
have several passwords (one per device): their keys share salt and iteration count, so that one exchange is
checked against each.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sekisho.core.sasl.exchange import (
    MAX_NAME_OCTETS,
    Challenge,
    Proven,
    SaslError,
    SaslRefused,
    SaslWrong,
    SecretNeeded,
    Step,
    decode_text,
)
from sekisho.core.sasl.preparation import prepare_scram_password
from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64

KEY_OCTETS = 32
MIN_ITERATIONS = 4096  # RFC 7677 §4
MAX_ITERATIONS = 10_000_000

# RFC 5802 §7: gs2-cbind-flag "," [ "a=" saslname ] "," [reserved-mext] "n=" saslname ",r=" nonce [extensions]
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>[ny]|p=(?P<binding>[A-Za-z0-9.\-]{1,64})),(?:a=(?P<authzid>[^,\0]+))?,)"
    rb"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>[!-+\--~]{8,512})(?:,[A-Za-ln-z]=[^,\0]*)*)"
)
_CLIENT_FINAL = re.compile(
    rb"(?P<without_proof>c=(?P<binding>[A-Za-z0-9+/=]{4,2048}),r=(?P<nonce>[!-+\--~]{1,1100})(?:,[A-Za-ln-z"
    rb"]=[^,\0]*)*)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]{1,128})"
)
_STORED = re.compile(
    r"SCRAM-SHA-256\$([0-9]{1,8}):([A-Za-z0-9+/=]{1,344})\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})"
)
MAX_MESSAGE_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class ScramSecret:
    """What is stored instead of a password (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __str__(self) -> str:
        """`SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` (RFC 5803 §3)."""
        salt, stored, server = (
            encode_base64(o).decode() for o in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def from_text(cls, text: str) -> "ScramSecret":
        """Raises ValueError."""
        match = _STORED.fullmatch(text)
        if not match or not MIN_ITERATIONS <= int(match[1]) <= MAX_ITERATIONS:
            raise ValueError("not a SCRAM-SHA-256 secret")
        salt, stored, server = (decode_base64(match[n].encode(), 256) for n in (2, 3, 4))
        if len(stored) != KEY_OCTETS or len(server) != KEY_OCTETS:
            raise ValueError("not a SCRAM-SHA-256 secret")
        return cls(salt, int(match[1]), stored, server)


def derive_secret(password: str, salt: bytes, iterations: int) -> ScramSecret:
    """The keys of a password (RFC 5802 §3); raises PreparationError. Costs `iterations` HMACs."""
    salted = hashlib.pbkdf2_hmac("sha256", prepare_scram_password(password).encode(), salt, iterations)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    return ScramSecret(salt, iterations, stored_key, _hmac(salted, b"Server Key"))


def salt_of(username: str, key: bytes) -> bytes:
    """The salt of a name, whether or not anybody has it: who asks for it learns nothing (`key`: random, kept
    by the server)."""
    return _hmac(key, b"salt:" + username.encode("utf-8", "replace"))[:16]


def pretended_secret(username: str, key: bytes, iterations: int) -> ScramSecret:
    """Keys for a user who does not exist: the same salt each time, and no password fits (RFC 5802 §5.1 asks
    for a salt)."""
    name = username.encode("utf-8", "replace")
    return ScramSecret(
        salt_of(username, key), iterations, _hmac(key, b"stored:" + name), _hmac(key, b"server:" + name)
    )


class ScramSha256:
    """One exchange. `nonce`: fresh printable octets without comma (base64 of ≥ 18 random octets).

    `bindings`: channel-binding type -> data, when the -PLUS variant is offered too; `plus`: the client chose
    it.
    """

    name = "SCRAM-SHA-256"

    def __init__(
        self, nonce: bytes, bindings: Mapping[str, bytes] | None = None, *, plus: bool = False
    ) -> None:
        if not re.fullmatch(rb"[!-+\--~]{16,512}", nonce):
            raise ValueError("a SCRAM nonce needs at least 16 printable octets without comma")
        self._nonce = nonce
        self._bindings = dict(bindings or {})
        self._plus = plus
        self._state = "first"
        self._username = self._authzid = ""
        self._client_first = self._server_first = self._expected_binding = b""
        self._secrets: tuple[ScramSecret, ...] = ()

    def start(self, initial_response: bytes | None) -> Step:
        return Challenge(b"") if initial_response is None else self.respond(initial_response)

    def respond(self, response: bytes) -> Step:
        state, self._state = self._state, "over"
        if len(response) > MAX_MESSAGE_OCTETS:
            raise SaslError("the SCRAM message is too long")
        if state == "first":
            return self._receive_first(response)
        if state == "final":
            return self._receive_final(response)
        raise SaslError("the exchange is over")

    def _receive_first(self, message: bytes) -> Step:
        match = _CLIENT_FIRST.fullmatch(message)
        if not match:  # RFC 5802 §5.1: "m=" in the place of the name must fail too
            raise SaslError("the client's first SCRAM message is malformed")
        self._expected_binding = match["gs2"] + self._check_binding_flag(match["flag"], match["binding"])
        self._username = decode_saslname(match["name"])
        self._authzid = decode_saslname(match["authzid"]) if match["authzid"] else ""
        self._client_first = match["bare"]
        self._nonce = match["nonce"] + self._nonce
        self._state = "secret"
        return SecretNeeded(self._username, self._authzid)

    def _check_binding_flag(self, flag: bytes, binding: bytes | None) -> bytes:
        """The channel-binding data that the final message must repeat (RFC 5802 §6; THREATS 20)."""
        if binding is not None:
            data = self._bindings.get(binding.decode())
            if not self._plus or data is None:
                raise SaslRefused("the client binds to a channel that was not offered")
            return data
        if self._plus:
            raise SaslError("SCRAM-SHA-256-PLUS without channel binding")
        if flag == b"y" and self._bindings:
            raise SaslRefused("somebody hid the -PLUS mechanism from the client")
        return b""

    def give_secrets(self, secrets: Sequence[ScramSecret]) -> Challenge:
        """The stored keys of the user asked for, at least one, all of the same salt and iterations; or
        pretended ones."""
        if self._state != "secret":
            raise RuntimeError("no secret was asked for")
        first = secrets[0]
        if any((secret.salt, secret.iterations) != (first.salt, first.iterations) for secret in secrets):
            raise ValueError("secrets of one exchange share their salt and iteration count")
        self._secrets = tuple(secrets)
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, encode_base64(first.salt), first.iterations)
        self._state = "final"
        return Challenge(self._server_first)

    def _receive_final(self, message: bytes) -> Step:
        match = _CLIENT_FINAL.fullmatch(message)
        if not match or not self._secrets:
            raise SaslError("the client's final SCRAM message is malformed")
        try:
            binding, proof = decode_base64(match["binding"]), decode_base64(match["proof"], KEY_OCTETS)
        except Base64Error as error:
            raise SaslError("the client's final SCRAM message is malformed") from error
        if not hmac.compare_digest(match["nonce"], self._nonce):
            raise SaslRefused("the client's nonce is not ours")
        if not hmac.compare_digest(binding, self._expected_binding):
            raise SaslRefused("the channel binding does not match")
        auth_message = b",".join((self._client_first, self._server_first, match["without_proof"]))
        fitting = [
            number for number, secret in enumerate(self._secrets) if _fits(proof, secret, auth_message)
        ]
        if not fitting:
            raise SaslWrong("the proof is wrong")
        final = b"v=" + encode_base64(_hmac(self._secrets[fitting[0]].server_key, auth_message))
        return Proven(self._username, self._authzid, final, fitting[0])


def _fits(proof: bytes, secret: ScramSecret, auth_message: bytes) -> bool:
    """RFC 5802 §3: StoredKey is the hash of ClientProof XOR ClientSignature."""
    if len(proof) != KEY_OCTETS:
        return False
    signature = _hmac(secret.stored_key, auth_message)
    client_key = (int.from_bytes(proof, "big") ^ int.from_bytes(signature, "big")).to_bytes(KEY_OCTETS, "big")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), secret.stored_key)


def decode_saslname(octets: bytes) -> str:
    """RFC 5802 §5.1: "," and "=" are written =2C and =3D; any other "=" makes the name invalid."""
    text = decode_text(octets, MAX_NAME_OCTETS, "user name")
    if re.search("=(?!2C|3D)", text):
        raise SaslError("the SCRAM user name is malformed")
    return text.replace("=2C", ",").replace("=3D", "=")


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
