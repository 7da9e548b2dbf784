import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.sasl.exchange import Challenge, SaslCredentials, SaslError
from sekisho.core.sasl.mechanisms import PASSWORD_MECHANISMS, SCRAM, SCRAM_PLUS, make_mechanism
from sekisho.core.sasl.password import Login, Plain

NONCE = b"0123456789abcdefghijklmn"


def test_plain_with_an_initial_response() -> None:
    assert Plain().start(b"\0alice@example.test\0pa ss") == SaslCredentials("alice@example.test", "pa ss")


def test_plain_asks_when_nothing_came() -> None:
    plain = Plain()
    assert plain.start(None) == Challenge(b"")
    assert plain.respond("boss\0アリス\0秘密".encode()) == SaslCredentials("アリス", "秘密", "boss")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"a",
        b"a\0b",
        b"\0\0",
        b"\0a\0",
        b"\0\0p",
        b"\0a\0b\0",
        b"\0a\0b\0c",
        b"\0\xff\0b",
        b"\0a\0" + b"x" * 1025,
    ],
)
def test_plain_refuses(message: bytes) -> None:
    with pytest.raises(SaslError):
        Plain().start(message)


def test_login() -> None:
    login = Login()
    assert login.start(None) == Challenge(b"Username:")
    assert login.respond(b"alice") == Challenge(b"Password:")
    assert login.respond(b"secret") == SaslCredentials("alice", "secret")


def test_login_with_the_name_at_once() -> None:
    login = Login()
    assert login.start(b"alice") == Challenge(b"Password:")
    assert login.respond(b"secret") == SaslCredentials("alice", "secret")


def test_login_refuses_empty_answers() -> None:
    login = Login()
    login.start(b"")
    with pytest.raises(SaslError):
        login.respond(b"")
    login = Login()
    login.start(b"alice")
    with pytest.raises(SaslError):
        login.respond(b"")


def test_an_object_serves_one_exchange() -> None:
    plain, login = Plain(), Login()
    plain.start(b"\0a\0b")
    login.start(b"a")
    login.respond(b"b")
    for mechanism in (plain, login):
        with pytest.raises(SaslError):
            mechanism.respond(b"\0a\0b")


def test_each_exchange_gets_its_own_object() -> None:
    for name in (*PASSWORD_MECHANISMS, SCRAM, SCRAM_PLUS):
        assert make_mechanism(name, NONCE, {}) is not make_mechanism(name, NONCE, {})


@pytest.mark.parametrize("name", ["CRAM-MD5", "DIGEST-MD5", "NTLM", "GSSAPI", "", "SCRAM-SHA-1", "ANONYMOUS"])
def test_what_is_not_offered(name: str) -> None:
    with pytest.raises(KeyError):
        make_mechanism(name, NONCE, {})


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4), st.sampled_from(PASSWORD_MECHANISMS))
def test_garbage_gives_only_sasl_errors(messages: list[bytes], name: str) -> None:
    mechanism = make_mechanism(name, NONCE, {})
    try:
        step = mechanism.start(messages[0])
        for message in messages[1:]:
            step = mechanism.respond(message)
    except SaslError:
        return
    assert isinstance(step, Challenge | SaslCredentials)


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(SaslCredentials("alice", "hunter2"))
