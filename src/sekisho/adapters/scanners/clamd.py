"""ClamAV's daemon, asked over its socket by INSTREAM: the octets go in counted pieces, one line comes
back."""

import asyncio

from sekisho.adapters.scanners.place import PIECE_OCTETS, Rest, connect
from sekisho.core.policy.content import ClamavFinding
from sekisho.ports.clock import Clock
from sekisho.ports.scanners import Read, ScannerPlace

_ANSWER_OCTETS = 4096
_ANSWER_START = "stream: "


class ClamdScanner:
    """Implements `ports.scanners.VirusScanner`."""

    def __init__(self, place: ScannerPlace, clock: Clock, *, timeout_seconds: float) -> None:
        self._place, self._timeout = place, timeout_seconds
        self._rest = Rest(clock)

    async def scan(self, read: Read, size_octets: int) -> ClamavFinding:
        if self._rest.is_on:
            return ClamavFinding(problem="it failed before and is left alone for a while")
        try:
            async with asyncio.timeout(self._timeout):
                finding = _finding(await self._ask(read, size_octets))
        except TimeoutError:
            finding = ClamavFinding(problem=f"no answer within {self._timeout:g} seconds")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            finding = ClamavFinding(problem=str(error) or type(error).__name__)
        self._rest.note(failed=bool(finding.problem))
        return finding

    async def _ask(self, read: Read, size_octets: int) -> str:
        reader, writer = await connect(self._place)
        try:
            writer.write(b"zINSTREAM\0")
            done = 0
            while done < size_octets and (octets := await read(done, PIECE_OCTETS)):
                writer.write(len(octets).to_bytes(4, "big") + octets)
                await writer.drain()
                done += len(octets)
            writer.write(bytes(4))
            await writer.drain()
            return (await reader.readuntil(b"\0")).decode("utf-8", "replace").rstrip("\0\n")
        except ConnectionError:
            # It says why before it closes, when a message is too large for it.
            told = (await reader.read(_ANSWER_OCTETS)).decode("utf-8", "replace").strip("\0\n ")
            if told:
                return told
            raise
        finally:
            writer.close()


def _finding(answer: str) -> ClamavFinding:
    body = answer.removeprefix(_ANSWER_START)
    if body == "OK":
        return ClamavFinding()
    name, space, word = body.rpartition(" ")
    if space and word == "FOUND":
        return ClamavFinding(virus=name[:200])
    return ClamavFinding(problem=answer[:200] or "an empty answer")
