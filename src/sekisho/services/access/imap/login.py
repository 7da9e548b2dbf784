"""The not authenticated state: STARTTLS, LOGIN, AUTHENTICATE (RFC 3501 §6.2)."""

from sekisho.core.imap.commands import Authenticate, LoginCommand
from sekisho.core.imap.responses import Bad, No, Ok, Response
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, LoginFailure, PasswordProof
from sekisho.services.access.imap.session import CommandFailed, ImapSession, SessionEnds

_PRIVACY = No("Passwords are accepted over TLS only", "PRIVACYREQUIRED")  # RFC 5530 §3
_REFUSED = No("The user name or the password is wrong", "AUTHENTICATIONFAILED")
_MALFORMED = Bad("The response is not valid for this SASL mechanism")
_REFUSALS = {
    LoginFailure.REFUSED: _REFUSED,
    LoginFailure.LIMITED: _REFUSED,
    LoginFailure.UNAVAILABLE: No("Logins cannot be checked at the moment, try again later", "UNAVAILABLE"),
    LoginFailure.MALFORMED: _MALFORMED,
    LoginFailure.NOT_OFFERED: No("This SASL mechanism is not offered"),
}


async def start_tls(session: ImapSession) -> None:
    """STARTTLS (RFC 3501 §6.2.1). Everything learned before it is forgotten; octets behind it end the
    connection (THREATS 2)."""
    if session.stream.tls is not None or not session.listener.can_starttls:
        raise CommandFailed(Bad("TLS is active already, or not available"))
    if session.machine.buffered_octets:
        session.context.ports.metrics.count(
            "sekisho_tls_handshakes_total", listener=session.listener.name, result="injected"
        )
        session.stream.abort()
        raise SessionEnds("")
    session.machine.answer(Ok("Begin the TLS handshake now"))
    await session.flush()
    await session.stream.start_tls_server()


async def log_in(session: ImapSession, command: LoginCommand) -> Response:
    """LOGIN (RFC 3501 §6.2.3)."""
    _check_privacy(session)
    try:
        proof = PasswordProof(command.username.decode(), command.password.decode())
    except UnicodeDecodeError as error:
        raise CommandFailed(_REFUSED) from error
    return await _finish(session, await session.context.ports.authenticator.verify(session.channel, proof))


async def authenticate(session: ImapSession, command: Authenticate) -> Response:
    """AUTHENTICATE, with or without initial response (RFC 3501 §6.2.2, RFC 4959 §3)."""
    _check_privacy(session)
    exchange = session.context.ports.authenticator.exchange(
        session.channel
    )  # a new one for each exchange (THREATS 13)
    initial = command.initial
    try:
        answer = await exchange.begin(
            command.mechanism, None if initial is None else decode_base64(b"" if initial == b"=" else initial)
        )
        while isinstance(answer, Challenge):
            session.machine.challenge(encode_base64(answer.octets))
            line = await session.next_line()
            if line is None:
                raise SessionEnds("")
            if line == b"*":
                raise CommandFailed(Bad("Authentication was cancelled"))
            answer = await exchange.respond(decode_base64(line))
    except Base64Error as error:
        raise CommandFailed(_MALFORMED) from error
    return await _finish(session, answer)


def _check_privacy(session: ImapSession) -> None:
    if session.stream.tls is None:
        raise CommandFailed(_PRIVACY)


async def _finish(session: ImapSession, answer: Answer) -> Response:
    if isinstance(answer, Identity):
        await _enter(session, answer)
        return Ok("Welcome", f"CAPABILITY {session.capabilities.decode()}")
    assert isinstance(answer, LoginFailure)
    if answer is LoginFailure.NOT_OFFERED:
        raise CommandFailed(_REFUSALS[answer])
    session.failures += 1
    if session.failures >= session.context.login.failures_per_connection:
        raise SessionEnds("Too many failed logins")
    raise CommandFailed(_REFUSALS[answer])


async def _enter(session: ImapSession, identity: Identity) -> None:
    session.identity = identity
    session.machine.entered()
    session.unsubscribe = session.context.ports.changes.subscribe_account(identity.account_id, session.hint)
    if not await is_still_welcome(session):  # changed while the password was looked at
        raise SessionEnds("This account can no longer be used")
    session.stream.place.vouch()


async def is_still_welcome(session: ImapSession) -> bool:
    """Does the login of this session still count (THREATS 15)?"""
    return session.identity is None or await session.context.ports.authenticator.still_valid(session.identity)
