-- hints.db: what may be lost by a power cut without losing mail.

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL, -- '' when free
    epoch INTEGER NOT NULL,
    until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_by_owner ON lease (owner) WHERE owner <> '';

CREATE TABLE counter (
    key TEXT NOT NULL,
    window_seconds INTEGER NOT NULL,
    start INTEGER NOT NULL, -- number of the window that current counts
    current INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    PRIMARY KEY (key, window_seconds)
) STRICT, WITHOUT ROWID;

-- Parsed MIME structures, by content.
CREATE TABLE structure (
    content_id TEXT NOT NULL PRIMARY KEY,
    saved_at_us INTEGER NOT NULL,
    octets BLOB NOT NULL
) STRICT;
