"""The shape of sekisho.toml, and so of docs/operating/configuration.md. Durations: seconds; sizes: octets."""

from typing import Annotated, Literal

from pydantic import Field, IPvAnyAddress, IPvAnyNetwork

from sekisho.config.authsocket import AuthSocketSettings
from sekisho.config.blocklists import BlocklistSettings
from sekisho.config.content import ContentSettings
from sekisho.config.greylist import GreylistSettings
from sekisho.config.guard import GuardSettings
from sekisho.config.issuers import IssuerSettings
from sekisho.config.ledger import LedgerSettings
from sekisho.config.rates import RateSettings
from sekisho.config.relaytls import RelayTlsSettings
from sekisho.config.reports import ReportSettings
from sekisho.config.reputation import ReputationSettings
from sekisho.config.ruled import of_rule
from sekisho.config.section import AT_START, LocalPath, Octets, Port, Seconds, SettingsSection
from sekisho.config.shaping import ShapingSettings
from sekisho.config.sieve import SieveSettings
from sekisho.core.policy.door.author import ARC_TRUSTED, DMARC, IMPERSONATED, OWN_DOMAIN, SHOWN, UNREADABLE
from sekisho.core.policy.door.connection import EARLY_TALKER, HELO_FORGED
from sekisho.core.policy.door.stranger import DNSBL, FORWARDING, SENDER
from sekisho.core.policy.mode import Mode

ListenerKind = Literal["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve"]


class ListenerSettings(SettingsSection):
    kind: Annotated[ListenerKind, AT_START] = Field(description="Protocol that this listener speaks.")
    address: Annotated[IPvAnyAddress, AT_START] = Field(description="IP address to listen on.")
    port: Annotated[Port, AT_START] = Field(description="TCP port; 0: the system chooses a free one.")
    name: Annotated[str, AT_START] = Field(
        "", description="Name of the listener in logs and metrics; default: its kind."
    )
    client_ca: LocalPath | None = Field(
        None,
        description="PEM file of the authorities whose client certificates may log in (EXTERNAL); only for "
        "listeners where TLS begins at once.",
    )
    proxy_from: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Networks of proxies, which must send a PROXY protocol v2 header; empty: no client may "
        "send one.",
    )


class Certificate(SettingsSection):
    cert_file: LocalPath = Field(
        description="PEM file of the certificate chain, the server's own certificate first."
    )
    key_file: LocalPath = Field(description="PEM file of the private key.")
    names: tuple[str, ...] = Field(
        (),
        description="Host names (SNI) for which this certificate is shown; empty: those in the certificate. "
        "The first certificate is the default.",
    )


class ResolverSettings(SettingsSection):
    servers: tuple[str, ...] = Field(
        (), description='DNS resolvers as "address" or "address:port"; empty: those of /etc/resolv.conf.'
    )
    timeout_seconds: Seconds = Field(
        5.0, description="How long to wait for the answer to one try of a DNS question."
    )
    tries: Annotated[int, Field(ge=1, le=10)] = Field(
        3, description="Most tries of one DNS question, over all resolvers together."
    )
    cache_entries: Annotated[int, Field(ge=0)] = Field(
        50_000, description="Most DNS answers that each worker keeps in its cache."
    )
    trust_ad: bool | None = Field(
        None,
        description="Trust the AD bit (answers that DNSSEC proved); default: only if the resolver is on a "
        "loopback address.",
    )


class Limits(SettingsSection):
    message_octets: Octets = Field(
        52_428_800, description="Largest message that is accepted; announced as SIZE."
    )
    recipients: Annotated[int, Field(ge=100)] = Field(
        1000, description="Most recipients of one transaction (RFC 5321 §4.5.3.1.8: at least 100)."
    )
    header_octets: Octets = Field(1_048_576, description="Largest header section of a message.")
    header_fields: Annotated[int, Field(ge=100)] = Field(1000, description="Most header fields of a message.")
    received_fields: Annotated[int, Field(ge=10)] = Field(
        100, description="Number of Received fields from which a message counts as being in a loop."
    )
    connections: Annotated[int, Field(ge=1)] = Field(
        4000, description="Most open connections per kind of listener, over all workers."
    )
    connections_per_ip: Annotated[int, Field(ge=1)] = Field(
        50, description="Most open connections of one client address (IPv6: of its /64)."
    )
    kept_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1,
        description="Share of the connections that is kept free for people who log in; connections of "
        "others are ended to make room.",
    )
    stress_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.6,
        description="Share of the connections (or of the file descriptors for them) from which the server "
        "counts as under stress.",
    )
    stress_seconds: Seconds = Field(
        20.0,
        description="How long a connection of somebody unknown may make no progress while the server is "
        "under stress.",
    )
    errors_per_session: Annotated[int, Field(ge=1)] = Field(
        10, description="Number of protocol errors after which a session is ended with 421."
    )
    transactions_per_session: Annotated[int, Field(ge=1)] = Field(
        1000, description="Most MAIL commands of one session."
    )
    free_disk_octets: Octets = Field(
        268_435_456, description="Free disk space below which mail is deferred with 452."
    )
    mailboxes_per_account: Annotated[int, Field(ge=10)] = Field(
        10_000, description="Most mailboxes of one account."
    )


class ReceptionSettings(SettingsSection):
    command_timeout_seconds: Seconds = Field(
        300.0, description="How long to wait for a whole command (RFC 5321 §4.5.3.2.7: at least 5 minutes)."
    )
    data_timeout_seconds: Seconds = Field(
        180.0, description="How long to wait for the next part of a message."
    )
    data_octets_per_second: Annotated[float, Field(ge=0)] = Field(
        100.0,
        description="Slowest average speed at which a message may arrive, measured after a start-up time; "
        "0: no limit.",
    )
    session_timeout_seconds: Seconds = Field(3600.0, description="How long one connection may last.")
    text_line_octets: Octets = Field(
        0,
        description="Longest line of a message; 0: any length. RFC 5321 allows 998, but much real mail has "
        "longer lines; lines are never folded.",
    )
    loose_dot_domains: tuple[str, ...] = Field(
        ("docomo.ne.jp", "ezweb.ne.jp", "au.com"),
        description="Domains whose addresses may have '..' or a dot at the end of the local part without "
        "quotes.",
    )


class DoorSettings(SettingsSection):
    dmarc: Mode = of_rule(DMARC)
    own_domains: Mode = of_rule(OWN_DOMAIN)
    unreadable_from: Literal["refuse", "junk", "observe", "off"] = of_rule(UNREADABLE)
    shown_authors: Mode = of_rule(SHOWN)
    sender_domain: Literal["defer", "refuse", "observe", "off"] = of_rule(SENDER)
    on_temperror: Literal["accept", "defer"] = Field(
        "accept", description="What to do with a message when the DNS does not say whether DMARC passes."
    )
    early_talkers: Mode = of_rule(EARLY_TALKER)
    greet_delay_seconds: Annotated[float, Field(ge=0, le=10)] = Field(
        1.0,
        description="How long the greeting is delayed for unknown clients without a verified reverse name, "
        "to catch those that send early; 0: no delay.",
    )
    helo_forged: Mode = of_rule(HELO_FORGED)
    rates: RateSettings = RateSettings()
    impersonation: Mode = of_rule(IMPERSONATED)
    forwarding: Mode = of_rule(FORWARDING)
    trusted_sealers: tuple[str, ...] = of_rule(ARC_TRUSTED)
    unchecked_networks: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Networks of clients whose mail is not checked: backup MX hosts and machines of "
        "your own.",
    )
    dnsbl: Mode = of_rule(DNSBL)
    blocklists: tuple[BlocklistSettings, ...] = Field(
        (), description="DNS blocklists; each is asked only if its terms are accepted."
    )
    blocklist_weight: Annotated[float, Field(gt=0)] = Field(
        2.0, description="Sum of weights from which mail is refused."
    )
    blocklist_count: Annotated[int, Field(ge=2, le=20)] = Field(
        2,
        description="Number of lists that must agree before mail is refused; a bad reputation of the "
        "client here counts as one.",
    )


class SubmissionSettings(SettingsSection):
    command_timeout_seconds: Seconds = Field(300.0, description="How long to wait for a whole command.")
    data_timeout_seconds: Seconds = Field(
        180.0, description="How long to wait for the next part of a message."
    )
    data_octets_per_second: Annotated[float, Field(ge=0)] = Field(
        100.0,
        description="Slowest average speed at which a message may arrive, measured after a start-up time; "
        "0: no limit.",
    )
    session_timeout_seconds: Seconds = Field(3600.0, description="How long one connection may last.")
    login_timeout_seconds: Seconds = Field(
        60.0, description="How long a client has to log in after it connected."
    )
    hide_client_address: bool = Field(
        True, description="Leave the IP address of the client out of the Received field."
    )
    local_socket: Annotated[LocalPath | None, AT_START] = Field(
        None,
        description="Unix socket on which sendmail(1) hands mail in; default: DATA_DIR/run/submission.sock.",
    )
    local_users: dict[str, str] = Field(
        default_factory=dict,
        description='Which account each system user (name or uid) sends as; "*" stands for all others.',
    )


class RelaySettings(SettingsSection):
    port: Port = Field(25, description="Port of the next hop; anything but 25 is for tests only.")
    source_ipv4: IPvAnyAddress | None = Field(
        None, description="Own IPv4 address that outgoing connections come from."
    )
    source_ipv6: IPvAnyAddress | None = Field(
        None, description="Own IPv6 address that outgoing connections come from."
    )
    ipv6: bool = Field(True, description="Deliver to next hops over IPv6 too.")
    connect_timeout_seconds: Seconds = Field(
        30.0, description="How long to wait for a connection to be made."
    )
    greeting_timeout_seconds: Seconds = Field(
        300.0, description="How long to wait for the greeting (RFC 5321 §4.5.3.2.1)."
    )
    command_timeout_seconds: Seconds = Field(
        300.0, description="How long to wait for the reply to a command (RFC 5321 §4.5.3.2.2–3)."
    )
    data_timeout_seconds: Seconds = Field(
        180.0,
        description="How long to wait until the other side takes more of a message (RFC 5321 §4.5.3.2.5).",
    )
    final_timeout_seconds: Seconds = Field(
        600.0, description="How long to wait for the reply to a whole message (RFC 5321 §4.5.3.2.6)."
    )
    connections_per_next_hop: Annotated[int, Field(ge=1)] = Field(
        5, description="Most connections to one next hop at the same time, per worker."
    )
    messages_per_connection: Annotated[int, Field(ge=1)] = Field(
        100, description="Messages sent over one connection before a new one is made."
    )
    concurrency: Annotated[int, Field(ge=1)] = Field(
        100, description="Most delivery attempts at the same time, per worker."
    )
    routes: dict[str, str] = Field(
        default_factory=dict,
        description='Next hop ("host:port") for the domain of a recipient, instead of its MX hosts; "*" '
        "stands for all other domains.",
    )
    tls: RelayTlsSettings = RelayTlsSettings()


class QueueSettings(SettingsSection):
    retry_seconds: tuple[Seconds, ...] = Field(
        (300.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0),
        description="Waits between delivery attempts; the last one is repeated (RFC 5321 §4.5.4.1).",
    )
    retry_jitter: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.2, description="Share by which each wait is varied at random."
    )
    lifetime_seconds: Seconds = Field(
        432_000.0,
        description="How long delivery is tried; after that the sender gets a notice (RFC 5321 §4.5.4.1: "
        "4–5 days).",
    )
    notice_lifetime_seconds: Seconds = Field(
        172_800.0, description="How long delivery of the server's own notices is tried."
    )
    delay_notice_seconds: Seconds = Field(
        14_400.0,
        description="How long after its acceptance the sender of a waiting message is told of the delay.",
    )


class AccessSettings(SettingsSection):
    login_timeout_seconds: Seconds = Field(
        60.0, description="How long a client has to log in after it connected."
    )
    idle_timeout_seconds: Seconds = Field(
        1860.0,
        description="How long an IMAP client may be idle before it is logged out (RFC 9051 §5.4: at least "
        "30 minutes).",
    )
    pop3_idle_timeout_seconds: Seconds = Field(
        600.0,
        description="How long a POP3 client may be idle before it is logged out (RFC 1939 §3: at least 10 "
        "minutes).",
    )
    sieve_idle_timeout_seconds: Seconds = Field(
        1860.0,
        description="How long a ManageSieve client may be idle before it is logged out (RFC 5804 "
        "§1.2: at least 30 minutes).",
    )
    append_octets: Octets = Field(
        104_857_600, description="Largest message that a mail program may store (APPEND)."
    )


class LoginSettings(SettingsSection):
    failure_seconds: Seconds = Field(
        2.0, description="How long after its beginning a failed login is answered, whatever its cause."
    )
    failures_per_connection: Annotated[int, Field(ge=1)] = Field(
        3, description="Number of failed logins after which a connection is closed."
    )
    failures_per_network: Annotated[int, Field(ge=1)] = Field(
        30, description="Number of failed logins within the window after which a network is banned."
    )
    failures_per_account_and_network: Annotated[int, Field(ge=1)] = Field(
        10,
        description="Number of failed logins to one account after which a network is banned from that "
        "account.",
    )
    unknown_accounts_per_network: Annotated[int, Field(ge=1)] = Field(
        6, description="Unknown account names one network may try before it is banned; each name counts once."
    )
    failures_per_wide_network: Annotated[int, Field(ge=1)] = Field(
        300,
        description="Failed logins in a /16 (IPv6: /48) after which a network in it keeps a tenth of its "
        "tries at accounts that never logged in from there; four times as many leave it none.",
    )
    strange_failures_per_account: Annotated[int, Field(ge=1)] = Field(
        50,
        description="Failed logins to one account from networks that it never logged in from, after which "
        "each such network keeps a fifth of its tries.",
    )
    sprayed_accounts: Annotated[int, Field(ge=0)] = Field(
        8,
        description="Number of accounts at which one password may fail before it is refused from networks "
        "that are new to an account; 0: no limit.",
    )
    window_seconds: Annotated[int, Field(ge=1)] = Field(
        900, description="Window in which these failures are counted."
    )
    ban_seconds: Annotated[int, Field(ge=1)] = Field(
        900,
        description="How long a network is banned; twice as long for each further ban within a week.",
    )
    longest_ban_seconds: Annotated[int, Field(ge=1)] = Field(
        86_400, description="Longest time for which a network is banned."
    )
    notices_per_day: Annotated[int, Field(ge=0)] = Field(
        3, description="Most letters a day to one account about logins from new places; 0: none."
    )
    cache_seconds: Annotated[float, Field(ge=0)] = Field(
        300.0,
        description="How long a verified login is remembered, which saves checking its password again; 0: "
        "not at all.",
    )
    hashing_threads: Annotated[int, Field(ge=1)] = Field(
        2, description="Passwords that each worker checks at the same time (Argon2id, 19 MiB each)."
    )
    scram: bool = Field(
        True,
        description="Offer SCRAM-SHA-256. Switch it off while imported accounts still have no SCRAM keys.",
    )
    channel_binding: Literal["off", "tls-server-end-point"] = Field(
        "off",
        description="Offer SCRAM-SHA-256-PLUS, bound to the certificate. Only if no client insists on "
        "another kind of channel binding.",
    )
    breached_passwords: LocalPath | None = Field(
        None,
        description='File of leaked passwords that may not be used: sorted lines of SHA-1:COUNT, as "Have I '
        'Been Pwned" publishes them.',
    )
    issuers: tuple[IssuerSettings, ...] = ()


class MetricsSettings(SettingsSection):
    address: Annotated[IPvAnyAddress, AT_START] = Field(
        default="127.0.0.1",
        validate_default=True,
        description="Loopback address on which the metrics are served.",
    )
    port: Annotated[Port | None, AT_START] = Field(
        None, description="Port of the metrics; absent: they are not served."
    )


class LogSettings(SettingsSection):
    format: Literal["json", "text"] = Field(
        "json", description="Write each entry as a JSON object or as a readable line."
    )
    file: LocalPath | None = Field(
        None, description="File to which the log is appended; absent: standard error."
    )


class RoleOwners(SettingsSection):
    """Who reads mail to the role addresses of RFC 2142 in domains that have no account or alias of that
    name."""

    postmaster: str = Field(
        description="Address of the local account that reads the mail to postmaster@ of every domain."
    )
    abuse: str = Field(
        description="Address of the local account that reads the mail to abuse@ of every domain."
    )


class Config(SettingsSection):
    hostname: str = Field(
        description="Host name of the server in the greeting, EHLO and Received; it should resolve to this "
        "machine."
    )
    data_dir: Annotated[LocalPath, AT_START] = Field(
        description="Folder for mail, queue, databases and sockets."
    )
    user: Annotated[str | None, AT_START] = Field(
        None, description="System user that the workers run as when the server is started as root."
    )
    workers: Annotated[int, Field(ge=0, le=64), AT_START] = Field(
        0, description="Number of worker processes; 0: one per core."
    )
    worker_heartbeat_seconds: Annotated[float, Field(ge=1), AT_START] = Field(
        20.0, description="How long a worker may be unresponsive before it is replaced."
    )
    language: Literal["en", "ja"] = Field(
        "en", description="Language of the notices and letters that the server writes."
    )
    event_loop: Annotated[Literal["uvloop", "asyncio"], AT_START] = Field(
        "uvloop", description="Event loop of Python; both work, uvloop is faster."
    )
    roles: RoleOwners
    listeners: tuple[ListenerSettings, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    resolver: ResolverSettings = ResolverSettings()
    limits: Limits = Limits()
    reception: ReceptionSettings = ReceptionSettings()
    door: DoorSettings = DoorSettings()
    greylist: GreylistSettings = GreylistSettings()
    shaping: ShapingSettings = ShapingSettings()
    reputation: ReputationSettings = ReputationSettings()
    content: ContentSettings = ContentSettings()
    sieve: SieveSettings = SieveSettings()
    submission: SubmissionSettings = SubmissionSettings()
    guard: GuardSettings = GuardSettings()
    relay: RelaySettings = RelaySettings()
    queue: QueueSettings = QueueSettings()
    reports: ReportSettings = ReportSettings()
    access: AccessSettings = AccessSettings()
    login: LoginSettings = LoginSettings()
    auth_socket: AuthSocketSettings = AuthSocketSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    ledger: LedgerSettings = LedgerSettings()
