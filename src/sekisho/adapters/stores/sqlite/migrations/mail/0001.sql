-- mail.db: who exists, mailboxes, queue. Times are µs since 1970; ids are made by the application; names are folded by it.

CREATE TABLE domain (
    name TEXT NOT NULL PRIMARY KEY, -- lower-case A-labels
    created_at_us INTEGER NOT NULL,
    subaddress_separators TEXT NOT NULL,
    catch_all TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id INTEGER NOT NULL PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    state TEXT NOT NULL,
    display_name TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    deleted_at_us INTEGER NOT NULL,
    credential_version INTEGER NOT NULL,
    argon2 TEXT NOT NULL,
    scram_sha256 TEXT NOT NULL,
    last_uidvalidity INTEGER NOT NULL
) STRICT;
CREATE INDEX account_by_domain ON account (domain, address);

-- Apart from account: it changes with every message.
CREATE TABLE account_usage (
    account_id INTEGER NOT NULL PRIMARY KEY,
    used_octets INTEGER NOT NULL,
    quota_octets INTEGER NOT NULL -- 0: none
) STRICT;

CREATE TABLE alias (
    address TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    may_send INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_by_domain ON alias (domain);

CREATE TABLE alias_target (
    address TEXT NOT NULL,
    position INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (address, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_by_target ON alias_target (target);

-- What was received, once; shared by every copy and by the queue.
CREATE TABLE content (
    id INTEGER NOT NULL PRIMARY KEY,
    refs INTEGER NOT NULL, -- emails and queued messages
    codec INTEGER NOT NULL, -- 0: plain
    size_octets INTEGER NOT NULL,
    file TEXT, -- name below content/, or NULL when the octets are here
    octets BLOB
) STRICT;
CREATE UNIQUE INDEX content_by_file ON content (file) WHERE file IS NOT NULL;

-- Prefix and content: what EMAILID names (RFC 8474 §5.1). Copies share it.
CREATE TABLE email (
    id INTEGER NOT NULL PRIMARY KEY,
    content_id INTEGER NOT NULL,
    refs INTEGER NOT NULL, -- messages
    prefix BLOB NOT NULL
) STRICT;

CREATE TABLE mailbox (
    id INTEGER NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL, -- the owner
    name TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL,
    tail_uid INTEGER NOT NULL, -- tail_uid … uidnext-1 are all there; the UIDs before it are in uid_chunk
    highestmodseq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size_octets INTEGER NOT NULL,
    first_recent_uid INTEGER NOT NULL,
    keywords TEXT NOT NULL, -- separated by spaces
    special_use TEXT,
    mailbox_id TEXT NOT NULL, -- RFC 8474 §4
    UNIQUE (account_id, name)
) STRICT;

-- UIDVALIDITY of names that are gone: a new mailbox of that name must have a greater one.
CREATE TABLE mailbox_past (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    keywords TEXT NOT NULL, -- sorted, separated by spaces
    internal_date_us INTEGER NOT NULL,
    internal_offset_minutes INTEGER NOT NULL,
    save_date_us INTEGER NOT NULL,
    size_octets INTEGER NOT NULL, -- prefix and content
    prefix_octets INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    email_id INTEGER NOT NULL,
    thread_id INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_modseq ON message (mailbox_id, modseq);
CREATE INDEX message_unseen ON message (mailbox_id, uid) WHERE (flags & 8) = 0;
CREATE INDEX message_deleted ON message (mailbox_id, uid) WHERE (flags & 4) = 4;

-- The UIDs before mailbox.tail_uid as runs, a bounded number of them in each row.
CREATE TABLE uid_chunk (
    mailbox_id INTEGER NOT NULL,
    first_uid INTEGER NOT NULL,
    runs BLOB NOT NULL, -- pairs of big-endian 32-bit numbers: first, last
    PRIMARY KEY (mailbox_id, first_uid)
) STRICT, WITHOUT ROWID;

-- What was expunged, for QRESYNC (RFC 7162 §3.2.7).
CREATE TABLE tombstone (
    mailbox_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    first_uid INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, modseq, first_uid)
) STRICT, WITHOUT ROWID;

-- Which thread of an account a message-id belongs to. The key is a 64-bit hash.
CREATE TABLE thread_ref (
    account_id INTEGER NOT NULL,
    key INTEGER NOT NULL,
    thread_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

-- What was delivered: remembered although the message may be expunged.
CREATE TABLE delivery (
    delivery_id TEXT NOT NULL PRIMARY KEY,
    forget_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE queue_message (
    message_id TEXT NOT NULL PRIMARY KEY,
    content_id INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    size_octets INTEGER NOT NULL,
    arrived_at_us INTEGER NOT NULL,
    origin TEXT NOT NULL,
    account_id INTEGER,
    envelope TEXT NOT NULL -- JSON, without recipients
) STRICT;
CREATE INDEX queue_message_by_arrival ON queue_message (arrived_at_us, message_id);

CREATE TABLE queue_recipient (
    id INTEGER NOT NULL PRIMARY KEY,
    message_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    next_hop TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    owner TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    delay_notified INTEGER NOT NULL,
    last_reply TEXT NOT NULL,
    last_attempt_at_us INTEGER NOT NULL,
    recipient TEXT NOT NULL -- JSON
) STRICT;
CREATE UNIQUE INDEX queue_recipient_by_message ON queue_recipient (message_id, position);
CREATE INDEX queue_recipient_due ON queue_recipient (next_hop, due_at_us) WHERE state = 'waiting';
CREATE INDEX queue_recipient_by_owner ON queue_recipient (owner) WHERE state = 'claimed';

-- One row per next hop that has waiting recipients or a back-off. Claims look only here.
CREATE TABLE destination (
    next_hop TEXT NOT NULL PRIMARY KEY,
    ready_at_us INTEGER, -- earliest due of a waiting recipient, but not before not_before_us; NULL when none waits
    not_before_us INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    last_error TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX destination_ready ON destination (ready_at_us) WHERE ready_at_us IS NOT NULL;
