"""A message on its way in, shared by reception and submission: header section looked at first, the rest
streamed to the store."""

from collections.abc import Callable
from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.ports.content import ContentWriter, StoreUnavailable
from sekisho.services.smtp.refusal import CONTENT_RULE, Refusal

STORE_TROUBLE = Refusal.of(452, "4.3.1", "The message cannot be stored at the moment; try again later")
_NOT_STORED = Refusal(reply=STORE_TROUBLE.reply, rule=CONTENT_RULE)
_HEADER_TOO_LARGE = Refusal.of(552, "5.3.4", "The header section is too large", CONTENT_RULE)
_TOO_MANY_FIELDS = Refusal.of(554, "5.6.0", "The header section has too many fields", CONTENT_RULE)


@dataclass(frozen=True, slots=True)
class HeaderVerdict:
    """What becomes of a header section: a refusal of the message, or the octets to store instead of it (None:
    as it came)."""

    refusal: Refusal | None = None
    replacement: bytes | None = None


HeaderGate = Callable[[HeaderSection], HeaderVerdict]


class IncomingContent:
    """Takes decoded content piece by piece. Once `refusal` is set, the rest is only thrown away.

    `gate` sees the header section once, when it is complete; what it gives back is what the store gets in its
    place, so that the content in the store never changes afterwards (law 6).
    """

    def __init__(
        self, writer: ContentWriter, gate: HeaderGate, *, header_octets: int, header_fields: int
    ) -> None:
        self.writer = writer
        self.refusal: Refusal | None = None
        self.header: HeaderSection | None = None
        self._stored: bytes | None = None
        self._gate = gate
        self._header_octets = header_octets
        self._header_fields = header_fields
        self._waiting = bytearray()

    def write(self, octets: bytes) -> None:
        if self.refusal is not None:
            return
        try:
            if self.header is not None:
                self.writer.write(octets)
            else:
                self._write_header(octets)
        except StoreUnavailable:
            self.refuse(_NOT_STORED)

    def finish(self) -> None:
        """The content is complete; a message may end within its header section."""
        if self.header is None and self.refusal is None:
            try:
                self._judge(bytes(self._waiting))
            except StoreUnavailable:
                self.refuse(_NOT_STORED)

    def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._waiting.clear()
        self.writer.discard()

    def stored_header(self) -> HeaderSection:
        """The header section as the store has it, behind the gate. Only after `finish`, without a refusal."""
        assert self.header is not None
        return (
            self.header
            if self._stored is None
            else HeaderSection(self._stored + b"\r\n", self._header_fields + 10)
        )

    @property
    def body_offset(self) -> int:
        """Where the body begins in the store. Only after `finish`, without a refusal."""
        assert self.header is not None
        return (
            self.header.body
            if self._stored is None
            else len(self._stored) + self.header.body - self.header.end
        )

    def _write_header(self, octets: bytes) -> None:
        if not self._waiting and (octets.startswith(b"\r\n") or b"\r\n\r\n" in octets):
            self._judge(octets)
            return
        searched = max(len(self._waiting) - 3, 0)
        self._waiting += octets
        if self._waiting.startswith(b"\r\n") or self._waiting.find(b"\r\n\r\n", searched) >= 0:
            self._judge(bytes(self._waiting))
        elif len(self._waiting) > self._header_octets:
            self.refuse(_HEADER_TOO_LARGE)

    def _judge(self, octets: bytes) -> None:
        header = HeaderSection(octets, self._header_fields)
        self._waiting.clear()
        if header.end > self._header_octets:
            self.refuse(_HEADER_TOO_LARGE)
            return
        if header.too_many:
            self.refuse(_TOO_MANY_FIELDS)
            return
        verdict = self._gate(header)
        if verdict.refusal is not None:
            self.refuse(verdict.refusal)
            return
        self.header = header
        if verdict.replacement is None:
            self.writer.write(octets)
        else:
            self._stored = verdict.replacement
            self.writer.write(verdict.replacement + octets[header.end :])
