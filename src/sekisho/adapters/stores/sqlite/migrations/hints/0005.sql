-- Whoever waits for mail may say from whom. What was waited for before is over in minutes.

DROP TABLE expected;
CREATE TABLE expected (
    account_id INTEGER NOT NULL,
    sender TEXT NOT NULL, -- '' anybody, an address, or '@domain'
    until_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, sender)
) STRICT, WITHOUT ROWID;
