-- What we know of senders from our own experience, and who waits for mail.

CREATE TABLE reputation (
    key TEXT NOT NULL PRIMARY KEY, -- "client:192.0.2.1", "domain:example.org", …
    good REAL NOT NULL, -- weights as of at_us
    bad REAL NOT NULL,
    at_us INTEGER NOT NULL,
    first_at_us INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    junk INTEGER NOT NULL,
    cleared INTEGER NOT NULL,
    written INTEGER NOT NULL,
    trusted_at_us INTEGER NOT NULL,
    junk_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE expected (
    account_id INTEGER NOT NULL PRIMARY KEY,
    until_us INTEGER NOT NULL
) STRICT;
