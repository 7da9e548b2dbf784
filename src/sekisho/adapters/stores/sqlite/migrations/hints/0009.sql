-- What Sieve scripts remember: who was answered, which messages came before.
CREATE TABLE remembered (key BLOB PRIMARY KEY, forget_at_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX remembered_by_end ON remembered (forget_at_us);
