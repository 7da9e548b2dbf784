"""Messages' octets and digests for FETCH and SEARCH."""

from collections.abc import Sequence

from sekisho.core.imap.digest import Digest, decode_digest, encode_digest, make_digest
from sekisho.core.message.structure import StructureScanner
from sekisho.ports.content import MessageOctets
from sekisho.ports.mailstore import MessageRow
from sekisho.services.access.imap.session import ImapSession

WINDOW_OCTETS = 262_144
MAX_HEADER_OCTETS = 1_048_576


async def digests_of(session: ImapSession, mailbox_id: int, rows: Sequence[MessageRow]) -> dict[str, Digest]:
    """By content id; a message that is gone meanwhile is missing. Made and kept where the cache has none."""
    store = session.context.ports.store
    blobs = await store.structures([row.content_id for row in rows])
    found: dict[str, Digest] = {}
    made: dict[str, bytes] = {}
    for row in rows:
        blob = blobs.get(row.content_id)
        digest = None if blob is None else decode_digest(blob)
        if digest is None and row.content_id not in found:
            octets = await store.open(mailbox_id, row.uid)
            if octets is None:
                continue
            digest = await _scan(session, octets, row.prefix_octets)
            made[row.content_id] = encode_digest(digest)
        if digest is not None:
            found[row.content_id] = digest
    if made:
        await store.save_structures(made)
    return found


async def _scan(session: ImapSession, octets: MessageOctets, prefix_octets: int) -> Digest:
    """One pass over the content in windows (law 9)."""
    scanner = StructureScanner()
    offset = prefix_octets
    while offset < octets.size_octets:
        piece = await octets.read(offset, WINDOW_OCTETS)
        if not piece:
            break
        scanner.feed(piece)
        offset += len(piece)
        await session.breathe()
    return make_digest(scanner.finish())
