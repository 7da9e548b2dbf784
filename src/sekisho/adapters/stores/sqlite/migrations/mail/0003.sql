-- The watch over hijacked accounts.
CREATE TABLE guard_account (
    account_id INTEGER NOT NULL PRIMARY KEY,
    bulk INTEGER NOT NULL, -- may send newsletters
    recovery_address TEXT NOT NULL, -- '' without
    state BLOB NOT NULL -- profile and budgets (core.policy.takeover.state), '' at first
) STRICT;

CREATE TABLE guard_case (
    id INTEGER NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL,
    credential_id TEXT NOT NULL,
    action TEXT NOT NULL, -- hold, freeze
    opened_at_us INTEGER NOT NULL,
    since_us INTEGER NOT NULL,
    score INTEGER NOT NULL,
    reasons TEXT NOT NULL, -- JSON
    announced_at_us INTEGER NOT NULL,
    frozen_at_us INTEGER NOT NULL,
    closed_at_us INTEGER NOT NULL, -- 0: open
    ending TEXT NOT NULL, -- released, purged, forgiven
    done TEXT NOT NULL -- JSON
) STRICT;
CREATE UNIQUE INDEX guard_case_open ON guard_case (account_id, credential_id) WHERE closed_at_us = 0;
CREATE INDEX guard_case_by_account ON guard_case (account_id, opened_at_us);

-- Whom an account wrote to, by a 63-bit hash.
CREATE TABLE guard_known (
    account_id INTEGER NOT NULL,
    key INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX guard_known_by_key ON guard_known (key, first_us);

-- Which credential submitted a message.
CREATE TABLE guard_sent (
    message_id TEXT NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL,
    credential_id TEXT NOT NULL,
    accepted_at_us INTEGER NOT NULL,
    case_id INTEGER NOT NULL, -- that holds it, or 0
    score INTEGER NOT NULL,
    network TEXT NOT NULL,
    client TEXT NOT NULL,
    strangers INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX guard_sent_by_account ON guard_sent (account_id, accepted_at_us);
CREATE INDEX guard_sent_held ON guard_sent (case_id) WHERE case_id <> 0;

-- Who had it.
CREATE TABLE guard_left (
    account_id INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    address TEXT NOT NULL,
    result TEXT NOT NULL, -- delivered, failed
    PRIMARY KEY (account_id, at_us, message_id, address)
) STRICT, WITHOUT ROWID;
