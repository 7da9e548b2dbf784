"""The server's side of ManageSieve as a machine: octets in, events out (RFC 5804).

It owns grammar, states and replies; logins, scripts and the connection are the caller's. Whole or byte by
byte, the same input gives the same events.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sekisho.core.managesieve.events import (
    NEED_MORE,
    LoggedOut,
    LoginAnswered,
    LoginBegun,
    LoginDropped,
    ManageSieveEvent,
    ScriptRequest,
    SessionOver,
    TlsAsked,
)
from sekisho.core.managesieve.words import MalformedRequest, Word, WordReader
from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64

MAX_SASL = 8192
MAX_PENDING = 200  # replies to pipelined commands, before the caller sends

ManageSieveRefusal = Literal["credentials", "unavailable", "failed"]
# RFC 5804 §1.3
_REFUSALS: dict[ManageSieveRefusal, tuple[str, str]] = {
    "credentials": ("", "The user name or the password is wrong"),
    "unavailable": ("TRYLATER", "The login cannot be checked at the moment, try again later"),
    "failed": ("", "The authentication exchange failed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageSieveRules:
    """`capabilities`: what scripts may require; `script_octets`: the largest."""

    implementation: str
    capabilities: tuple[str, ...]
    script_octets: int
    redirects: int
    max_errors: int = 10
    max_login_failures: int = 3


class ManageSieveMachine:
    """One session, from greeting to close. `mechanisms`: of SASL, in upper case; login is possible only
    inside TLS."""

    def __init__(
        self, rules: ManageSieveRules, mechanisms: tuple[str, ...], *, is_tls: bool, can_starttls: bool
    ) -> None:
        self._rules = rules
        self._mechanisms = mechanisms
        self._is_tls, self._can_starttls = is_tls, can_starttls
        self._errors_left, self._logins_left = rules.max_errors, rules.max_login_failures
        self._reader = WordReader()
        self._output: list[bytes] = []
        self._owner: str | None = None  # who is logged in
        self._awaiting: type | None = None
        self._in_sasl = False
        self._over: SessionOver | None = None
        self._tell_capabilities()

    # --- octets

    def receive_data(self, octets: bytes) -> None:
        self._reader.feed(octets)

    def data_to_send(self) -> bytes:
        """What must go out now, or b""."""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    @property
    def has_input(self) -> bool:
        """Are there octets that no event has used yet?"""
        return not self._reader.is_between

    @property
    def is_logged_in(self) -> bool:
        return self._owner is not None

    def next_event(self) -> ManageSieveEvent:
        """The next thing to do; asked again after each answer. SessionOver stays so."""
        if self._over:
            return self._over
        if self._awaiting is TlsAsked and self._reader.buffer:
            # RFC 5804 §2.2, THREATS 2: what was sent before the handshake can never be read as if it came
            # inside it.
            return self._end("plaintext behind STARTTLS")
        if self._awaiting is not None:
            raise RuntimeError(f"{self._awaiting.__name__} was not answered")
        while not self._over and len(self._output) < MAX_PENDING:
            try:
                words = self._reader.next_command()
            except MalformedRequest as error:
                self._malformed(error)
                if self._in_sasl and not self._over:
                    return self._dropped()
                continue
            if words is None:
                break
            event = self._receive_sasl(words) if self._in_sasl else self._receive_command(words)
            if event is not None:
                if not isinstance(event, SessionOver):
                    self._awaiting = type(event)
                return event
        return self._over or NEED_MORE

    # --- replies

    def _say(self, word: str, text: str = "", code: str = "") -> None:
        line = word + (f" ({code})" if code else "")
        self._output.append(line.encode() + (b" " + string(text) if text else b"") + b"\r\n")

    def _wrong(self, text: str) -> None:
        """A mistake in the protocol; too many end the session."""
        self._errors_left -= 1
        if self._errors_left > 0:
            self._say("NO", text)
        else:
            self._end("too many errors", "Too many errors")

    def _malformed(self, error: MalformedRequest) -> None:
        if error.is_hopeless:
            self._end("malformed", str(error))
        else:
            self._wrong(str(error))

    def _end(self, reason: str, text: str = "", *, is_orderly: bool = False) -> SessionOver:
        if text:
            self._say("BYE", text)
        self._over = SessionOver(reason, is_orderly)
        return self._over

    def _tell_capabilities(self) -> None:
        """RFC 5804 §1.7; no mechanism outside of TLS (RFC 8314 §3)."""
        rules = self._rules
        lines: list[tuple[str, str | None]] = [
            ("IMPLEMENTATION", rules.implementation),
            ("SASL", " ".join(self._mechanisms) if self._is_tls and self._owner is None else ""),
            ("SIEVE", " ".join(rules.capabilities)),
            ("NOTIFY", "mailto"),
            ("MAXREDIRECTS", str(rules.redirects)),
            ("UNAUTHENTICATE", None),
            ("VERSION", "1.0"),
        ]
        if self._can_starttls and not self._is_tls:
            lines.append(("STARTTLS", None))
        if self._owner is not None:
            lines.append(("OWNER", self._owner))
        for name, value in lines:
            self._output.append(string(name) + (b" " + string(value) if value is not None else b"") + b"\r\n")
        self._say("OK", "ManageSieve ready")

    # --- answers of the caller

    def _answered(self, *expected: type) -> None:
        if self._awaiting not in expected:
            raise RuntimeError(f"nothing of {[e.__name__ for e in expected]} waits for an answer")
        self._awaiting = None

    def tls_started(self, mechanisms: tuple[str, ...]) -> None:
        """The handshake is done; the capabilities are told anew (RFC 5804 §2.2)."""
        self._answered(TlsAsked)
        self._is_tls, self._mechanisms = True, mechanisms
        self._tell_capabilities()

    def challenge(self, octets: bytes) -> None:
        """The mechanism's next question (RFC 5804 §2.1)."""
        self._answered(LoginBegun, LoginAnswered)
        self._in_sasl = True
        self._output.append(string(encode_base64(octets).decode("ascii")) + b"\r\n")

    def log_in(self, owner: str) -> None:
        """The login succeeded; scripts may be as large as the rules say from now on."""
        self._answered(LoginBegun, LoginAnswered)
        self._in_sasl, self._owner = False, owner
        self._reader.max_literal = self._rules.script_octets
        self._say("OK", "Logged in")

    def refuse_login(self, why: ManageSieveRefusal) -> None:
        """Wrong credentials are counted, and too many end the session."""
        self._answered(LoginBegun, LoginAnswered)
        self._in_sasl = False
        if why != "unavailable":
            self._logins_left -= 1
        code, text = _REFUSALS[why]
        if self._logins_left > 0:
            self._say("NO", text, code)
        else:
            self._end("too many failed logins", text)

    def resume(self) -> None:
        """The caller has thrown the mechanism away."""
        self._answered(LoginDropped)

    def ok(self, text: str = "", code: str = "", lines: Iterable[bytes] = ()) -> None:
        """`lines` without their ends, before the OK; `code` without parentheses, as WARNINGS."""
        self._answered(ScriptRequest, LoggedOut)
        self._output += [line + b"\r\n" for line in lines]
        self._say("OK", text, code)

    def no(self, text: str, code: str = "") -> None:
        self._answered(ScriptRequest)
        self._say("NO", text, code)

    def expel(self) -> None:
        """The account may not be used any more."""
        self._answered(ScriptRequest)
        self._end("expelled", "This login is no longer valid")

    def shut_down(self) -> None:
        """The server ends."""
        if not self._over:
            self._awaiting = None
            self._output.append(b'BYE (TRYLATER) "The server is shutting down"\r\n')
            self._over = SessionOver("shutdown")

    # --- commands

    def _receive_command(self, words: list[Word]) -> ManageSieveEvent | None:
        if not words or words[0].is_string:
            self._wrong("A command is expected")
            return None
        name = words[0].octets.upper()
        handler = _COMMANDS.get(name)
        if handler is None:
            if name in _NEED_LOGIN:
                return self._script_command(name, words[1:])
            self._wrong("Unknown command")
            return None
        return handler(self, words[1:])

    def _no_arguments(self, words: list[Word]) -> bool:
        if words:
            self._wrong("The command takes no arguments")
        return not words

    def _capability(self, words: list[Word]) -> None:
        if self._no_arguments(words):
            self._tell_capabilities()

    def _noop(self, words: list[Word]) -> None:
        """RFC 5804 §2.13: gives a string back."""
        if len(words) > 1 or (words and not words[0].is_string):
            self._wrong("NOOP takes at most one string")
        elif words:
            self._output.append(b"OK (TAG " + literal(words[0].octets) + b') "Done"\r\n')
        else:
            self._say("OK", "Done")

    def _logout(self, words: list[Word]) -> ManageSieveEvent | None:
        if not self._no_arguments(words):
            return None
        self._say("OK", "Bye")
        return self._end("logout", is_orderly=True)

    def _starttls(self, words: list[Word]) -> ManageSieveEvent | None:
        if not self._no_arguments(words):
            return None
        if self._is_tls or not self._can_starttls or self._owner is not None:
            self._wrong("TLS is active already, or not available")
            return None
        self._say("OK", "Begin TLS")
        return TlsAsked()

    def _unauthenticate(self, words: list[Word]) -> ManageSieveEvent | None:
        if not self._no_arguments(words):
            return None
        if self._owner is None:
            self._wrong("Nobody is logged in")
            return None
        self._owner = None
        self._reader.max_literal = MAX_SASL
        return LoggedOut()

    def _authenticate(self, words: list[Word]) -> ManageSieveEvent | None:
        """RFC 5804 §2.1: a mechanism, and perhaps an initial response in base64. An empty one is an empty
        response (THREATS 32)."""
        if self._owner is not None:
            self._wrong("Somebody is logged in already")
        elif not self._is_tls:
            # The same for right and wrong names and passwords (RFC 8314 §4.1).
            self._say("NO", "Login needs TLS: use STARTTLS first", "ENCRYPT-NEEDED")
            self._errors_left -= 1
            if self._errors_left <= 0:
                return self._end("too many errors", "Too many errors")
        elif not 1 <= len(words) <= 2 or not all(word.is_string for word in words):
            self._wrong("AUTHENTICATE needs a mechanism as a string")
        else:
            return self._begin_login(words)
        return None

    def _begin_login(self, words: list[Word]) -> ManageSieveEvent | None:
        mechanism = words[0].octets.upper().decode("ascii", "replace")
        if mechanism not in self._mechanisms:
            self._wrong("This mechanism is not offered")
            return None
        initial: bytes | None = None
        if len(words) == 2:
            try:
                initial = decode_base64(words[1].octets, MAX_SASL)
            except Base64Error:
                self._wrong("The initial response is not base64")
                return None
        return LoginBegun(mechanism, initial)

    def _receive_sasl(self, words: list[Word]) -> ManageSieveEvent | None:
        """RFC 5804 §2.1: one string, `"*"` to cancel."""
        self._in_sasl = False
        if len(words) != 1 or not words[0].is_string or words[0].octets == b"*":
            self._wrong("The authentication exchange was ended")
            return self._over or self._dropped()
        try:
            return LoginAnswered(decode_base64(words[0].octets, MAX_SASL))
        except Base64Error:
            self._wrong("The response is not base64")
            return self._over or self._dropped()

    def _dropped(self) -> ManageSieveEvent:
        self._in_sasl = False
        self._awaiting = LoginDropped
        return LoginDropped()

    def _script_command(self, name: bytes, words: list[Word]) -> ManageSieveEvent | None:
        if self._owner is None:
            self._wrong("Log in first")
            return None
        shape = _NEED_LOGIN[name]
        values: dict[str, str | bytes | int] = {}
        if len(words) == len(shape):
            for kind, word in zip(shape, words, strict=True):
                value = _value(kind, word)
                if value is not None:
                    values[kind] = value
        if len(words) != len(shape) or len(values) != len(shape):
            self._wrong("The arguments do not fit the command")
            return None
        return ScriptRequest(command=name.decode("ascii"), **values)  # type: ignore[arg-type]  # each of its kind


def _value(kind: str, word: Word) -> str | bytes | int | None:
    if kind == "size":
        return (
            int(word.octets)
            if not word.is_string and word.octets.isdigit() and len(word.octets) <= 10
            else None
        )
    if not word.is_string:
        return None
    if kind == "octets":
        return word.octets
    try:
        return word.octets.decode("utf-8")
    except UnicodeDecodeError:
        return None


def string(text: str) -> bytes:
    """Quoted where it can be, else a literal (RFC 5804 §4)."""
    octets = text.encode("utf-8", "replace")
    if len(octets) <= 1024 and not any(each in octets for each in (b"\r", b"\n", b"\0")):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(octets)


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


_NEED_LOGIN: dict[bytes, tuple[str, ...]] = {
    b"HAVESPACE": ("name", "size"),
    b"PUTSCRIPT": ("name", "octets"),
    b"LISTSCRIPTS": (),
    b"SETACTIVE": ("name",),
    b"GETSCRIPT": ("name",),
    b"DELETESCRIPT": ("name",),
    b"RENAMESCRIPT": ("name", "new_name"),
    b"CHECKSCRIPT": ("octets",),
}
# The handlers are this module's own; they stand outside the class because they name its methods.
_COMMANDS: dict[bytes, Callable[[ManageSieveMachine, list[Word]], ManageSieveEvent | None]] = {
    b"AUTHENTICATE": ManageSieveMachine._authenticate,
    b"STARTTLS": ManageSieveMachine._starttls,
    b"LOGOUT": ManageSieveMachine._logout,
    b"CAPABILITY": ManageSieveMachine._capability,
    b"NOOP": ManageSieveMachine._noop,
    b"UNAUTHENTICATE": ManageSieveMachine._unauthenticate,
}
