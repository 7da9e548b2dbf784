"""Where an entry of the ledger lies, as one number, and where the keys that lead to it lie.

An entry's id is its segment and its place in it; a posting puts the key's hash between the two. So the
postings of one key in one segment stand side by side, and a segment's postings are a range of their own: what
is old is cut off whole.
"""

from zlib import crc32

PLACE_BITS = 16
HASH_BITS = 26  # with the place and 21 bits of segment this fills an integer of SQLite
SEGMENT_ENTRIES = 1 << PLACE_BITS
POSTING_SHIFT = PLACE_BITS + HASH_BITS
DAY_US = 86_400_000_000


def key_hash(key: str) -> int:
    """Of a normal key. Keys with the same hash are told apart by the entry, so that quick matters more than
    collisions do."""
    return crc32(key.encode("utf-8", "surrogatepass")) >> (32 - HASH_BITS)


def entry_id(posting: int) -> int:
    return (posting >> POSTING_SHIFT) << PLACE_BITS | posting & (SEGMENT_ENTRIES - 1)
