"""`ports.journal.Journal` by structlog: one JSON object or one readable line per entry, on standard error or
in a file.

Lines of one turn of the loop go out with one write. What a peer chose is bounded and escaped here, and
nowhere else.
"""

import asyncio
import os
import re
import secrets
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import msgspec
import structlog

from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal, JournalValue

VALUE_CHARACTERS = 500
TRACEBACK_CHARACTERS = 8000
# C0, DEL, C1, line and paragraph separators, bidirectional controls, lone surrogates: what could break or
# forge a line.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NEEDS_QUOTES = re.compile(r'[\s"=]|^$')


def escape(text: str, limit: int = VALUE_CHARACTERS) -> str:
    """Bounded, with control characters as \\xNN or \\uNNNN."""
    if len(text) <= limit and text.isprintable():
        return text  # as nearly all are: nothing that `_UNSAFE` names is printable
    if len(text) > limit:
        text = text[:limit] + "…"
    return _UNSAFE.sub(_escape_one, text) if _UNSAFE.search(text) else text


def _escape_one(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class LineSink:
    """Where lines go: a descriptor, written once per turn of the loop. A full disk or a closed pipe loses
    lines, never mail."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []

    def msg(self, line: bytes) -> None:
        self._lines.append(line)
        if len(self._lines) > 1:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            loop.call_soon(self.flush)

    def redirect(self, descriptor: int) -> None:
        """The old descriptor is closed, unless it is a standard stream."""
        self.flush()
        if self._descriptor > 2:
            os.close(self._descriptor)
        self._descriptor = descriptor

    def flush(self) -> None:
        data = b"".join(self._lines)
        self._lines.clear()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass


class _Logger(structlog.BoundLoggerBase):
    def write(self, kind: str, fields: Mapping[str, JournalValue]) -> None:
        self._proxy_to_logger("msg", kind, fields=fields)


class StructlogJournal:
    """`context` goes into every entry (worker=2); `descriptor` None means standard error."""

    def __init__(
        self,
        clock: Clock,
        *,
        form: Literal["json", "text"] = "json",
        descriptor: int | None = None,
        **context: JournalValue,
    ) -> None:
        self._clock = clock
        self._second = 0
        self._second_text = ""
        self._sink = LineSink(sys.stderr.fileno() if descriptor is None else descriptor)
        self._context = context
        self.use(form)

    def use(self, form: Literal["json", "text"]) -> None:
        """Lines of this form from now on."""
        self._logger = _Logger(
            self._sink, [self._stamp, render_json if form == "json" else render_text], self._context
        )

    def record(self, entry: Entry) -> None:
        fields = {
            name: escape(value) if isinstance(value, str) else value for name, value in entry.fields.items()
        }
        if entry.id:
            fields["id"] = escape(entry.id)
        self._write(entry.kind, fields)

    def fault(self, where: str, error: BaseException) -> str:
        fault_id = secrets.token_hex(4)
        text = "".join(traceback.format_exception(error))
        if len(text) > TRACEBACK_CHARACTERS:  # the end says most
            text = "…" + text[-TRACEBACK_CHARACTERS:]
        lines = " | ".join(escape(line, TRACEBACK_CHARACTERS) for line in text.splitlines())
        self._write(
            "fault", {"where": where, "id": fault_id, "error": escape(repr(error)), "traceback": lines}
        )
        return fault_id

    def flush(self) -> None:
        """Before the process ends."""
        self._sink.flush()

    def redirect(self, descriptor: int | None) -> None:
        """From now on write there (None: to standard error): the log file was rotated, or is another one."""
        self._sink.redirect(sys.stderr.fileno() if descriptor is None else descriptor)

    def _write(self, kind: str, fields: Mapping[str, JournalValue]) -> None:
        try:
            self._logger.write(kind, fields)
        except (
            TypeError,
            ValueError,
            OverflowError,
        ) as error:  # a value that no renderer takes is our own mistake, but not worth a message
            self._logger.write("journal.unwritable", {"entry": escape(kind), "error": escape(repr(error))})

    def _stamp(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        fields = event.pop("fields")
        return {"time": self._utc(self._clock.now_us()), "kind": event.pop("event"), **event, **fields}

    def _utc(self, now_us: int) -> str:
        """RFC 3339 §5.6 with milliseconds. The text of a second is kept: to format it costs more than all the
        rest of a line."""
        second, rest = divmod(now_us, 1_000_000)
        if second != self._second:
            self._second, self._second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{rest // 1000:03d}Z"


def catch_strays(journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
    """Into the journal with what Python would print in many lines: errors of forgotten tasks, and those that
    C code cannot raise (a server name in a TLS handshake that is not ASCII: anybody can send one)."""

    def from_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            journal.fault("loop", error)
        else:
            journal.record(Entry("loop.complaint", fields={"message": str(context.get("message"))}))

    def from_python(stray: Any) -> None:
        journal.record(
            Entry("python.stray", fields={"error": repr(stray.exc_value), "at": repr(stray.object)})
        )

    loop.set_exception_handler(from_loop)
    sys.unraisablehook = from_python


_encode = msgspec.json.Encoder().encode


def render_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event) + b"\n"


def render_text(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    parts = [event.pop("time"), event.pop("kind")]
    parts += [f"{name}={_text_value(value)}" for name, value in event.items() if value is not None]
    return (" ".join(parts) + "\n").encode("utf-8", "replace")


def _text_value(value: JournalValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if _NEEDS_QUOTES.search(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text
