-- What the relay knows of the TLS of other mail hosts.
CREATE TABLE sts_policy (
    domain TEXT NOT NULL PRIMARY KEY,
    policy_id TEXT NOT NULL,
    octets BLOB NOT NULL, -- the policy as it was fetched; empty: none yet
    expires_at_us INTEGER NOT NULL,
    tried_at_us INTEGER NOT NULL,
    used_at_us INTEGER NOT NULL,
    failure TEXT NOT NULL,
    refresh_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sts_policy_by_refresh ON sts_policy (refresh_at_us);
CREATE INDEX sts_policy_by_end ON sts_policy (expires_at_us);

CREATE TABLE known_host (
    host TEXT NOT NULL PRIMARY KEY,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, -- of the last day with TLS, when that day began to count
    days INTEGER NOT NULL,
    version TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX known_host_by_use ON known_host (last_us);

-- Sessions by policy and day (UTC), for TLS reports. Lists are JSON; result_type '' is success.
CREATE TABLE hop_session (
    day INTEGER NOT NULL,
    policy_domain TEXT NOT NULL,
    policy_type TEXT NOT NULL,
    policy_string TEXT NOT NULL,
    mx_host TEXT NOT NULL,
    result_type TEXT NOT NULL,
    sending_mta_ip TEXT NOT NULL,
    receiving_mx_hostname TEXT NOT NULL,
    receiving_ip TEXT NOT NULL,
    reason TEXT NOT NULL,
    sessions INTEGER NOT NULL,
    PRIMARY KEY (
        day, policy_domain, policy_type, policy_string, mx_host,
        result_type, sending_mta_ip, receiving_mx_hostname, receiving_ip, reason
    )
) STRICT, WITHOUT ROWID;
