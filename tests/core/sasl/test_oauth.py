"""OAUTHBEARER and XOAUTH2 messages: those of the documents, and those that nobody should send."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.sasl.exchange import BearerToken, Challenge, SaslError
from sekisho.core.sasl.oauth import MAX_TOKEN_OCTETS, OauthBearer, Xoauth2, error_challenge

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
# RFC 7628 §4.1
FROM_THE_RFC = (
    f"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01".encode()
)


def test_the_example_of_the_rfc() -> None:
    assert OauthBearer().start(FROM_THE_RFC) == BearerToken("user@example.com", TOKEN)
    mechanism = OauthBearer()
    assert mechanism.start(None) == Challenge(b"")
    assert mechanism.respond(FROM_THE_RFC) == BearerToken("user@example.com", TOKEN)
    with pytest.raises(SaslError, match="over"):
        mechanism.respond(b"\x01")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (b"n,,\x01auth=Bearer abc\x01\x01", BearerToken("", "abc")),
        (b"y,a=a=2Cb@example.test,\x01auth=bearer abc\x01\x01", BearerToken("a,b@example.test", "abc")),
        (b"n,,\x01port=993\x01auth=Bearer abc\x01host=x\x01\x01", BearerToken("", "abc")),
    ],
)
def test_other_good_messages(message: bytes, shown: BearerToken) -> None:
    assert OauthBearer().start(message) == shown


def test_xoauth2() -> None:
    assert Xoauth2().start(b"user=some@example.com\x01auth=Bearer ya29.vF9-_\x01\x01") == BearerToken(
        "some@example.com", "ya29.vF9-_"
    )


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"n,,\x01\x01",
        b"n,,\x01auth=Basic abc\x01\x01",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01auth=Bearer abc\x01",
        b"n,,\x01xauth=Bearer abc\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
        b"n,a=x=2cy,\x01auth=Bearer abc\x01\x01",
        b"n,a=\xff,\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Bearer " + b"a" * (MAX_TOKEN_OCTETS + 1) + b"\x01\x01",
        b"n,,\x01auth=Bearer a\x01host=" + b"x" * 10_000 + b"\x01\x01",
        b"user=x\x01auth=Bearer abc\x01\x01",
    ],
)
def test_broken_messages_are_malformed(message: bytes) -> None:
    with pytest.raises(SaslError):
        OauthBearer().start(message)


@pytest.mark.parametrize(
    "message", [FROM_THE_RFC, b"user=x\x01auth=Bearer abc\x01", b"user=\xff\x01auth=Bearer abc\x01\x01"]
)
def test_broken_messages_of_the_elder_brother(message: bytes) -> None:
    with pytest.raises(SaslError):
        Xoauth2().start(message)


@given(st.binary(max_size=100), st.integers(min_value=0, max_value=len(FROM_THE_RFC)))
def test_garbage_is_only_malformed(garbage: bytes, at: int) -> None:
    for mechanism in (OauthBearer, Xoauth2):
        try:
            assert isinstance(mechanism().start(FROM_THE_RFC[:at] + garbage), BearerToken)
        except SaslError:
            pass


def test_what_a_refused_token_is_told() -> None:
    told = json.loads(
        error_challenge("OAUTHBEARER", "mail", "https://id.example/.well-known/openid-configuration")
    )
    assert told == {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": "https://id.example/.well-known/openid-configuration",
    }
    assert json.loads(error_challenge("OAUTHBEARER", "", "")) == {"status": "invalid_token"}
    assert json.loads(error_challenge("XOAUTH2", "mail", "https://x")) == {
        "status": "401",
        "schemes": "bearer",
        "scope": "mail",
    }
