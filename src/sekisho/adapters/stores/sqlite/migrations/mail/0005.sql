-- Credentials besides the account's own password, and when an account ends.
ALTER TABLE account ADD COLUMN expires_at_us INTEGER NOT NULL DEFAULT 0;

CREATE TABLE credential (
    account_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL, -- account, app, service, token, certificate
    label TEXT NOT NULL,
    scopes TEXT NOT NULL, -- separated by spaces; likewise networks
    networks TEXT NOT NULL,
    sender TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at_us INTEGER NOT NULL,
    disabled_at_us INTEGER NOT NULL,
    last_used_at_us INTEGER NOT NULL,
    last_used_from TEXT NOT NULL,
    digest BLOB NOT NULL,
    scram_sha256 TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credential_by_label ON credential (account_id, label) WHERE label <> '';
CREATE INDEX credential_expiry ON credential (expires_at_us) WHERE expires_at_us > 0;
CREATE INDEX account_expiry ON account (expires_at_us) WHERE expires_at_us > 0;

CREATE TABLE second_factor (
    account_id INTEGER NOT NULL PRIMARY KEY,
    secret BLOB NOT NULL,
    confirmed_at_us INTEGER NOT NULL, -- 0: not yet
    last_step INTEGER NOT NULL
) STRICT;

-- Keys of the server for hashes of secrets and for salts of users who do not exist.
CREATE TABLE server_key (
    purpose TEXT NOT NULL PRIMARY KEY,
    octets BLOB NOT NULL
) STRICT, WITHOUT ROWID;
