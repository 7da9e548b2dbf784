"""Tokens of a fake issuer: good ones of each signature, and each way in which one may be wrong."""

import asyncio
import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.adapters.oidc.issuing import ED, RSA, STRANGERS, FakeIssuer, jwk

from sekisho.adapters.oidc.verifier import OidcVerifier
from sekisho.config.issuers import IssuerSettings
from sekisho.ports.tokens import IssuerUnavailable, TokenFacts, TokenHints, TokenRefused
from sekisho.testing.clock import ManualClock

URL = "https://id.example.test/realm"


class World:
    def __init__(self, **settings: Any) -> None:
        self.clock, self.issuer = ManualClock(), FakeIssuer(URL)
        self.verifier = OidcVerifier(self.clock, lambda _: self.issuer.get)
        self.settings = IssuerSettings(issuer=URL, audience="mail", **settings)
        self.verifier = self.verifier.renewed([self.settings])

    def token(self, algorithm: str = "RS256", **more: Any) -> str:
        return self.issuer.token(self.clock.now_us(), algorithm, **more)

    async def verify(self, algorithm: str = "RS256", **more: Any) -> TokenFacts:
        return await self.verifier.verify(self.token(algorithm, **more))

    async def refusal(self, algorithm: str = "RS256", **more: Any) -> str:
        with pytest.raises(TokenRefused) as caught:
            await self.verify(algorithm, **more)
        return str(caught.value)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_good_token(world: World, algorithm: str) -> None:
    facts = await world.verify(algorithm)
    assert facts == TokenFacts(
        "alice@example.test", "id.example.test/realm", world.clock.now_us() + 3660_000_000
    )
    assert world.issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    await world.verify("ES256")
    assert len(world.issuer.asked) == 2  # the keys are known


async def test_keys_by_their_own_url_and_other_claims() -> None:
    world = World(jwks_url=f"{URL}/keys", username_claim="upn", scope="mail.read", domains=("Example.TEST",))
    good = {"upn": "Bob@example.test", "aud": ["other", "mail"], "scope": "openid mail.read"}
    assert (await world.verify(**good)).username == "Bob@example.test" and world.issuer.asked == ["/keys"]
    assert (await world.verify(**good | {"scope": None, "scp": ["mail.read"]})).username == "Bob@example.test"
    for scope in (None, "mail", 5, ["mail"]):
        assert "without the scope" in await world.refusal(**good | {"scope": scope})
    assert "another domain" in await world.refusal(**good | {"upn": "bob@elsewhere.test"})


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://id.example.test/other"}, "unknown issuer"),
        ({"iss": URL + "/"}, "unknown issuer"),
        ({"iss": None}, "unknown issuer"),
        ({"aud": "web"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"exp": None}, "another audience"),
        ({"exp": "tomorrow"}, "token"),
        ({"email": None}, "without a name"),
        ({"email": ""}, "without a name"),
        ({"email": 5}, "without a name"),
        ({"email_verified": False}, "without a name"),
        ({"email_verified": "false"}, "without a name"),
        ({"email_verified": 0}, "without a name"),
        ({"key": STRANGERS}, "signed wrongly"),
        ({"header": {"kid": "ES256"}}, "unknown key"),
        ({"header": {"kid": "invented"}}, "unknown key"),
    ],
)
async def test_what_may_be_wrong(world: World, claims: dict[str, Any], words: str) -> None:
    assert words in await world.refusal(**claims)


async def test_times_are_those_of_the_servers_own_clock(world: World) -> None:
    now = world.clock.now_us() // 1_000_000
    assert (
        await world.verify(exp=now - 59)
        and await world.verify(nbf=now + 60)
        and await world.verify(nbf=None, iat=None)
    )
    assert "expired" in await world.refusal(exp=now - 60)
    with pytest.raises(TokenRefused, match="not valid yet") as caught:
        await world.verify(nbf=now + 61)
    assert caught.value.may_pass
    for value in (True, -1, 2**60):
        assert "without an end" in await world.refusal(exp=value)


async def test_signatures_that_prove_nothing(world: World) -> None:
    now = world.clock.now_us() // 1_000_000
    claims = {"iss": URL, "aud": "mail", "email": "alice@example.test", "exp": now + 60}
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "RS256"}, claims)
    )
    public = RSA.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )  # the key that everybody knows, as a secret
    confused = b".".join(
        (head, body, base64.urlsafe_b64encode(hmac.digest(public, head + b"." + body, "sha256")).rstrip(b"="))
    )
    for token in (
        jwt.encode(claims, None, "none", {"kid": "RS256"}),
        confused.decode(),
        jwt.encode(claims, RSA, "RS512", {"kid": "RS256"}),
    ):
        with pytest.raises(TokenRefused, match="signature that is not taken"):
            await world.verifier.verify(token)
    only_ed = World(algorithms=("EdDSA",))
    assert await only_ed.verify("EdDSA") and "not taken" in await only_ed.refusal("RS256")


@pytest.mark.parametrize(
    "token", ["", "a", "a.b.c", "..", "é.é.é", base64.b64encode(b"[" * 4000).decode() + ".e30.e30"]
)
async def test_garbage(world: World, token: str) -> None:
    with pytest.raises(TokenRefused, match="malformed"):
        await world.verifier.verify(token)
    assert world.issuer.asked == []


async def test_a_token_without_a_key_name(world: World) -> None:
    assert await world.verify(header={"kid": None})
    other = World()
    other.issuer.keys.append(jwk(STRANGERS, None))
    assert "unknown key" in await other.refusal(header={"kid": None})  # two would fit
    assert await other.verify()


async def test_a_new_key_is_found_and_invented_ones_make_no_load(world: World) -> None:
    await world.verify()
    with pytest.raises(TokenRefused, match="unknown key") as caught:
        await world.verify(key=STRANGERS, header={"kid": "new"})
    assert caught.value.may_pass  # it is looked for again
    assert len(world.issuer.asked) == 2
    world.issuer.keys = [jwk(STRANGERS, "new")]
    world.clock.advance(61)
    results = await asyncio.gather(*(world.verify(key=STRANGERS, header={"kid": "new"}) for _ in range(5)))
    assert len(results) == 5 and len(world.issuer.asked) == 4
    assert "unknown key" in await world.refusal()  # the old one was taken back
    for number in range(20):
        assert "unknown key" in await world.refusal(header={"kid": f"invented {number}"})
    assert len(world.issuer.asked) == 4


async def test_a_dead_issuer_is_a_temporary_failure(world: World) -> None:
    world.issuer.error = OSError("connection refused")
    for _ in range(3):
        with pytest.raises(IssuerUnavailable, match="connection refused"):
            await world.verify()
    assert len(world.issuer.asked) == 1  # and is not asked all the time
    world.issuer.error = None
    world.clock.advance(11)
    assert await world.verify()
    world.issuer.error = TimeoutError()
    world.clock.advance(4000)
    assert await world.verify()  # its keys are good for a day
    with pytest.raises(IssuerUnavailable, match="no answer within 5 seconds"):
        await world.verify(header={"kid": "new"})
    world.clock.advance(90_000)
    with pytest.raises(IssuerUnavailable):
        await world.verify()


@pytest.mark.parametrize(
    ("keys", "discovery"),
    [
        ([], None),
        ("none", None),
        (
            [
                5,
                {},
                {"kty": "oct", "k": "c2VjcmV0", "kid": "RS256"},
                {"kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "RS256"},
            ],
            None,
        ),
        ([jwk(ED, "RS256", use="enc")], None),
        (None, {"issuer": "https://elsewhere.test", "jwks_uri": f"{URL}/keys"}),
        (None, {"issuer": URL, "jwks_uri": "http://plain.test/keys"}),
        (None, {"issuer": URL}),
        (None, []),
    ],
)
async def test_documents_that_say_nothing_good(world: World, keys: Any, discovery: Any) -> None:
    world.issuer.keys = world.issuer.keys if keys is None else keys
    world.issuer.discovery = world.issuer.discovery if discovery is None else discovery
    with pytest.raises(IssuerUnavailable):
        await world.verify()


async def test_settings_that_stay_keep_their_keys(world: World) -> None:
    await world.verify()
    world.verifier = world.verifier.renewed([world.settings])
    await world.verify()
    assert len(world.issuer.asked) == 2
    world.verifier = world.verifier.renewed([world.settings.model_copy(update={"scope": "mail"})])
    assert "without the scope" in await world.refusal() and len(world.issuer.asked) == 4
    assert world.verifier.hints == TokenHints("mail", f"{URL}/.well-known/openid-configuration")
    world.verifier = world.verifier.renewed([])
    assert world.verifier.hints is None and "unknown issuer" in await world.refusal()
