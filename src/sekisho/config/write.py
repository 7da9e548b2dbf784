"""Rendering a first sekisho.toml, with comments for whoever edits it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The usual port of each kind of listener.
USUAL_PORTS: Mapping[str, int] = {
    "smtp": 25,
    "submissions": 465,
    "submission": 587,
    "imaps": 993,
    "imap": 143,
    "pop3s": 995,
    "pop3": 110,
    "sieve": 4190,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What a first configuration needs to know. `ports` names the listeners to have, by kind."""

    hostname: str
    data_dir: Path
    postmaster: str
    abuse: str
    addresses: Sequence[str]
    ports: Mapping[str, int]
    cert_file: Path
    key_file: Path
    user: str | None = None
    workers: int = 0
    language: str = "en"
    log_format: str = "json"
    unchecked_networks: Sequence[str] = ()


def render(starter: Starter) -> str:
    """The TOML text. It loads to what `starter` says; everything it leaves out has its default."""
    quote = _quote
    user = f"user = {quote(starter.user)}" if starter.user else '# user = "sekisho"'
    head = f"""\
# sekisho: how this mail server runs. Domains, accounts and aliases are not in here: see
# `sekisho domain --help` and so on.
# `sekisho config check` finds what is wrong in this file, `sekisho config reference` explains all settings.

# The name in greetings and in Received fields. The DNS should have it for this machine's address, and
# the address for it.
hostname = {quote(starter.hostname)}

# Mail, queue and sockets live here; a relative path counts from the folder of this file.
data_dir = {quote(starter.data_dir)}

# Workers run as this user when the server is started as root.
{user}

# Worker processes; 0: one per core.
workers = {starter.workers}

# Language of notices to your users: "en" or "ja".
language = {quote(starter.language)}

# Who reads the mail to postmaster@ and abuse@ your domains: accounts of yours.
[roles]
postmaster = {quote(starter.postmaster)}
abuse = {quote(starter.abuse)}

# The first certificate is shown to clients that name no host, or one that no certificate is for.
[[certificates]]
cert_file = {quote(starter.cert_file)}
key_file = {quote(starter.key_file)}
"""
    listeners = [
        f'\n[[listeners]]\nkind = "{kind}"\naddress = {quote(address)}\nport = {starter.ports[kind]}\n'
        for address in starter.addresses
        for kind in USUAL_PORTS
        if kind in starter.ports
    ]
    return head + "".join(listeners) + _tail(starter)


def _tail(starter: Starter) -> str:
    quote = _quote
    return f"""
# Mail from these clients is taken without SPF, DKIM and DMARC: backup MX hosts and machines of your own.
[door]
unchecked_networks = [{", ".join(map(quote, starter.unchecked_networks))}]

# Blocklists. Two must agree before a client is turned away. None is asked until you have read its terms
# and say so; all of them want a resolver of your own (see below): they refuse questions that come through
# public ones.
# Spamhaus ZEN: free for small, non-commercial use, else with a key; see spamhaus.org.
# [[door.blocklists]]
# zone = "zen.spamhaus.org"
# codes = {{"127.0.0.2-4" = "spam or infected", "127.0.0.9" = "hijacked", "127.0.0.10-11" = "an end user"}}
# accepted_terms = false
# SpamCop: free; lists by what its users report. See spamcop.net.
# [[door.blocklists]]
# zone = "bl.spamcop.net"
# codes = {{"127.0.0.2" = "reported for spam"}}
# accepted_terms = false
# PSBL: free; lists what reached spam traps, and lets go easily. See psbl.org.
# [[door.blocklists]]
# zone = "psbl.surriel.com"
# codes = {{"127.0.0.2" = "sent mail to spam traps"}}
# accepted_terms = false

[log]
format = {quote(starter.log_format)}

# What was decided is kept for `sekisho why`. It names who writes to you: keep it as long as your law allows.
# [ledger]
# keep_days = 90
# why_url = "https://mail.example.org/why/{{id}}"

# A validating resolver on this machine, such as unbound, lets DANE and blocklists work. Without this:
# /etc/resolv.conf.
# [resolver]
# servers = ["127.0.0.1"]

# Numbers for Prometheus.
# [metrics]
# port = 9125

# Where mail to the world goes when your provider closes port 25: a relay that takes it.
# [relay.routes]
# "*" = "smtp.example.net:587"
"""


def _quote(value: str | Path) -> str:
    # A JSON string is a TOML basic string, except for DEL, which no path or name here may hold.
    return json.dumps(str(value), ensure_ascii=False)


def inline_table(value: object) -> str:
    """Plain data (tables, lists, texts, numbers, booleans) as one TOML value on one line."""
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(f"{_quote(str(name))} = {inline_table(inner)}" for name, inner in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline_table, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
