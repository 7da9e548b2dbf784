"""rspamd, asked by HTTP: POST /checkv2 with the message as it came, and what is known of its sender in header
fields."""

import asyncio
from collections.abc import Sequence

import h11
import msgspec

from sekisho.adapters.net.http import read_answer
from sekisho.adapters.scanners.place import PIECE_OCTETS, Rest, connect
from sekisho.core.policy.content import RspamdFinding, Symbol
from sekisho.ports.clock import Clock
from sekisho.ports.scanners import Circumstances, Read, ScannerPlace

_ANSWER_OCTETS = 1_048_576
_MAX_SYMBOLS = 100


class _Symbol(msgspec.Struct):
    name: str = ""
    score: float = 0.0
    description: str = ""


class _Answer(msgspec.Struct, kw_only=True):
    score: float = 0.0
    required_score: float = 0.0
    action: str = "no action"
    symbols: dict[str, _Symbol] = {}
    error: str = ""


class RspamdScanner:
    """Implements `ports.scanners.SpamScanner`."""

    def __init__(self, place: ScannerPlace, clock: Clock, *, password: str, timeout_seconds: float) -> None:
        self._place, self._password, self._timeout = place, password, timeout_seconds
        self._rest = Rest(clock)

    async def scan(self, read: Read, size_octets: int, circumstances: Circumstances) -> RspamdFinding:
        if self._rest.is_on:
            return RspamdFinding(problem="it failed before and is left alone for a while")
        try:
            async with asyncio.timeout(self._timeout):
                finding = await self._ask(read, size_octets, circumstances)
        except TimeoutError:
            finding = RspamdFinding(problem=f"no answer within {self._timeout:g} seconds")
        except (OSError, h11.ProtocolError, msgspec.MsgspecError) as error:
            finding = RspamdFinding(problem=str(error) or type(error).__name__)
        self._rest.note(failed=bool(finding.problem))
        return finding

    async def _ask(self, read: Read, size_octets: int, circumstances: Circumstances) -> RspamdFinding:
        reader, writer = await connect(self._place)
        try:
            http = h11.Connection(h11.CLIENT)
            writer.write(
                http.send(
                    h11.Request(
                        method="POST", target="/checkv2", headers=self._fields(circumstances, size_octets)
                    )
                )
                or b""
            )
            done = 0
            while done < size_octets and (octets := await read(done, min(PIECE_OCTETS, size_octets - done))):
                writer.write(http.send(h11.Data(data=octets)) or b"")
                await writer.drain()
                done += len(octets)
            writer.write(http.send(h11.EndOfMessage()) or b"")
            return _finding(*await read_answer(http, reader, _ANSWER_OCTETS))
        finally:
            writer.close()

    def _fields(self, about: Circumstances, size_octets: int) -> list[tuple[bytes, bytes]]:
        fields = [
            ("Host", "rspamd"),
            ("Connection", "close"),
            ("Content-Length", str(size_octets)),
            ("IP", about.client),
            ("Helo", about.hello),
            ("From", about.reverse_path),
            ("Queue-Id", about.message_id),
        ]
        if about.client_name:
            fields.append(("Hostname", about.client_name))
        if about.user:  # then rspamd leaves out what only concerns strangers, such as their IP address
            fields.append(("User", about.user))
        fields += [("Rcpt", recipient) for recipient in about.recipients]
        if self._password:
            fields.append(("Password", self._password))
        return [(name.encode(), _field(value)) for name, value in fields]


def _field(value: str) -> bytes:
    """What peers chose may not end the field."""
    return "".join(each for each in value if each.isprintable()).strip().encode("utf-8", "replace")


def _finding(status: int, body: bytes) -> RspamdFinding:
    if status != 200:
        return RspamdFinding(
            problem=f"HTTP {status}" if status else "it closed the connection without an answer"
        )
    answer = msgspec.json.decode(body, type=_Answer)
    if answer.error:
        return RspamdFinding(problem=answer.error[:200])
    return RspamdFinding(
        score=answer.score,
        required=answer.required_score,
        action=answer.action,
        symbols=_worst(list(answer.symbols.values())),
    )


def _worst(symbols: Sequence[_Symbol]) -> tuple[Symbol, ...]:
    """The heaviest first."""
    ordered = sorted(symbols, key=lambda symbol: -abs(symbol.score))[:_MAX_SYMBOLS]
    return tuple(Symbol(each.name[:100], round(each.score, 3), each.description[:200]) for each in ordered)
