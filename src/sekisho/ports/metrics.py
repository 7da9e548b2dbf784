"""Numbers for Prometheus, summed over workers by the supervisor's exporter."""

from typing import Literal, Protocol

# name -> (type, help, label names). Every metric is declared here, so that the docs can be generated.
METRICS: dict[str, tuple[Literal["counter", "gauge", "histogram"], str, tuple[str, ...]]] = {
    "sekisho_connections_total": ("counter", "Connections accepted.", ("listener",)),
    "sekisho_connections_refused_total": ("counter", "Connections refused by a cap.", ("listener", "cap")),
    "sekisho_connections_given_way_total": (
        "counter",
        (
            "Strangers' connections ended to make room: for others (room, descriptors), or silent under "
            "stress (silence)."
        ),
        ("listener", "reason"),
    ),
    "sekisho_stress": (
        "gauge",
        "1: so many connections are open that silent strangers must go; summed over workers.",
        ("kind",),
    ),
    "sekisho_connections_open": ("gauge", "Connections open now.", ("listener",)),
    "sekisho_tls_handshakes_total": ("counter", "TLS handshakes with clients.", ("listener", "result")),
    "sekisho_messages_received_total": (
        "counter",
        "Messages that got a 250 or a refusal.",
        ("service", "result"),
    ),
    "sekisho_message_octets_total": ("counter", "Octets of accepted messages.", ("service",)),
    "sekisho_deadlines_total": (
        "counter",
        "Connections ended because a client took too long.",
        ("service", "deadline"),
    ),
    "sekisho_door_verdicts_total": ("counter", "Times that a rule of the door spoke.", ("rule", "action")),
    "sekisho_blocklist_fit": (
        "gauge",
        "1: the canaries of the blocklist live, and it is asked; summed over workers.",
        ("zone",),
    ),
    "sekisho_greylist_total": (
        "counter",
        (
            "Strangers: delayed, too_early, came_back, never_came_back, code (spared for it), stayed or left "
            "(the tarpit)."
        ),
        ("result",),
    ),
    "sekisho_greylist_returns_total": (
        "counter",
        "Senders that came back, by how long that took them.",
        ("within",),
    ),
    "sekisho_logins_total": ("counter", "Login attempts.", ("service", "result")),
    "sekisho_login_bans_total": ("counter", "Networks banned from logging in.", ("reason",)),
    "sekisho_relay_attempts_total": (
        "counter",
        "Delivery attempts to other hosts, per recipient.",
        ("result",),
    ),
    "sekisho_relay_sessions_total": (
        "counter",
        "Sessions with other hosts, by what was asked of their TLS and what they proved.",
        ("policy", "proof"),
    ),
    "sekisho_shaping_slowed_total": (
        "counter",
        "Times that everything for a provider was slowed after a complaint.",
        ("group",),
    ),
    "sekisho_guard_verdicts_total": (
        "counter",
        "Submitted messages that the guard passed, slowed, held.",
        ("verdict",),
    ),
    "sekisho_guard_cases_total": ("counter", "Accounts whose mail the guard began to hold.", ("action",)),
    "sekisho_queue_recipients": ("gauge", "Recipients waiting in the queue.", ("state",)),
    "sekisho_queue_stuck": ("gauge", "Recipients claimed for delivery for more than an hour.", ()),
    "sekisho_faults_total": ("counter", "Own bugs: tracebacks in the log.", ("where",)),
    "sekisho_duty_faults_total": (
        "counter",
        "Times that a background duty failed; it begins again by itself.",
        ("duty",),
    ),
    "sekisho_duty_success_seconds": (
        "gauge",
        "When a round of the duty last ended well, in seconds since 1970.",
        ("duty", "worker"),
    ),
    "sekisho_ledger_lost_total": ("counter", "Entries that the ledger could not keep.", ()),
    "sekisho_judgements_total": (
        "counter",
        "Messages that users moved to or from Junk, or marked so.",
        ("judged",),
    ),
    "sekisho_judgements_lost_total": (
        "counter",
        "The same that nobody learned from: too many at once, or a store that failed.",
        (),
    ),
    "sekisho_classifier_lessons_total": (
        "counter",
        "Messages that users taught the classifier with.",
        ("side",),
    ),
    "sekisho_classifier_fits_total": (
        "counter",
        "Times that the classifier was fitted to all its lessons.",
        (),
    ),
    "sekisho_store_commits_total": ("counter", "Commits of the mail database.", ()),
    "sekisho_store_commit_seconds": ("histogram", "Time from lock to committed.", ()),
}


class Metrics(Protocol):
    def count(self, name: str, amount: float = 1.0, **labels: str) -> None: ...

    def gauge(self, name: str, value: float, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...
