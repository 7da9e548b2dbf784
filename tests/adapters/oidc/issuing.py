"""An OpenID Connect issuer for tests: keys of each kind, a discovery document, and tokens with whatever one
wants in them."""

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RSA = generate_rsa(65537, 2048)
EC = generate_ec(SECP256R1())
ED = Ed25519PrivateKey.generate()
STRANGERS = generate_rsa(65537, 2048)
PRIVATE: dict[str, Any] = {"RS256": RSA, "ES256": EC, "EdDSA": ED}


def jwk(key: Any, kid: str | None, **fields: Any) -> dict[str, Any]:
    algorithm: Any = {"RSAPrivateKey": RSAAlgorithm, "ECPrivateKey": ECAlgorithm}.get(
        type(key).__name__.lstrip("_"), OKPAlgorithm
    )
    made: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return made | ({"kid": kid} if kid else {}) | fields


class FakeIssuer:
    """`answers` by path; `asked` counts them. `url` has no slash at its end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.keys = [jwk(RSA, "RS256", use="sig"), jwk(EC, "ES256"), jwk(ED, "EdDSA")]
        self.discovery: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url.removeprefix(self.url))
        if self.error:
            raise self.error
        documents = {
            f"{self.url}/keys": {"keys": self.keys},
            f"{self.url}/.well-known/openid-configuration": self.discovery,
        }
        return (200, json.dumps(documents[url]).encode()) if url in documents else (404, b"")

    def token(
        self,
        now_us: int,
        algorithm: str = "RS256",
        *,
        key: Any = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A claim that is None is left out."""
        now = now_us // 1_000_000
        usual = {
            "iss": self.url,
            "aud": "mail",
            "sub": "17",
            "email": "alice@example.test",
            "exp": now + 3600,
            "iat": now,
            "nbf": now,
        }
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        fields = {
            name: value for name, value in {"kid": algorithm, **(header or {})}.items() if value is not None
        }
        return jwt.encode(payload, key or PRIVATE[algorithm], algorithm, fields)
