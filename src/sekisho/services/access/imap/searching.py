"""Looking into messages for SEARCH: decoded header fields from the digest, decoded text parts from the
content."""

import datetime
import re
from collections.abc import Sequence

from sekisho.core.imap.digest import CACHED_FIELDS, Digest, DigestPart, parts_of, split_fields
from sekisho.core.imap.search_keys import DateKey, HeaderKey, TextKey
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.structure import Kind
from sekisho.core.message.text import BodyDecoder, decode_field
from sekisho.ports.content import MessageOctets
from sekisho.ports.mailstore import MessageRow
from sekisho.services.access.imap.contents import MAX_HEADER_OCTETS, WINDOW_OCTETS, digests_of
from sekisho.services.access.imap.session import ImapSession

_SPACE = re.compile(r"\s+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_DATE = re.compile(r"\b([0-9]{1,2})\s+([A-Za-z]{3})[a-z]*\s+([0-9]{2,4})\b")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}


async def content_matches(
    session: ImapSession, mailbox_id: int, rows: Sequence[MessageRow], key: DateKey | HeaderKey | TextKey
) -> list[int]:
    """UIDs of the rows whose message matches."""
    digests = await digests_of(session, mailbox_id, rows)
    found = []
    for row in rows:
        digest = digests.get(row.content_id)
        if digest is not None and await _Look(session, mailbox_id, row, digest).matches(key):
            found.append(row.uid)
        await session.breathe()
    return found


class _Look:
    """One message under one key."""

    def __init__(self, session: ImapSession, mailbox_id: int, row: MessageRow, digest: Digest) -> None:
        self._session = session
        self._mailbox_id = mailbox_id
        self._row = row
        self._digest = digest

    async def matches(self, key: DateKey | HeaderKey | TextKey) -> bool:
        if isinstance(key, DateKey):
            return _sent_matches(await self._values(b"date"), key)
        if isinstance(key, HeaderKey):
            values = await self._values(key.name)
            return bool(values) if not key.text else _holds(values, key.text)
        return await self._text_matches(key)

    async def _open(self) -> MessageOctets | None:
        return await self._session.context.ports.store.open(self._mailbox_id, self._row.uid)

    async def _header(self, octets: MessageOctets) -> bytes:
        root = parts_of(self._digest)[0]
        return await octets.read(0, min(self._row.prefix_octets + root.body, MAX_HEADER_OCTETS))

    async def _values(self, name: bytes) -> list[str]:
        """The decoded values of a field."""
        fields = self._digest.fields
        if fields is None or name not in CACHED_FIELDS:
            octets = await self._open()
            fields = () if octets is None else tuple(split_fields(await self._header(octets)))
        return [
            decode_field(_FOLD.sub(b"", field.partition(b":")[2]).strip())
            for key, field in fields
            if key == name
        ]

    async def _text_matches(self, key: TextKey) -> bool:
        octets = await self._open()
        if octets is None:
            return False
        if not key.text:
            return True
        if key.with_header:
            section = HeaderSection(await self._header(octets))
            lines = [
                f"{field.name.decode('ascii', 'replace')}: {decode_field(section.value(field))}"
                for field in section.fields
            ]
            if _holds(lines, key.text):
                return True
        for part in parts_of(self._digest):
            if (
                part.kind == Kind.LEAF
                and part.type in (b"text", b"message")
                and await self._part_holds(octets, part, key.text)
            ):
                return True
        return False

    async def _part_holds(self, octets: MessageOctets, part: DigestPart, text: str) -> bool:
        """Search one part in windows that overlap by the length of what is sought."""
        wanted = _fold(text)
        decoder = BodyDecoder(part.encoding, part.charset)
        position, end = part.body + self._row.prefix_octets, part.end + self._row.prefix_octets
        tail = ""
        while position < end:
            piece = await octets.read(position, min(WINDOW_OCTETS, end - position))
            if not piece:
                return False
            position += len(piece)
            tail += _fold(decoder.feed(piece, final=position >= end))
            if wanted in tail:
                return True
            tail = tail[-len(wanted) :]
            await self._session.breathe()
        return False


def _fold(text: str) -> str:
    return _SPACE.sub(" ", text).casefold()


def _holds(values: Sequence[str], text: str) -> bool:
    wanted = _fold(text)
    return any(wanted in _fold(value) for value in values)


def _sent_matches(values: Sequence[str], key: DateKey) -> bool:
    """The day of the Date field, time and zone disregarded (RFC 3501 §6.4.4 SENTON)."""
    if not values:
        return False
    match = _DATE.search(values[0][:200])
    if match is None:
        return False
    year = int(match[3])
    if len(match[3]) < 4:  # RFC 5322 §4.3 obs-year
        year += 2000 if year < 50 else 1900
    try:
        day = datetime.date(year, _MONTHS[match[2].lower()], int(match[1])).toordinal()
    except (KeyError, ValueError):
        return False
    if key.how == "before":
        return day < key.day
    return day == key.day if key.how == "on" else day >= key.day
