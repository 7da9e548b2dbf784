-- Who called which message junk, or not junk: none counts twice.

CREATE TABLE judgement (
    account_id INTEGER NOT NULL,
    content_id TEXT NOT NULL,
    is_junk INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, content_id, is_junk)
) STRICT, WITHOUT ROWID;
CREATE INDEX judgement_by_time ON judgement (at_us);
