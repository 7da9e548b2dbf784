-- From where each account logs in, and what of it its owner is still to be told.

CREATE TABLE place (
    account_id INTEGER NOT NULL,
    network TEXT NOT NULL, -- /24 or /48
    credential_id TEXT NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, -- of its last day there, when that day began to count
    days INTEGER NOT NULL,
    client TEXT NOT NULL,
    service TEXT NOT NULL,
    mechanism TEXT NOT NULL,
    tls TEXT NOT NULL,
    is_untold INTEGER NOT NULL,
    PRIMARY KEY (account_id, network, credential_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX place_untold ON place (first_us) WHERE is_untold;
CREATE INDEX place_by_use ON place (last_us);
