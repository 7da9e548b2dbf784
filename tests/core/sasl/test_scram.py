"""SCRAM against the RFC's own example and against another implementation (scramp) as client and as key
maker."""

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.sasl.exchange import Challenge, Proven, SaslError, SecretNeeded
from sekisho.core.sasl.scram import ScramSecret, ScramSha256, derive_secret, pretended_secret
from sekisho.core.terms.base64 import decode_base64

SALT = decode_base64(b"W22ZaJ0SNY7soEsUEjb6gQ==")
SECRET = derive_secret("pencil", SALT, 4096)
NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjf"
    b"MHgsqmmiz7AndVQ="
)


def test_the_example_of_the_rfc() -> None:  # RFC 7677 §3
    server = ScramSha256(NONCE)
    assert server.start(CLIENT_FIRST) == SecretNeeded("user")
    assert server.give_secrets([SECRET]) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert server.respond(CLIENT_FINAL) == Proven(
        "user", "", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )
    with pytest.raises(SaslError):
        server.respond(CLIENT_FINAL)


@pytest.mark.parametrize("password", ["pencil", "p,=ä", "日本語パスワード", "I\u00adX"])
def test_another_client(password: str) -> None:
    client = scramp.ScramClient(["SCRAM-SHA-256"], "us,e=r", password)
    server = ScramSha256(b"0123456789abcdefghijklmn")
    assert server.start(client.get_client_first().encode()) == SecretNeeded("us,e=r")
    client.set_server_first(
        server.give_secrets([derive_secret(password, b"0123456789abcdef", 4096)]).octets.decode()
    )
    step = server.respond(client.get_client_final().encode())
    assert isinstance(step, Proven)
    client.set_server_final(step.final.decode())


def test_another_key_maker() -> None:
    salt, stored, server, iterations = scramp.ScramMechanism("SCRAM-SHA-256").make_auth_info(
        "päncil", 5000, b"s" * 16
    )
    assert derive_secret("päncil", b"s" * 16, 5000) == ScramSecret(salt, iterations, stored, server)


def test_a_secret_is_text_and_back() -> None:
    assert ScramSecret.from_text(str(SECRET)) == SECRET
    for text in (
        "",
        "SCRAM-SHA-1$4096:YQ==$YQ==:YQ==",
        str(SECRET)[:-1],
        str(SECRET).replace("4096", "1"),
        str(SECRET) + "x",
    ):
        with pytest.raises(ValueError):
            ScramSecret.from_text(text)


def _final(first: bytes, final: bytes, secret: ScramSecret = SECRET) -> object:
    server = ScramSha256(NONCE)
    server.start(first)
    server.give_secrets([secret])
    return server.respond(final)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"p=dHz", b"p=dHy"),  # wrong proof
        (b"c=biws", b"c=eSws"),  # "y,," where the first message said "n,,"
        (b"c=biws", b"c=biwsYQ=="),
        (b"r=rOpr", b"r=rOpx"),
        (b"k0,p=", b"k1,p="),
        (b",p=", b",m=x,p="),
        (b"VQ=", b"VQ"),
        (b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b""),
        (b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b",p=YQ=="),
    ],
)
def test_a_changed_final_message_fails(old: bytes, new: bytes) -> None:
    changed = CLIENT_FINAL.replace(old, new)
    assert changed != CLIENT_FINAL
    with pytest.raises(SaslError):
        _final(CLIENT_FIRST, changed)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,",
        b"n,,n=user",
        b"n,,m=x,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO,m=x",
        b"n,,n=,r=rOprNGfwEbeRWgbNEkqO",
        b"n,,n=us=er,r=rOprNGfwEbeRWgbNEkqO",
        b"n,,n=us=2cer,r=rOprNGfwEbeRWgbNEkqO",
        b"n,,n=us\xffer,r=rOprNGfwEbeRWgbNEkqO",
        b"p=tls-unique,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"x,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"n,b=x,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"n,,n=user,r=" + b"x" * 5000,
    ],
)
def test_a_malformed_first_message_fails(first: bytes) -> None:
    with pytest.raises(SaslError):
        ScramSha256(NONCE).start(first)


def test_a_downgrade_is_noticed() -> None:
    bindings = {"tls-server-end-point": b"x" * 32}
    with pytest.raises(SaslError):
        ScramSha256(NONCE, bindings).start(b"y" + CLIENT_FIRST[1:])
    assert isinstance(ScramSha256(NONCE, bindings).start(CLIENT_FIRST), SecretNeeded)
    assert isinstance(ScramSha256(NONCE).start(b"y" + CLIENT_FIRST[1:]), SecretNeeded)
    with pytest.raises(SaslError):  # the -PLUS mechanism without its flag
        ScramSha256(NONCE, bindings, plus=True).start(CLIENT_FIRST)
    with pytest.raises(SaslError):  # the flag without the -PLUS mechanism
        ScramSha256(NONCE, bindings).start(b"p=tls-server-end-point" + CLIENT_FIRST[1:])


def test_channel_binding_with_another_client() -> None:
    for data, good in ((b"c" * 32, True), (b"d" * 32, False)):
        client = scramp.ScramClient(
            ["SCRAM-SHA-256-PLUS"], "user", "pencil", channel_binding=("tls-server-end-point", data)
        )
        server = ScramSha256(NONCE, {"tls-server-end-point": b"c" * 32}, plus=True)
        assert server.start(client.get_client_first().encode()) == SecretNeeded("user")
        client.set_server_first(server.give_secrets([SECRET]).octets.decode())
        if good:
            assert isinstance(server.respond(client.get_client_final().encode()), Proven)
        else:
            with pytest.raises(SaslError):
                server.respond(client.get_client_final().encode())


def test_one_of_several_passwords() -> None:
    other, pretended = derive_secret("crayon", SALT, 4096), pretended_secret("user", b"k" * 32, 4096)
    server = ScramSha256(NONCE)
    server.start(CLIENT_FIRST)
    server.give_secrets([other, SECRET])
    assert server.respond(CLIENT_FINAL) == Proven(
        "user", "", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", 1
    )
    server = ScramSha256(NONCE)
    server.start(CLIENT_FIRST)
    with pytest.raises(ValueError, match="share their salt"):
        server.give_secrets([SECRET, pretended])


def test_nobody_is_the_pretended_user() -> None:
    secret = pretended_secret("nobody", b"k" * 32, 4096)
    assert secret == pretended_secret("nobody", b"k" * 32, 4096) and len(secret.salt) == 16
    assert secret.salt != pretended_secret("somebody", b"k" * 32, 4096).salt
    with pytest.raises(SaslError, match="proof"):
        _final(CLIENT_FIRST, CLIENT_FINAL, secret)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_garbage_gives_only_sasl_errors(first: bytes, final: bytes) -> None:
    server = ScramSha256(NONCE)
    with pytest.raises(SaslError):
        server.start(first)
    server = ScramSha256(NONCE)
    server.start(CLIENT_FIRST)
    server.give_secrets([SECRET])
    with pytest.raises(SaslError):
        server.respond(final)
