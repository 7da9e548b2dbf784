-- Recovery codes of the second factor: hashes of 32 octets, one behind the other.
ALTER TABLE second_factor ADD COLUMN recovery BLOB NOT NULL DEFAULT x'';
