"""A few words of SMTP over the server's Unix socket, blocking: this process does nothing else."""

import re
import socket
from collections.abc import Iterable
from pathlib import Path

_TIMEOUT_SECONDS = 600.0
# RFC 5321 §4.5.3.1.5 bounds a line; a reply of more lines than this is no reply of ours.
_MAX_REPLY_OCTETS = 65_536
_LAST_LINE = re.compile(rb"^([2-5][0-9]{2})(?: .*)?\r\n", re.MULTILINE)


class ServerGone(Exception):
    """The connection ended, or what came was no SMTP."""


class ServerRefusal(Exception):
    """The server said no. `code` and `text` are its reply; `recipient` is set when it was about one."""

    def __init__(self, code: int, text: str, recipient: str | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.recipient = recipient


class Client:
    """One session; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Connects and reads the greeting; raises OSError, ServerGone, Refusal."""
        self._received = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_TIMEOUT_SECONDS)
            self._socket.connect(str(path))
            self._expect(220)
            self._command("EHLO localhost", 250)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, mail: str, recipients: Iterable[tuple[str, str]], content: Iterable[bytes]) -> str:
        """One transaction: `mail` is the MAIL line's argument, `recipients` are (address, RCPT argument). All
        or nothing.

        Returns the text of the last reply; raises Refusal, ServerGone, OSError.
        """
        self._command(f"MAIL {mail}", 250)
        for address, argument in recipients:
            try:
                self._command(f"RCPT {argument}", 250)
            except ServerRefusal as refusal:
                raise ServerRefusal(refusal.code, refusal.text, address) from refusal
        self._command("DATA", 354)
        for piece in content:
            self._socket.sendall(piece)
        self._socket.sendall(b".\r\n")
        text = self._expect(250)
        self._socket.sendall(b"QUIT\r\n")
        return text

    def _command(self, line: str, code: int) -> str:
        self._socket.sendall(line.encode() + b"\r\n")
        return self._expect(code)

    def _expect(self, code: int) -> str:
        while not (match := _LAST_LINE.search(self._received)):
            octets = self._socket.recv(4096)
            if not octets or len(self._received) > _MAX_REPLY_OCTETS:
                raise ServerGone("the server ended the connection")
            self._received += octets
        reply, self._received = self._received[: match.end()], self._received[match.end() :]
        lines = [line[4:] for line in reply.decode("utf-8", "replace").splitlines()]
        if int(match[1]) != code:
            raise ServerRefusal(int(match[1]), " ".join(lines))
        return lines[-1]
