-- How each provider is treated, for each address that mail is sent from: its pace, and its budget while it is new.
CREATE TABLE shape (
    source TEXT NOT NULL,
    grp TEXT NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (source, grp)
) STRICT, WITHOUT ROWID;

-- A server that ran before budgets were kept is established: it is not warmed up unasked.
CREATE TABLE shaping_mark (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO shaping_mark (name) SELECT 'established' WHERE EXISTS (SELECT 1 FROM lease);
