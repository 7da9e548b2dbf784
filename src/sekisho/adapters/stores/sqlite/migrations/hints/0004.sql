-- What the classifier was taught: of messages only hashes. And what was fitted to it.

CREATE TABLE lesson (
    serial INTEGER NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL, -- 0: the operator
    key TEXT NOT NULL,
    is_spam INTEGER NOT NULL,
    is_private INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    features BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX lesson_by_key ON lesson (account_id, key);
CREATE INDEX lesson_by_side ON lesson (is_spam, serial);

CREATE TABLE classifier (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    serial INTEGER NOT NULL,
    fitted INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL,
    fitted_at_us INTEGER NOT NULL
) STRICT;
INSERT INTO classifier VALUES (1, 0, 0, 0, 0, 0);

CREATE TABLE knowledge (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    octets BLOB NOT NULL
) STRICT;
