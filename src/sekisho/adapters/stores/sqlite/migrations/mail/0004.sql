-- Whose addresses an account may send with besides its own: an address, or "@domain" for all of a domain.
CREATE TABLE sender_right (
    account_id INTEGER NOT NULL,
    sender TEXT NOT NULL,
    PRIMARY KEY (account_id, sender)
) STRICT, WITHOUT ROWID;
