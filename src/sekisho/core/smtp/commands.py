"""The verbs of the server: one row each, checking and acting apart.

`check` parses the argument and refuses by raising; `act` changes the session and tells events or says
replies.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sekisho.core.smtp.content import BdatDecoder, ContentCheck, DataDecoder
from sekisho.core.smtp.events import (
    ContentBegins,
    Hello,
    LimitReached,
    MailFrom,
    RcptTo,
    SaslBegins,
    TlsBegins,
    TransactionDropped,
)
from sekisho.core.smtp.paths import (
    SyntaxRefused,
    parse_bdat,
    parse_hello_name,
    parse_mail,
    parse_rcpt,
    refuse,
)
from sekisho.core.smtp.session import Chunk, Phase, Session
from sekisho.core.terms.base64 import Base64Error, decode_base64
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One verb: what must have happened before it, and whether other commands may follow it in the same
    batch."""

    verb: str
    check: Callable[[Session, str], Any]
    act: Callable[[Session, Any], None]
    needs_hello: bool = False
    needs_transaction: bool = False  # MAIL was accepted
    forbids_transaction: bool = False
    needs_login: bool = False  # in the submission role: TLS and AUTH first
    may_be_pipelined: bool = True  # False: any octet behind it ends the connection (THREATS 2)


_OK = Reply.of(250, "2.0.0", "OK")
_NEED_HELLO = Reply.of(503, "5.5.1", "Send EHLO first")
_NEED_MAIL = Reply.of(503, "5.5.1", "Send MAIL first")
_NO_RECIPIENTS = Reply.of(554, "5.5.1", "No valid recipients")  # RFC 5321 §4.1.1.4
_IN_TRANSACTION = Reply.of(503, "5.5.1", "Not allowed during a transaction; send RSET first")
_NEED_TLS = Reply.of(
    530, "5.7.0", "Send STARTTLS first: logins and mail are accepted only over TLS"
)  # RFC 3207 §4
_NEED_LOGIN = Reply.of(530, "5.7.0", "Authentication required")  # RFC 4954 §6
_MIXED = Reply.of(503, "5.5.1", "DATA and BDAT cannot be mixed; send RSET")  # RFC 3030 §2
_TOO_MANY_RECIPIENTS = Reply.of(452, "4.5.3", "Too many recipients; send the others in another transaction")
_TOO_MANY_TRANSACTIONS = Reply.of(421, "4.7.0", "Too many transactions on this connection; open a new one")
_CANNOT_VRFY = Reply.of(
    252, "2.5.0", "Cannot verify the address; send the message to find out"
)  # RFC 5321 §3.5.3
_HELP = Reply.of(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS AUTH HELP")
_NOT_OFFERED = Reply.of(502, "5.5.1", "Not implemented")
_LOGGED_IN = Reply.of(503, "5.5.1", "Already authenticated")  # RFC 4954 §4
_IS_TLS = Reply.of(503, "5.5.1", "TLS is already active")
_READY_FOR_TLS = Reply.of(220, "2.0.0", "Ready to start TLS")
_BYE = Reply.of(221, "2.0.0", "Bye")
_NOT_HTTP = Reply.of(502, "5.5.1", "This is a mail server")


def obstacle(command: Command, session: Session) -> Reply | None:
    """Why the verb is out of place now, before its argument is looked at."""
    if command.needs_login and session.settings.role == "submission" and not session.authenticated:
        return _NEED_LOGIN if session.tls else _NEED_TLS
    if command.needs_hello and session.hello is None:
        return _NEED_HELLO
    if command.needs_transaction and session.transaction is None:
        return _NEED_MAIL
    if command.forbids_transaction and session.transaction is not None:
        return _IN_TRANSACTION
    return None


def _check_nothing(session: Session, argument: str) -> None:
    if argument:
        raise refuse(501, "5.5.4", "This command takes no argument")


def _check_anything(session: Session, argument: str) -> str:
    return argument


def _drop_transaction(session: Session) -> None:
    if session.transaction is not None:
        session.transaction = None
        session.events.append(TransactionDropped())


def _check_hello(session: Session, argument: str) -> str:
    try:
        return parse_hello_name(argument)
    except SyntaxRefused:
        if argument and session.settings.any_hello_name:
            return "unknown"
        raise


def _act_ehlo(session: Session, name: str) -> None:
    _drop_transaction(session)
    session.events.append(Hello(True, name))


def _act_helo(session: Session, name: str) -> None:
    _drop_transaction(session)
    session.events.append(Hello(False, name))


def _check_mail(session: Session, argument: str) -> Envelope:
    return parse_mail(argument, session.rules)


def _act_mail(session: Session, envelope: Envelope) -> None:
    session.transactions += 1
    if session.transactions > session.settings.transactions:
        session.say(session.referring(_TOO_MANY_TRANSACTIONS))
    else:
        session.events.append(MailFrom(envelope))


def _check_rcpt(session: Session, argument: str) -> Recipient:
    transaction = session.transaction
    return parse_rcpt(argument, session.rules, transaction is not None and transaction.envelope.smtputf8)


def _act_rcpt(session: Session, recipient: Recipient) -> None:
    transaction = session.transaction
    assert transaction is not None
    if transaction.chunks is not None:
        session.refuse(_MIXED)
    elif len(transaction.envelope.recipients) >= session.settings.recipients:
        session.events.append(LimitReached("RCPT", _TOO_MANY_RECIPIENTS))
        session.say(session.referring(_TOO_MANY_RECIPIENTS))  # RFC 5321 §4.5.3.1.10
    else:
        session.events.append(RcptTo(recipient))


def content_check(session: Session) -> ContentCheck:
    return ContentCheck(session.settings.message_octets, session.settings.text_line_octets)


def _act_data(session: Session, argument: None) -> None:
    transaction = session.transaction
    assert transaction is not None
    if transaction.chunks is not None:
        _drop_transaction(session)
        session.refuse(_MIXED)
    elif not transaction.envelope.recipients:
        session.refuse(_NO_RECIPIENTS)
    else:
        session.data = DataDecoder(content_check(session))
        session.events.append(ContentBegins(transaction.envelope, False))


def _check_bdat(session: Session, argument: str) -> tuple[int, bool]:
    return parse_bdat(argument)


def _act_bdat(session: Session, chunk: tuple[int, bool]) -> None:
    transaction = session.transaction
    assert transaction is not None
    octets, last = chunk
    session.phase = Phase.CHUNK
    session.chunk = Chunk(octets, last)
    if not transaction.envelope.recipients:
        session.chunk = Chunk(octets, last, _NO_RECIPIENTS)
    elif transaction.chunks is None:
        chunks = BdatDecoder(content_check(session))
        chunks.begin(octets)
        session.transaction = transaction._replace(chunks=chunks)
        session.events.append(ContentBegins(transaction.envelope, True))
    else:
        transaction.chunks.begin(octets)


def _act_rset(session: Session, argument: None) -> None:
    _drop_transaction(session)
    session.say(_OK)


def _act_noop(session: Session, argument: str) -> None:
    session.say(_OK)


def _act_quit(session: Session, argument: None) -> None:
    session.say(_BYE)
    session.end("quit")


def _check_vrfy(session: Session, argument: str) -> None:
    if not argument:
        raise refuse(501, "5.5.4", "VRFY needs a name")


def _act_vrfy(session: Session, argument: None) -> None:
    session.say(_CANNOT_VRFY)


def _act_help(session: Session, argument: str) -> None:
    session.say(_HELP)


def _act_not_offered(session: Session, argument: str) -> None:
    session.refuse(_NOT_OFFERED)


def _act_http(session: Session, argument: str) -> None:
    """A browser was made to speak to us: end before its body is read as commands."""
    session.say(_NOT_HTTP)
    session.end("syntax")


def _act_starttls(session: Session, argument: None) -> None:
    if not session.settings.starttls and not session.tls:
        session.refuse(_NOT_OFFERED)
    elif session.tls:
        session.refuse(_IS_TLS)
    else:
        session.say(_READY_FOR_TLS)
        session.events.append(TlsBegins())


def _check_auth(session: Session, argument: str) -> tuple[str, bytes | None]:
    if session.settings.role != "submission":
        raise refuse(502, "5.5.1", "Not implemented")
    if session.authenticated:
        raise refuse(503, "5.5.1", _LOGGED_IN.text)
    if not session.tls:
        raise refuse(530, "5.7.0", _NEED_TLS.text)
    mechanism, space, initial = argument.partition(" ")
    if not mechanism:
        raise refuse(501, "5.5.4", "AUTH needs a mechanism")
    if mechanism.upper() not in session.mechanisms:
        raise refuse(504, "5.5.4", "This mechanism is not offered")  # RFC 4954 §4
    if not space:
        return mechanism.upper(), None
    return mechanism.upper(), decode_response(initial.encode(), initial=True)


def _act_auth(session: Session, argument: tuple[str, bytes | None]) -> None:
    session.phase = Phase.SASL
    session.events.append(SaslBegins(*argument))


def decode_response(line: bytes, *, initial: bool = False) -> bytes:
    """Strict base64 (THREATS 11). An empty initial response is written `=` (RFC 4954 §4)."""
    if initial and line == b"=":
        return b""
    if initial and not line:
        raise refuse(501, "5.5.2", "An empty initial response must be written as =")
    try:
        return decode_base64(line)
    except Base64Error:
        raise refuse(501, "5.5.2", "The response is not valid base64") from None


COMMANDS: dict[bytes, Command] = {
    command.verb.encode(): command
    for command in (
        Command(verb="EHLO", check=_check_hello, act=_act_ehlo),
        Command(verb="HELO", check=_check_hello, act=_act_helo),
        Command(
            verb="MAIL",
            check=_check_mail,
            act=_act_mail,
            needs_hello=True,
            forbids_transaction=True,
            needs_login=True,
        ),
        Command(
            verb="RCPT",
            check=_check_rcpt,
            act=_act_rcpt,
            needs_hello=True,
            needs_transaction=True,
            needs_login=True,
        ),
        Command(
            verb="DATA",
            check=_check_nothing,
            act=_act_data,
            needs_hello=True,
            needs_transaction=True,
            needs_login=True,
        ),
        Command(
            verb="BDAT",
            check=_check_bdat,
            act=_act_bdat,
            needs_hello=True,
            needs_transaction=True,
            needs_login=True,
        ),
        Command(verb="RSET", check=_check_nothing, act=_act_rset),
        Command(verb="NOOP", check=_check_anything, act=_act_noop),
        Command(verb="QUIT", check=_check_nothing, act=_act_quit),
        Command(verb="VRFY", check=_check_vrfy, act=_act_vrfy),
        Command(verb="HELP", check=_check_anything, act=_act_help),
        Command(
            verb="STARTTLS",
            check=_check_nothing,
            act=_act_starttls,
            needs_hello=True,
            forbids_transaction=True,
            may_be_pipelined=False,
        ),
        Command(verb="AUTH", check=_check_auth, act=_act_auth, needs_hello=True, forbids_transaction=True),
        Command(verb="EXPN", check=_check_anything, act=_act_not_offered),
        Command(verb="ETRN", check=_check_anything, act=_act_not_offered),
        Command(verb="TURN", check=_check_anything, act=_act_not_offered),
        *(
            Command(verb=verb, check=_check_anything, act=_act_http)
            for verb in ("GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS")
        ),
    )
}


def add_recipient(session: Session, recipient: Recipient) -> None:
    transaction = session.transaction
    assert transaction is not None
    # Whatever else the envelope has, now or with the next extension, goes along.
    envelope = replace(transaction.envelope, recipients=(*transaction.envelope.recipients, recipient))
    session.transaction = transaction._replace(envelope=envelope)
