-- ledger.db: the journal's entries and what they are found by. Its last second may be lost without losing mail.

-- A stretch of entries: of one day at most, and of 65,536 entries.
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    day INTEGER NOT NULL, -- since 1970-01-01 UTC
    entries INTEGER NOT NULL,
    first_at_us INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE entry (
    id INTEGER PRIMARY KEY, -- number of the segment, then 16 bits of place in it
    octets BLOB NOT NULL -- MessagePack of ports.ledger.LedgerEntry
) STRICT;

-- One number per key of an entry: segment, 26 bits of the key's hash, 16 bits of place in the segment.
-- A question looks once into each segment, and takes the entry itself for the truth.
CREATE TABLE posting (
    place INTEGER PRIMARY KEY
) STRICT;

-- The same for the newest entries, in the order of arrival, so that writing touches no more than the last page.
-- When there are many they move to `posting` together.
CREATE TABLE fresh (
    place INTEGER NOT NULL
) STRICT;
