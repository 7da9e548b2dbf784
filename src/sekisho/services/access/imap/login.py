"""The not authenticated state: STARTTLS, LOGIN, AUTHENTICATE (RFC 3501 §6.2)."""

from sekisho.core.imap.commands import Authenticate, Login
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, LoginFailure, PasswordProof
from sekisho.services.access.imap.session import CommandFailed, ImapSession, SessionEnds

_PRIVACY = "NO [PRIVACYREQUIRED] Passwords are taken under TLS only"  # RFC 5530 §3
_REFUSED = "NO [AUTHENTICATIONFAILED] The login is not valid"
_MALFORMED = "BAD The response is not what this SASL mechanism says"
_REFUSALS = {
    LoginFailure.REFUSED: _REFUSED,
    LoginFailure.LIMITED: _REFUSED,
    LoginFailure.UNAVAILABLE: "NO [UNAVAILABLE] Logins cannot be checked at the moment, try again later",
    LoginFailure.MALFORMED: _MALFORMED,
    LoginFailure.NOT_OFFERED: "NO This SASL mechanism is not offered",
}


async def start_tls(session: ImapSession, tag: bytes) -> None:
    """STARTTLS (RFC 3501 §6.2.1). Everything learned before it is forgotten; octets behind it end the connection (THREATS 2)."""
    if session.identity is not None:
        raise CommandFailed("BAD STARTTLS comes before the login")
    if session.stream.tls is not None or not session.listener.can_starttls:
        raise CommandFailed("BAD TLS is not to be had here or active already")
    if session.reader.buffered_octets:
        session.context.ports.metrics.count("sekisho_tls_handshakes_total", listener=session.listener.name, result="injected")
        session.stream.abort()
        raise SessionEnds("")
    session.finish(tag, "OK Begin the TLS handshake now")
    await session.flush()
    await session.stream.start_tls_server()


async def log_in(session: ImapSession, command: Login) -> str:
    """LOGIN (RFC 3501 §6.2.3)."""
    _check_state(session)
    try:
        proof = PasswordProof(command.username.decode(), command.password.decode())
    except UnicodeDecodeError as error:
        raise CommandFailed(_REFUSED) from error
    return await _finish(session, await session.context.ports.authenticator.verify(session.channel, proof))


async def authenticate(session: ImapSession, command: Authenticate) -> str:
    """AUTHENTICATE, with or without initial response (RFC 3501 §6.2.2, RFC 4959 §3)."""
    _check_state(session)
    exchange = session.context.ports.authenticator.exchange(session.channel)  # a new one for each exchange (THREATS 13)
    initial = command.initial
    try:
        answer = await exchange.begin(command.mechanism, None if initial is None else decode_base64(b"" if initial == b"=" else initial))
        while isinstance(answer, Challenge):
            session.reader.expect_line(encode_base64(answer.octets))
            line = await session.next_line()
            if line is None:
                raise SessionEnds("")
            if line == b"*":
                raise CommandFailed("BAD Authentication was cancelled")
            answer = await exchange.respond(decode_base64(line))
    except Base64Error as error:
        raise CommandFailed(_MALFORMED) from error
    return await _finish(session, answer)


def _check_state(session: ImapSession) -> None:
    if session.identity is not None:
        raise CommandFailed("BAD Somebody is logged in already")
    if session.stream.tls is None:
        raise CommandFailed(_PRIVACY)


async def _finish(session: ImapSession, answer: Answer) -> str:
    if isinstance(answer, Identity):
        await _enter(session, answer)
        return f"OK [CAPABILITY {session.capabilities.decode()}] Welcome"
    assert isinstance(answer, LoginFailure)
    if answer is LoginFailure.NOT_OFFERED:
        raise CommandFailed(_REFUSALS[answer])
    session.failures += 1
    if session.failures >= session.context.login.failures_per_connection:
        raise SessionEnds("Too many failed logins")
    raise CommandFailed(_REFUSALS[answer])


async def _enter(session: ImapSession, identity: Identity) -> None:
    session.identity = identity
    session.reader.is_logged_in = True
    session.unsubscribe = session.context.ports.changes.subscribe_account(identity.account_id, session.hint)
    if not await is_still_welcome(session):  # changed while the password was looked at
        raise SessionEnds("This account cannot be used any more")


async def is_still_welcome(session: ImapSession) -> bool:
    """Does the login of this session still count (THREATS 15)?"""
    return session.identity is None or await session.context.ports.authenticator.still_valid(session.identity)
