"""BODY[section]<partial>: which octets, and sending them in ranges (RFC 3501 §6.4.5)."""

from sekisho.core.imap.digest import Digest, DigestPart, find_part, parts_of, select_fields
from sekisho.core.imap.fetch_items import Section
from sekisho.core.message.structure import Kind
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.services.access.imap.contents import MAX_HEADER_OCTETS
from sekisho.services.access.imap.session import ImapSession, SessionEnds

RANGE_OCTETS = 65536


async def send_section(
    session: ImapSession, section: Section, octets: MessageOctets, digest: Digest | None, prefix_octets: int
) -> None:
    """The literal, or NIL for a part that is not there."""
    span = find_span(section, digest, prefix_octets, octets.size_octets)
    if span is None:
        session.send(b"NIL")
        return
    start, end = span
    if section.names:
        header = await _read(octets, start, min(end - start, MAX_HEADER_OCTETS))
        value = select_fields(header, section.names, others=section.kind == "HEADER.FIELDS.NOT") + b"\r\n"
        if section.partial is not None:
            first, count = section.partial
            value = value[first : first + count]
        session.send(b"{%d}\r\n%b" % (len(value), value))
        return
    if section.partial is not None:
        first, count = section.partial
        start = min(start + first, end)
        end = min(start + count, end)
    session.send(b"{%d}\r\n" % (end - start))
    await _send_range(session, octets, start, end)


async def _send_range(session: ImapSession, octets: MessageOctets, start: int, end: int) -> None:
    while start < end:
        piece = await _read(octets, start, min(RANGE_OCTETS, end - start))
        if not piece:
            raise SessionEnds("The message is shorter than it should be")
        session.send(piece)
        start += len(piece)
        await session.breathe()


async def _read(octets: MessageOctets, start: int, length: int) -> bytes:
    try:
        return await octets.read(start, length)
    except StoreUnavailable as error:
        # The answer has begun, its end cannot be made: the connection cannot go on.
        raise SessionEnds("The mail store cannot be used at the moment, try again later") from error


def find_span(
    section: Section, digest: Digest | None, prefix_octets: int, size_octets: int
) -> tuple[int, int] | None:
    """(first octet, behind the last) in prefix‖content, or None when the message has no such part."""
    if digest is None or (not section.part and section.kind == ""):
        return 0, size_octets  # BODY[] needs no digest
    parts = parts_of(digest)
    if not section.part:
        root = parts[0]
        body = prefix_octets + root.body
        return (body, size_octets) if section.kind == "TEXT" else (0, body)
    part = find_part(parts, section.part)
    if part is None:
        return None
    if section.kind == "":
        span = part.body, part.end
    elif section.kind == "MIME":
        span = part.start, part.body
        if part is parts[0]:  # the only part of a message without multiparts: its fields are the message's
            return 0, prefix_octets + part.body
    else:
        inside = _message_inside(parts, part)
        if inside is None:
            return None
        span = (inside.body, inside.end) if section.kind == "TEXT" else (inside.start, inside.body)
    return prefix_octets + span[0], prefix_octets + span[1]


def _message_inside(parts: list[DigestPart], part: DigestPart) -> DigestPart | None:
    """HEADER and TEXT behind a part number speak of the message in a message/rfc822 part."""
    return parts[part.children[0]] if part.kind == Kind.MESSAGE else None
