-- Who was asked to come again (greylisting), and who did.

CREATE TABLE greylist (
    key TEXT NOT NULL PRIMARY KEY, -- "domain:example.org", or "network:192.0.2.0/24 example.org"
    first_at_us INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL,
    passed_at_us INTEGER NOT NULL, -- when it came back in time; 0: not yet
    tries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
