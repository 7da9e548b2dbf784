"""Dialogs as text that a mail person can read, played against a server over a Stream.

    # a comment                       (empty lines are skipped too)
    @ login alice@example.test        an option: what it means is up to the test that plays the dialog
    C: EHLO client.example            the client sends this line and CRLF
    C! a\\x00b\\n                       the client sends exactly these octets (\\r \\n \\0 \\\\ \\xNN)
    S: 250-mx.example*                the server's next line; * stands for any text
    S: ...                            any number of lines, up to the one that the next S: names
    = tls                             both ends do the TLS handshake now
    = close                           the client closes
    = end                             the server must have closed, and said nothing more

`S:` lines compare without CRLF. `{name}` in a line is replaced by the value given to the player.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sekisho.ports.stream import ConnectionLost, Stream

_ESCAPE = re.compile(r"\\(?:([rn0\\])|x([0-9A-Fa-f]{2}))")
_PLAIN = {"r": "\r", "n": "\n", "0": "\0", "\\": "\\"}


class DialogFailed(AssertionError):
    """The server said something else; the message shows the place and the talk so far."""


@dataclass(frozen=True, slots=True)
class Step:
    number: int
    kind: str  # "C:", "C!", "S:" or "="
    text: str


@dataclass(frozen=True, slots=True)
class Dialog:
    name: str
    steps: tuple[Step, ...]
    options: Mapping[str, str] = field(default_factory=dict)


def parse_dialog(text: str, name: str = "dialog") -> Dialog:
    steps, options = [], {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, rest = line.partition(" ")
        if kind == "@":
            key, _, value = rest.partition(" ")
            options[key] = value
        elif kind in ("C:", "C!", "S:", "="):
            steps.append(Step(number, kind, rest))
        else:
            raise ValueError(f"{name}, line {number}: a line begins with C:, C!, S:, =, @ or #")
    return Dialog(name, tuple(steps), options)


def load_dialogs(folder: Path) -> list[Dialog]:
    """Every *.dialog under `folder`, by name."""
    return [parse_dialog(path.read_text("utf-8"), path.stem) for path in sorted(folder.rglob("*.dialog"))]


def unescape(text: str) -> bytes:
    """The octets of a C! line; other characters stand for their UTF-8 form."""
    out, position = [], 0
    for match in _ESCAPE.finditer(text):
        out.append(text[position : match.start()].encode())
        out.append(_PLAIN[match[1]].encode() if match[1] else bytes([int(match[2], 16)]))
        position = match.end()
    return b"".join((*out, text[position:].encode()))


class Player:
    """Plays the client's side over `stream`. `patience_seconds` only bounds a test that hangs."""

    def __init__(
        self, stream: Stream, values: Mapping[str, str] | None = None, patience_seconds: float = 20.0
    ) -> None:
        self._stream = stream
        self._values = values or {}
        self._patience_seconds = patience_seconds
        self._buffer = b""
        self._heard: list[str] = []

    async def play(self, dialog: Dialog) -> None:
        skipping = False
        for step in dialog.steps:
            text = self._fill(step.text)
            if step.kind == "S:" and text == "...":
                skipping = True
            elif step.kind == "S:":
                await self._expect(dialog, step, text, skipping)
                skipping = False
            elif step.kind == "=":
                await self._control(dialog, step, text)
            else:
                octets = text.encode() + b"\r\n" if step.kind == "C:" else unescape(text)
                self._heard.append(f"C: {octets!r}")
                self._stream.write(octets)
                await self._stream.drain()

    def _fill(self, text: str) -> str:
        for key, value in self._values.items():
            text = text.replace("{" + key + "}", value)
        return text

    async def _line(self) -> str | None:
        while b"\r\n" not in self._buffer:
            try:
                octets = await asyncio.wait_for(
                    self._stream.read(self._patience_seconds), self._patience_seconds
                )
            except ConnectionLost:
                octets = b""
            if not octets:
                return None
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        text = line.decode("utf-8", "backslashreplace")
        self._heard.append(f"S: {text}")
        return text

    async def _expect(self, dialog: Dialog, step: Step, pattern: str, skipping: bool) -> None:
        wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))) + r"\Z", re.DOTALL)
        while True:
            try:
                line = await self._line()
            except TimeoutError:
                raise self._failure(dialog, step, f"silence instead of {pattern!r}") from None
            if line is None:
                raise self._failure(dialog, step, f"the end of the connection instead of {pattern!r}")
            if wanted.match(line):
                return
            if not skipping:
                raise self._failure(dialog, step, f"{line[:200]!r} instead of {pattern[:200]!r}")

    async def _control(self, dialog: Dialog, step: Step, what: str) -> None:
        self._heard.append(f"= {what}")
        if what == "tls":
            if self._buffer:
                raise self._failure(dialog, step, "octets before the handshake")
            await asyncio.wait_for(self._stream.start_tls_client("mx.example"), self._patience_seconds)
        elif what == "close":
            await self._stream.close()
        elif what == "end":
            line = await self._line()
            if line is not None:
                raise self._failure(dialog, step, f"{line!r} instead of the end")
        else:
            raise ValueError(f"{dialog.name}, line {step.number}: unknown '= {what}'")

    def _failure(self, dialog: Dialog, step: Step, what: str) -> DialogFailed:
        talk = "\n  ".join(line[:200] for line in self._heard[-30:])
        return DialogFailed(f"{dialog.name}, line {step.number}: {what}\n  {talk}")
