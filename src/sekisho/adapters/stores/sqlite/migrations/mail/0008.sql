-- Sieve scripts of accounts.
CREATE TABLE sieve_script (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    changed_at_us INTEGER NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT;
CREATE UNIQUE INDEX sieve_script_active ON sieve_script (account_id) WHERE is_active;
