"""The shape of sekisho.toml. Services take these as their settings. Durations are seconds, sizes octets.

Every field says in one sentence what it does: `docs/operating/configuration.md` is generated from here.
"""

from typing import Annotated, Literal

from pydantic import Field, IPvAnyAddress, IPvAnyNetwork

from sekisho.config.blocklists import BlocklistSettings
from sekisho.config.content import ContentSettings
from sekisho.config.greylist import GreylistSettings
from sekisho.config.guard import GuardSettings
from sekisho.config.issuers import IssuerSettings
from sekisho.config.ledger import LedgerSettings
from sekisho.config.rates import RateSettings
from sekisho.config.reputation import ReputationSettings
from sekisho.config.section import AT_START, LocalPath, Octets, Port, Seconds, Section
from sekisho.config.sieve import SieveSettings
from sekisho.core.policy.mode import Mode

ListenerKind = Literal["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve"]


class Listener(Section):
    kind: Annotated[ListenerKind, AT_START] = Field(description="What is spoken there.")
    address: Annotated[IPvAnyAddress, AT_START] = Field(description="IP address to bind.")
    port: Annotated[Port, AT_START] = Field(description="TCP port; 0 lets the system choose.")
    name: Annotated[str, AT_START] = Field("", description="Name in logs and metrics; default: the kind.")
    client_ca: LocalPath | None = Field(
        None, description="PEM file of authorities whose client certificates open accounts (EXTERNAL); only where TLS begins at once."
    )
    proxy_from: tuple[IPvAnyNetwork, ...] = Field((), description="Networks that must send a PROXY protocol v2 header; empty: nobody may.")


class Certificate(Section):
    cert_file: LocalPath = Field(description="PEM chain, leaf first.")
    key_file: LocalPath = Field(description="PEM private key.")
    names: tuple[str, ...] = Field(
        (), description="SNI names it serves; empty: those in the certificate. The first certificate is the default."
    )


class ResolverSettings(Section):
    servers: tuple[str, ...] = Field((), description='Resolvers as "address" or "address:port"; empty: those of /etc/resolv.conf.')
    timeout_seconds: Seconds = Field(5.0, description="For one try of one question.")
    tries: Annotated[int, Field(ge=1, le=10)] = Field(3, description="Tries over all servers.")
    cache_entries: Annotated[int, Field(ge=0)] = Field(50_000, description="Answers kept per worker.")
    trust_ad: bool | None = Field(None, description="Believe the AD bit; default: only from loopback resolvers.")


class Limits(Section):
    message_octets: Octets = Field(52_428_800, description="Largest message accepted; told in SIZE.")
    recipients: Annotated[int, Field(ge=100)] = Field(
        1000, description="Recipients of one transaction (RFC 5321 §4.5.3.1.8 wants at least 100)."
    )
    header_octets: Octets = Field(1_048_576, description="Largest header section.")
    header_fields: Annotated[int, Field(ge=100)] = Field(1000, description="Fields in a header section.")
    received_fields: Annotated[int, Field(ge=10)] = Field(100, description="Received fields before a message counts as looping.")
    connections: Annotated[int, Field(ge=1)] = Field(4000, description="Open connections per listener kind, over all workers.")
    connections_per_ip: Annotated[int, Field(ge=1)] = Field(50, description="The same for one client address (/64 for IPv6).")
    kept_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="Share of the connections that is left for people who log in; all others give way to them and to each other."
    )
    stress_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.6, description="From this share of the connections (or of the file descriptors for them) on, the server is under stress."
    )
    stress_seconds: Seconds = Field(20.0, description="Under stress a stranger's connection without headway ends after so long.")
    errors_per_session: Annotated[int, Field(ge=1)] = Field(10, description="Protocol errors before 421.")
    transactions_per_session: Annotated[int, Field(ge=1)] = Field(1000, description="MAIL commands in one session.")
    free_disk_octets: Octets = Field(268_435_456, description="Below this MAIL gets 452.")
    mailboxes_per_account: Annotated[int, Field(ge=10)] = Field(10_000, description="Mailboxes one account may have.")


class ReceptionSettings(Section):
    command_timeout_seconds: Seconds = Field(300.0, description="Waiting for a whole command (RFC 5321 §4.5.3.2.7: at least 5 minutes).")
    data_timeout_seconds: Seconds = Field(180.0, description="Waiting for more of a message.")
    data_octets_per_second: Annotated[float, Field(ge=0)] = Field(
        100.0, description="How fast a message must come on the whole, after the time for its first octets; 0: any speed."
    )
    session_timeout_seconds: Seconds = Field(3600.0, description="One connection in all.")
    text_line_octets: Octets = Field(
        0, description="Longest line of a message, 0 for any; RFC 5321 says 998, much real mail is longer, and lines are never folded."
    )
    loose_dot_domains: tuple[str, ...] = Field(
        ("docomo.ne.jp", "ezweb.ne.jp", "au.com"), description="Domains whose unquoted local parts may hold '..' or end in a dot."
    )


class DoorSettings(Section):
    dmarc: Mode = Field(
        "enforce", description="Refuse or put into Junk what fails DMARC, as its domain asks; observe: only write it down; off: do nothing."
    )
    own_domains: Mode = Field(
        "enforce",
        description="Refuse strangers who write in the name of a domain served here; observe: only write it down; off: do not look.",
    )
    unreadable_from: Literal["refuse", "junk", "observe", "off"] = Field(
        "refuse",
        description="What becomes of mail whose From is missing, doubled, unreadable or names too many domains; observe: only write it "
        "down; off: do not look.",
    )
    shown_authors: Mode = Field(
        "enforce",
        description="Mark mail whose From shows an address of a domain that nothing speaks for beside the author's, and put it into Junk; "
        "observe: only write it down; off: do nothing.",
    )
    sender_domain: Literal["defer", "refuse", "observe", "off"] = Field(
        "defer", description="What becomes of mail from a domain that does not exist; observe: only write it down; off: do not look."
    )
    on_temperror: Literal["accept", "defer"] = Field(
        "accept", description="What to do with a message when the DNS does not say whether DMARC passes."
    )
    early_talkers: Mode = Field(
        "enforce", description="Send clients away that speak before the greeting; observe: only write it down; off: do not look."
    )
    greet_delay_seconds: Annotated[float, Field(ge=0, le=10)] = Field(
        1.0,
        description="How long the greeting waits, to see who speaks early, for strangers without a verified reverse name only; 0: never.",
    )
    helo_forged: Mode = Field(
        "enforce",
        description="Refuse strangers who say EHLO with this server's name or domain; observe: only write it down; off: do nothing.",
    )
    rates: RateSettings = RateSettings()
    impersonation: Mode = Field(
        "enforce",
        description="Mark mail that shows a name of your people on a foreign address; observe: only write it down; off: do not look.",
    )
    forwarding: Mode = Field(
        "enforce",
        description="Refuse what SPF calls forged and an alias would only send elsewhere; observe: only write it down; off: send it on.",
    )
    trusted_sealers: tuple[str, ...] = Field(
        (), description="Domains whose ARC seals you believe: mailing lists and forwarders that change mail; d= of the seal, exactly."
    )
    unchecked_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Clients whose mail is not checked: backup MX hosts and machines of your own."
    )
    dnsbl: Mode = Field(
        "enforce",
        description="Turn clients away that blocklists agree on; observe: only write it down; off: do not ask them.",
    )
    blocklists: tuple[BlocklistSettings, ...] = Field((), description="DNS blocklists; each is asked only if its terms are accepted.")
    blocklist_weight: Annotated[float, Field(gt=0)] = Field(2.0, description="Sum of weights that turns a client away.")
    blocklist_count: Annotated[int, Field(ge=2, le=20)] = Field(
        2, description="How many lists must agree; bad experience of our own with the client counts as one."
    )


class SubmissionSettings(Section):
    command_timeout_seconds: Seconds = Field(300.0, description="Waiting for a whole command.")
    data_timeout_seconds: Seconds = Field(180.0, description="Waiting for more of a message.")
    data_octets_per_second: Annotated[float, Field(ge=0)] = Field(
        100.0, description="How fast a message must come on the whole, after the time for its first octets; 0: any speed."
    )
    session_timeout_seconds: Seconds = Field(3600.0, description="One connection in all.")
    login_timeout_seconds: Seconds = Field(60.0, description="From connection to login.")
    hide_client_address: bool = Field(True, description="Leave the client's address out of Received.")
    local_socket: Annotated[LocalPath | None, AT_START] = Field(
        None, description="Unix socket for sendmail(1); default: DATA_DIR/run/submission.sock."
    )
    local_users: dict[str, str] = Field(
        default_factory=dict, description='System user (name or uid) -> account address; "*" for all others.'
    )


class RelaySettings(Section):
    port: Port = Field(25, description="Port of the next hop; other than 25 only for tests.")
    source_ipv4: IPvAnyAddress | None = Field(None, description="Source address of outgoing IPv4 connections.")
    source_ipv6: IPvAnyAddress | None = Field(None, description="Source address of outgoing IPv6 connections.")
    ipv6: bool = Field(True, description="Use IPv6 next hops.")
    connect_timeout_seconds: Seconds = Field(30.0, description="For one TCP connection.")
    greeting_timeout_seconds: Seconds = Field(300.0, description="Waiting for the greeting (RFC 5321 §4.5.3.2.1).")
    command_timeout_seconds: Seconds = Field(300.0, description="Waiting for the reply to a command (RFC 5321 §4.5.3.2.2–3).")
    data_timeout_seconds: Seconds = Field(180.0, description="Waiting until the other side takes more of a message (RFC 5321 §4.5.3.2.5).")
    final_timeout_seconds: Seconds = Field(600.0, description="Waiting for the reply to a whole message (RFC 5321 §4.5.3.2.6).")
    connections_per_next_hop: Annotated[int, Field(ge=1)] = Field(5, description="Simultaneous connections to one next hop, per worker.")
    messages_per_connection: Annotated[int, Field(ge=1)] = Field(100, description="Then a new connection is made.")
    concurrency: Annotated[int, Field(ge=1)] = Field(100, description="Simultaneous attempts per worker.")
    routes: dict[str, str] = Field(default_factory=dict, description='Recipient domain -> "host:port" instead of MX; "*" for all others.')


class QueueSettings(Section):
    retry_seconds: tuple[Seconds, ...] = Field(
        (300.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0), description="Waits between attempts; the last one repeats (RFC 5321 §4.5.4.1)."
    )
    retry_jitter: Annotated[float, Field(ge=0, le=0.5)] = Field(0.2, description="Each wait varies by this part.")
    lifetime_seconds: Seconds = Field(432_000.0, description="Then the sender is told (RFC 5321 §4.5.4.1: 4–5 days).")
    notice_lifetime_seconds: Seconds = Field(172_800.0, description="The same for our own notices.")
    delay_notice_seconds: Seconds = Field(14_400.0, description="After this the sender hears of a delay.")


class AccessSettings(Section):
    login_timeout_seconds: Seconds = Field(60.0, description="From connection to login.")
    idle_timeout_seconds: Seconds = Field(1860.0, description="IMAP autologout (RFC 9051 §5.4: at least 30 minutes).")
    pop3_idle_timeout_seconds: Seconds = Field(600.0, description="POP3 autologout (RFC 1939 §3: at least 10 minutes).")
    sieve_idle_timeout_seconds: Seconds = Field(1860.0, description="ManageSieve autologout (RFC 5804 §1.2: at least 30 minutes).")
    append_octets: Octets = Field(104_857_600, description="Largest message by APPEND.")


class LoginSettings(Section):
    failure_seconds: Seconds = Field(2.0, description="When a failed login is answered, whatever its cause.")
    failures_per_connection: Annotated[int, Field(ge=1)] = Field(3, description="Then the connection is closed.")
    failures_per_network: Annotated[int, Field(ge=1)] = Field(
        30, description="Failed logins of one network within the window before it must wait."
    )
    failures_per_account_and_network: Annotated[int, Field(ge=1)] = Field(10, description="The same for one account from one network.")
    unknown_accounts_per_network: Annotated[int, Field(ge=1)] = Field(
        6, description="So many names that nobody has here, each counted once, end the tries of a network sooner."
    )
    failures_per_wide_network: Annotated[int, Field(ge=1)] = Field(
        300,
        description="So many in a /16 (IPv6: /48) leave the strange networks in it a tenth of their tries; four times as many leave none.",
    )
    strange_failures_per_account: Annotated[int, Field(ge=1)] = Field(
        50, description="So many at one account, from networks that it never logged in from, leave each such network a fifth of its tries."
    )
    sprayed_accounts: Annotated[int, Field(ge=0)] = Field(
        8, description="A password that failed at so many accounts opens none from a network that is new to it; 0: it may."
    )
    window_seconds: Annotated[int, Field(ge=1)] = Field(900, description="The window of all these.")
    ban_seconds: Annotated[int, Field(ge=1)] = Field(
        900, description="How long a network without tries left is banned; twice as long each further time within a week."
    )
    longest_ban_seconds: Annotated[int, Field(ge=1)] = Field(86_400, description="But never longer than this.")
    notices_per_day: Annotated[int, Field(ge=0)] = Field(
        3, description="Letters a day to one account about logins from new places; 0: none are written."
    )
    cache_seconds: Annotated[float, Field(ge=0)] = Field(300.0, description="How long a verified login is remembered; 0: never.")
    hashing_threads: Annotated[int, Field(ge=1)] = Field(2, description="Simultaneous Argon2id computations per worker (19 MiB each).")
    scram: bool = Field(True, description="Offer SCRAM-SHA-256; off while imported accounts have no SCRAM keys yet.")
    channel_binding: Literal["off", "tls-server-end-point"] = Field(
        "off", description="Offer SCRAM-SHA-256-PLUS, bound to the certificate; only if no client insists on another kind of binding."
    )
    breached_passwords: LocalPath | None = Field(
        None,
        description='File of leaked passwords that nobody may set: sorted lines of SHA-1:COUNT, as "Have I Been Pwned" gives them out.',
    )
    issuers: tuple[IssuerSettings, ...] = ()


class AuthSocketSettings(Section):
    """Where other mail servers of this machine ask whether a login is good, by Dovecot's protocol."""

    path: Annotated[LocalPath | None, AT_START] = Field(
        None, description="Unix socket; absent: none. Whoever may open it can try passwords."
    )
    mode: Annotated[str, Field(pattern="^0[0-7]{3}$"), AT_START] = Field("0600", description="Who may open it, as chmod writes it.")
    group: Annotated[str, AT_START] = Field("", description="Its group, by name or number; empty: that of the server's user.")


class MetricsSettings(Section):
    address: Annotated[IPvAnyAddress, AT_START] = Field(
        default="127.0.0.1", validate_default=True, description="Loopback address of the exporter."
    )
    port: Annotated[Port | None, AT_START] = Field(None, description="Its port; absent: no exporter.")


class LogSettings(Section):
    format: Literal["json", "text"] = Field("json", description="One JSON object or one readable line per entry.")
    file: LocalPath | None = Field(None, description="Append there instead of to standard error.")


class RoleOwners(Section):
    """Who reads the mail to the role addresses of RFC 2142, for domains that have no account or alias of that name."""

    postmaster: str = Field(description="Address of a local account: postmaster@ every domain.")
    abuse: str = Field(description="Address of a local account: abuse@ every domain.")


class Config(Section):
    hostname: str = Field(description="Name in greeting, EHLO and Received; it should resolve to this machine.")
    data_dir: Annotated[LocalPath, AT_START] = Field(description="Where mail, queue and sockets live.")
    user: Annotated[str | None, AT_START] = Field(None, description="Workers run as this user when started as root.")
    workers: Annotated[int, Field(ge=0, le=64), AT_START] = Field(0, description="Worker processes; 0: one per core.")
    worker_heartbeat_seconds: Annotated[float, Field(ge=1), AT_START] = Field(
        20.0, description="A worker that stands still for so long is replaced."
    )
    language: Literal["en", "ja"] = Field("en", description="Language of notices and messages.")
    event_loop: Annotated[Literal["uvloop", "asyncio"], AT_START] = Field("uvloop", description="asyncio is supported, uvloop is faster.")
    roles: RoleOwners
    listeners: tuple[Listener, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    resolver: ResolverSettings = ResolverSettings()
    limits: Limits = Limits()
    reception: ReceptionSettings = ReceptionSettings()
    door: DoorSettings = DoorSettings()
    greylist: GreylistSettings = GreylistSettings()
    reputation: ReputationSettings = ReputationSettings()
    content: ContentSettings = ContentSettings()
    sieve: SieveSettings = SieveSettings()
    submission: SubmissionSettings = SubmissionSettings()
    guard: GuardSettings = GuardSettings()
    relay: RelaySettings = RelaySettings()
    queue: QueueSettings = QueueSettings()
    access: AccessSettings = AccessSettings()
    login: LoginSettings = LoginSettings()
    auth_socket: AuthSocketSettings = AuthSocketSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    ledger: LedgerSettings = LedgerSettings()
