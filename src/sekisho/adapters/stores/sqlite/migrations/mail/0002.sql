-- Keys that outgoing mail is signed with.
CREATE TABLE dkim_key (
    domain TEXT NOT NULL,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL, -- next, active, retired
    private_pem BLOB NOT NULL,
    created_at_us INTEGER NOT NULL,
    changed_at_us INTEGER NOT NULL,
    PRIMARY KEY (domain, selector)
) STRICT, WITHOUT ROWID;
