-- Networks that may not log in for a while.

CREATE TABLE ban (
    network TEXT NOT NULL, -- canonical CIDR
    account TEXT NOT NULL, -- login name, '' for anybody
    reason TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL, -- 0: until it is lifted
    failures INTEGER NOT NULL,
    times INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    note TEXT NOT NULL,
    family INTEGER NOT NULL, -- 4 or 6
    length INTEGER NOT NULL, -- of the prefix
    PRIMARY KEY (network, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX ban_by_length ON ban (family, length);
CREATE INDEX ban_by_end ON ban (until_us);
