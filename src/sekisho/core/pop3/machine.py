"""The server's side of POP3 as a machine: octets in, events out (RFC 1939, 2449, 2595, 5034).

It owns grammar, states and replies; passwords, the maildrop's contents and the connection are the caller's.
Whole or byte by byte, the same input gives the same events.
"""

import re
from collections.abc import Callable
from typing import Literal

from sekisho.core.pop3.events import (
    NEED_DATA,
    Event,
    PasswordLogin,
    Pop3Closed,
    Pop3SaslResponse,
    Quit,
    Retrieve,
    SaslAborted,
    SaslStarted,
    ScanListing,
    StartTls,
)
from sekisho.core.pop3.maildrop import Maildrop
from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64

# RFC 2449 §4 allows 255 octets a command; AUTH carries more (RFC 5034 §4), and nothing legal comes near this.
MAX_LINE_OCTETS = 8192
# After so many replies to pipelined commands the caller sends before it goes on (RFC 2449 §6.6).
MAX_PENDING_REPLIES = 200
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_NUMBER = re.compile(rb"[0-9]{1,10}")

LoginRefusal = Literal["credentials", "in_use", "unavailable", "failed"]
# RFC 2449 §8.1.1, RFC 3206 §4: what a client may react to.
_REFUSALS: dict[LoginRefusal, str] = {
    "credentials": "[AUTH] The user name or the password is wrong",
    "in_use": "[IN-USE] Another POP3 session has this maildrop open",
    "unavailable": "[SYS/TEMP] The login cannot be checked at the moment, try again later",
    "failed": "[AUTH] The authentication exchange failed",
}


class Pop3Machine:
    """One session, from greeting to close.

    `mechanisms`: of SASL, in upper case, best first; login is possible only inside TLS.
    `is_tls`: the connection is encrypted already; `can_stls`: STLS is offered while it is not.
    """

    def __init__(
        self,
        hostname: str,
        mechanisms: tuple[str, ...],
        *,
        is_tls: bool,
        can_stls: bool,
        max_errors: int = 10,
        max_login_failures: int = 3,
    ) -> None:
        self._mechanisms = mechanisms
        self._is_tls = is_tls
        self._can_stls = can_stls
        self._errors_left = max_errors
        self._logins_left = max_login_failures
        self._input = bytearray()
        self._output: list[bytes] = []
        self._username: str | None = None
        self._maildrop: Maildrop | None = None
        self._awaiting: type | None = None  # the event that waits for its answer
        self._in_sasl = False
        self._closed: Pop3Closed | None = None
        # RFC 1939 §4; without an APOP timestamp, since APOP needs the password in plain text.
        self._ok(f"{hostname} POP3 ready")

    # -- octets ----------------------------------------------------------------------------------------------

    def receive_data(self, octets: bytes) -> None:
        self._input += octets

    def data_to_send(self) -> bytes:
        """What must go out now, or b""."""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    @property
    def has_input(self) -> bool:
        """Are there octets that no event has used yet?"""
        return bool(self._input)

    def next_event(self) -> Event:
        """The next thing to do; asked again after each answer. Closed stays Closed."""
        if self._closed:
            return self._closed
        if self._awaiting is StartTls and self._input:
            # RFC 2595 §4, THREATS 2: what was sent before the handshake can never be read as if it came
            # inside it.
            return self._close("plaintext behind STLS", None)
        if self._awaiting is not None:
            raise RuntimeError(f"{self._awaiting.__name__} was not answered")
        while not self._closed:
            if len(self._output) > MAX_PENDING_REPLIES:
                return ScanListing(iter(()))
            line = self._take_line()
            if line is None:
                break
            event = self._receive_sasl(line) if self._in_sasl else self._receive_command(line)
            if event is not None:
                if not isinstance(event, ScanListing | Pop3Closed):
                    self._awaiting = type(event)
                return event
        return self._closed or NEED_DATA

    def _take_line(self) -> bytes | None:
        """The next line without its end; None while there is none (or the connection is over)."""
        end = self._input.find(b"\n", 0, MAX_LINE_OCTETS)
        if end < 0:
            if len(self._input) >= MAX_LINE_OCTETS:
                self._close("line too long", f"-ERR A line has at most {MAX_LINE_OCTETS} octets")
            return None
        line = bytes(self._input[: end + 1])
        del self._input[: end + 1]
        return line

    # -- replies ---------------------------------------------------------------------------------------------

    def _ok(self, text: str = "") -> None:
        self._output.append(f"+OK {text}\r\n".encode() if text else b"+OK\r\n")

    def _error(self, text: str) -> None:
        self._output.append(f"-ERR {text}\r\n".encode())

    def _wrong(self, text: str) -> None:
        """A mistake in the protocol; too many end the connection."""
        self._errors_left -= 1
        if self._errors_left > 0:
            self._error(text)
        else:
            self._close("too many errors", "-ERR Too many errors")

    def _close(self, reason: str, line: str | None, *, is_orderly: bool = False) -> Pop3Closed:
        if line is not None:
            self._output.append(line.encode() + b"\r\n")
        self._closed = Pop3Closed(reason, is_orderly)
        return self._closed

    # -- answers of the caller -------------------------------------------------------------------------------

    def _answered(self, *expected: type) -> None:
        if self._awaiting not in expected:
            raise RuntimeError(f"nothing of {[e.__name__ for e in expected]} waits for an answer")
        self._awaiting = None

    def tls_started(self, mechanisms: tuple[str, ...]) -> None:
        """The handshake is done: nothing said before it counts (RFC 2595 §4), and these mechanisms are
        offered inside it."""
        self._answered(StartTls)
        self._is_tls, self._username, self._mechanisms = True, None, mechanisms

    def challenge(self, octets: bytes) -> None:
        """The mechanism's next question (RFC 5034 §4)."""
        self._answered(SaslStarted, Pop3SaslResponse)
        self._in_sasl = True
        self._output.append(b"+ " + encode_base64(octets) + b"\r\n")

    def open_maildrop(self, maildrop: Maildrop) -> None:
        """The login succeeded and the maildrop is locked: TRANSACTION state."""
        self._answered(PasswordLogin, SaslStarted, Pop3SaslResponse)
        self._in_sasl, self._maildrop = False, maildrop
        self._ok(f"maildrop has {maildrop.messages} messages ({maildrop.octets} octets)")

    def refuse_login(self, why: LoginRefusal) -> None:
        """Back to AUTHORIZATION; wrong credentials are counted, and too many end the connection."""
        self._answered(PasswordLogin, SaslStarted, Pop3SaslResponse)
        self._in_sasl, self._username = False, None
        if why in ("credentials", "failed"):
            self._logins_left -= 1
        if self._logins_left > 0:
            self._error(_REFUSALS[why])
        else:
            self._close("too many failed logins", "-ERR " + _REFUSALS[why])

    def resume(self) -> None:
        """The caller has thrown the mechanism away."""
        self._answered(SaslAborted)

    def message_follows(self, size_octets: int | None = None) -> None:
        """The octets of the message come next, from the caller, through `DotStuffer`."""
        self._answered(Retrieve)
        self._ok(f"{size_octets} octets" if size_octets is not None else "top of the message follows")

    def message_gone(self) -> None:
        """Another session has removed it since this one began, or the store cannot give it now."""
        self._answered(Retrieve)
        self._error("[SYS/TEMP] The message cannot be read")

    def finish(self, *, is_done: bool) -> None:
        """The end of UPDATE (RFC 1939 §6)."""
        self._answered(Quit)
        if is_done:
            self._close("quit", "+OK Bye", is_orderly=True)
        else:
            self._close("update failed", "-ERR [SYS/TEMP] No message was removed", is_orderly=True)

    def shut_down(self) -> None:
        """The server ends: nothing is deleted (RFC 1939 §3)."""
        if not self._closed:
            self._close("shutdown", "-ERR [SYS/TEMP] The server is shutting down")

    def expel(self) -> None:
        """The account may not be used any more: nothing is given out or removed."""
        self._answered(Retrieve, Quit)
        self._close("expelled", "-ERR [AUTH] This login is no longer valid")

    # -- AUTHORIZATION state ---------------------------------------------------------------------------------

    def _receive_command(self, line: bytes) -> Event | None:
        text = line[:-2]
        if not line.endswith(b"\r\n") or _CONTROLS.search(text):
            self._wrong("A line must end in CRLF and contain no control characters")
            return None
        keyword, _, rest = text.partition(b" ")
        name = keyword.upper()
        if self._maildrop is None:
            handler = _AUTHORIZATION.get(name)
        else:
            handler = _TRANSACTION.get(name)
        if handler is None:
            known = name in _AUTHORIZATION or name in _TRANSACTION
            self._wrong("Not in this state" if known else "Unknown command")
            return None
        return handler(self, rest)

    def _capa(self, rest: bytes) -> None:
        # RFC 2449 §5, §6: what is possible here and now; login only inside TLS (RFC 8314 §3).
        lines = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"]
        if self._maildrop is None and self._is_tls:
            lines += ["USER", "SASL " + " ".join(self._mechanisms)]
        if self._maildrop is None and self._can_stls and not self._is_tls:
            lines.append("STLS")
        self._ok("capabilities follow")
        self._output.append("".join(f"{line}\r\n" for line in [*lines, "."]).encode())

    def _stls(self, rest: bytes) -> Event | None:
        if rest.strip():
            self._wrong("STLS takes no parameters")
        elif self._is_tls:
            self._wrong("TLS is active already")
        elif not self._can_stls:
            self._wrong("TLS is not available")
        else:
            self._ok("Begin TLS")
            return StartTls()
        return None

    def _may_log_in(self) -> bool:
        if not self._is_tls:
            # The same for right and wrong names and passwords (RFC 8314 §4.1).
            self._wrong("[SYS/PERM] Login needs TLS: use STLS first")
        return self._is_tls

    def _user(self, rest: bytes) -> None:
        if not self._may_log_in():
            return
        name = rest.strip(b" ")
        if not name:
            self._wrong("USER needs a name")
            return
        self._username = name.decode("utf-8", "replace")
        self._ok("Send the password")  # the same whether or not the name exists

    def _pass(self, rest: bytes) -> Event | None:
        if not self._may_log_in():
            return None
        username, self._username = self._username, None
        if username is None:
            self._wrong("Send USER first")
            return None
        # RFC 1939 §7: PASS has one argument, and spaces belong to it. What is not UTF-8 fits no password.
        return PasswordLogin(username, rest.decode("utf-8", "replace"))

    def _auth(self, rest: bytes) -> Event | None:
        """RFC 5034 §4: `AUTH mechanism [initial-response]`, where "=" is an empty response."""
        if not self._may_log_in():
            return None
        self._username = None
        words = rest.split()
        if not 1 <= len(words) <= 2 or words[0].upper().decode("ascii", "replace") not in self._mechanisms:
            self._wrong(f"AUTH needs one of these mechanisms: {' '.join(self._mechanisms)}")
            return None
        initial: bytes | None = None
        if len(words) == 2:
            try:
                initial = b"" if words[1] == b"=" else decode_base64(words[1], MAX_LINE_OCTETS)
            except Base64Error:
                return self._abort_sasl("not base64")
        return SaslStarted(words[0].upper().decode("ascii"), initial)

    def _receive_sasl(self, line: bytes) -> Event | None:
        self._in_sasl = False
        if not line.endswith(b"\r\n"):
            return self._abort_sasl("line without CRLF")
        if line == b"*\r\n":
            return self._abort_sasl("cancelled")
        try:
            return Pop3SaslResponse(decode_base64(line[:-2], MAX_LINE_OCTETS))
        except Base64Error:
            return self._abort_sasl("not base64")

    def _abort_sasl(self, reason: str) -> Event | None:
        self._wrong(f"The authentication exchange ended: {reason}")
        return self._closed or SaslAborted(reason)

    def _quit(self, rest: bytes) -> Event:
        if self._maildrop is None:
            return self._close("quit", "+OK Bye", is_orderly=True)
        return Quit(self._maildrop.deleted_uids())

    # -- TRANSACTION state -----------------------------------------------------------------------------------

    @property
    def _drop(self) -> Maildrop:
        assert self._maildrop is not None  # the TRANSACTION table is used only with one
        return self._maildrop

    def _number(self, rest: bytes) -> int | None:
        """The message that `rest` names; None after the reply that it names none."""
        words = rest.split()
        if len(words) != 1 or not _NUMBER.fullmatch(words[0]):
            self._wrong("The command needs a message number")
            return None
        if not self._drop.has(int(words[0])):
            self._error("No such message")
            return None
        return int(words[0])

    def _stat(self, rest: bytes) -> None:
        self._ok(f"{self._drop.messages} {self._drop.octets}")

    def _list(self, rest: bytes) -> Event | None:
        if rest.strip():
            number = self._number(rest)
            if number is not None:
                self._ok(f"{number} {self._drop.size(number)}")
            return None
        self._ok(f"{self._drop.messages} messages ({self._drop.octets} octets)")
        return ScanListing(self._drop.scan_listing())

    def _uidl(self, rest: bytes) -> Event | None:
        if rest.strip():
            number = self._number(rest)
            if number is not None:
                self._ok(f"{number} {self._drop.unique_id(number)}")
            return None
        self._ok("unique ids follow")
        return ScanListing(self._drop.unique_id_listing())

    def _retr(self, rest: bytes) -> Event | None:
        number = self._number(rest)
        return None if number is None else Retrieve(number, self._drop.uid(number), None)

    def _top(self, rest: bytes) -> Event | None:
        words = rest.split()
        if len(words) != 2 or not _NUMBER.fullmatch(words[1]):
            self._wrong("TOP needs a message number and a number of lines")
            return None
        number = self._number(words[0])
        return None if number is None else Retrieve(number, self._drop.uid(number), int(words[1]))

    def _dele(self, rest: bytes) -> None:
        number = self._number(rest)
        if number is not None:
            self._drop.delete(number)
            self._ok(f"message {number} will be removed")

    def _rset(self, rest: bytes) -> None:
        self._drop.reset()
        self._ok()

    def _noop(self, rest: bytes) -> None:
        self._ok()


_Handler = Callable[[Pop3Machine, bytes], Event | None]
# The handlers are this module's own; they stand outside the class because they name its methods.
_AUTHORIZATION: dict[bytes, _Handler] = {
    b"CAPA": Pop3Machine._capa,
    b"STLS": Pop3Machine._stls,
    b"USER": Pop3Machine._user,
    b"PASS": Pop3Machine._pass,
    b"AUTH": Pop3Machine._auth,
    b"QUIT": Pop3Machine._quit,
}
_TRANSACTION: dict[bytes, _Handler] = {
    b"CAPA": Pop3Machine._capa,
    b"STAT": Pop3Machine._stat,
    b"LIST": Pop3Machine._list,
    b"UIDL": Pop3Machine._uidl,
    b"RETR": Pop3Machine._retr,
    b"TOP": Pop3Machine._top,
    b"DELE": Pop3Machine._dele,
    b"RSET": Pop3Machine._rset,
    b"NOOP": Pop3Machine._noop,
    b"QUIT": Pop3Machine._quit,
}
