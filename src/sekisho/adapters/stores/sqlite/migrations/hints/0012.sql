-- Reports that others sent about our domains; `body` is JSON of what one says.
CREATE TABLE report (
    kind TEXT NOT NULL, -- dmarc, tls, failure, complaint
    domain TEXT NOT NULL,
    reporter TEXT NOT NULL,
    report_id TEXT NOT NULL,
    begins_s INTEGER NOT NULL,
    ends_s INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    proven INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, domain, reporter, report_id)
) STRICT;
CREATE INDEX report_by_time ON report (kind, received_us);

-- Mail of strangers by policy domain and day (UTC), for DMARC reports of ours. JSON but for numbers and names.
CREATE TABLE dmarc_day (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    policy TEXT NOT NULL,
    rua TEXT NOT NULL,
    PRIMARY KEY (day, domain)
) STRICT, WITHOUT ROWID;
CREATE TABLE dmarc_row (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    said TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (day, domain, said)
) STRICT, WITHOUT ROWID;

-- Reports of ours.
CREATE TABLE report_sent (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    destination TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sent_us INTEGER NOT NULL,
    PRIMARY KEY (day, domain, destination)
) STRICT;
CREATE INDEX report_sent_by_destination ON report_sent (destination, sent_us);
