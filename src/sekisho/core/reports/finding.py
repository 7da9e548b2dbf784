"""Which part of a message holds a report, and the reading of it in pieces."""

from dataclasses import dataclass
from typing import Literal

from sekisho.core.message.mimefields import forms_of, parse_disposition
from sekisho.core.message.structure import Part, Structure
from sekisho.core.message.text import TransferDecoder
from sekisho.core.reports.aggregate import AggregateReport
from sekisho.core.reports.refusal import ReportRefused
from sekisho.core.reports.tls import MAX_JSON_OCTETS, TlsReport, read_tls_report
from sekisho.core.reports.unpacking import Unpacker
from sekisho.core.reports.xmlreading import AggregateReader

Found = Literal["packed", "feedback", "words", "bounce"]

# RFC 9990 §3.5, RFC 8460 §5.3, and what else reporters call the same.
_PACKED = frozenset(
    (
        (b"application", b"gzip"),
        (b"application", b"x-gzip"),
        (b"application", b"gzip-compressed"),
        (b"application", b"zip"),
        (b"application", b"x-zip"),
        (b"application", b"x-zip-compressed"),
        (b"application", b"xml"),
        (b"text", b"xml"),
        (b"application", b"tlsrpt+gzip"),
        (b"application", b"tlsrpt+json"),
        (b"application", b"json"),
    )
)
_ENDINGS = (b".xml", b".gz", b".zip", b".json", b".gzip")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class ReportPart:
    """`part`: where it stands; `original`: a copy of the message that it is about, None without."""

    found: Found
    part: Part
    original: Part | None = None


def find_report(structure: Structure) -> ReportPart | None:
    """The first part that can be a report; None: there is none, and the message is somebody's letter."""
    parts = structure.parts
    root = parts[0]
    kind = (root.parameter(b"report-type") or b"").lower()
    own = [part for part in parts if not _is_inside_a_message(parts, part)]
    for part in own:
        if (part.type, part.subtype) == (b"message", b"feedback-report"):
            return ReportPart("feedback", part, _original(own, parts))
        if (part.type, part.subtype) in (
            (b"message", b"delivery-status"),
            (b"message", b"global-delivery-status"),
        ):
            return ReportPart("bounce", part, _original(own, parts))
    for part in own:
        if part.type != b"multipart" and ((part.type, part.subtype) in _PACKED or _has_telling_name(part)):
            return ReportPart("packed", part)
    if (root.type, root.subtype) == (b"multipart", b"report") and not kind:
        plain = next((part for part in own if (part.type, part.subtype) == (b"text", b"plain")), None)
        return ReportPart("words", plain) if plain is not None else None
    return None


def _is_inside_a_message(parts: list[Part], part: Part) -> bool:
    """Is it a part of a message that is attached?"""
    above = part.parent
    while above > 0:
        if parts[above].type == b"message":
            return True
        above = parts[above].parent
    return False


def _original(own: list[Part], parts: list[Part]) -> Part | None:
    kinds = (
        (b"message", b"rfc822"),
        (b"message", b"global"),
        (b"text", b"rfc822-headers"),
        (b"message", b"global-headers"),
    )
    return next((part for part in own if (part.type, part.subtype) in kinds and part is not parts[0]), None)


def _has_telling_name(part: Part) -> bool:
    disposition = parse_disposition(part.first(b"content-disposition") or b"")
    names = [
        *forms_of(part.parameters, b"name"),
        *(forms_of(disposition[1], b"filename") if disposition else ()),
    ]
    return any(form.octets.lower().rstrip().endswith(_ENDINGS) for form in names)


class PackedReader:
    """An aggregate report or a TLS report: `feed` the part as it stands in the message, then `finish`.

    Both raise ReportRefused.
    """

    def __init__(self, encoding: bytes = b"7bit") -> None:
        self._decoder, self._unpacker = TransferDecoder(encoding), Unpacker()
        self._aggregate: AggregateReader | None = None
        self._json: list[bytes] | None = None
        self._json_octets = 0
        self._head = b""

    def feed(self, octets: bytes) -> None:
        self._unpacked(self._decoder.feed(octets))

    def finish(self) -> AggregateReport | TlsReport:
        self._unpacked(self._decoder.feed(b"", final=True))
        for piece in self._unpacker.finish():
            self._take(piece)
        if self._aggregate is not None:
            return self._aggregate.finish()
        if self._json is not None:
            return read_tls_report(b"".join(self._json))
        raise ReportRefused("it is empty" if not self._head.strip() else "it is neither XML nor JSON")

    def _unpacked(self, octets: bytes) -> None:
        for piece in self._unpacker.feed(octets):
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        if self._aggregate is None and self._json is None:
            piece = self._head + piece
            if not self._know(piece):
                self._head = piece
                return
        if self._aggregate is not None:
            self._aggregate.feed(piece)
        elif self._json is not None:
            self._json_octets += len(piece)
            if self._json_octets > MAX_JSON_OCTETS:
                raise ReportRefused(f"it is larger than {MAX_JSON_OCTETS >> 20} MB")
            self._json.append(piece)

    def _know(self, octets: bytes) -> bool:
        """By the first octet that is no white space. False: there was none yet."""
        begins = octets
        for bom in _BOMS:
            begins = begins.removeprefix(bom)
        begins = begins.lstrip(b" \t\r\n\0")
        if begins.startswith(b"<"):
            self._aggregate = AggregateReader()
        elif begins.startswith(b"{"):
            self._json = []
        elif begins or len(octets) > 4096:
            raise ReportRefused("it is neither XML nor JSON")
        return bool(begins)


def read_packed(octets: bytes, encoding: bytes = b"7bit") -> AggregateReport | TlsReport:
    """Of a part, or of a file, that is in memory anyway. Raises ReportRefused."""
    reader = PackedReader(encoding)
    reader.feed(octets)
    return reader.finish()
