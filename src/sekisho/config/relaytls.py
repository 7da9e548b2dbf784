"""`[relay.tls]`: how safe the way to other mail hosts must be."""

from pydantic import Field

from sekisho.config.section import Seconds, SettingsSection
from sekisho.core.policy.mode import Mode


class RelayTlsSettings(SettingsSection):
    dane: bool = Field(
        True,
        description="Hold mail hosts to their TLSA records (DANE, RFC 7672). That works only with a resolver "
        "that validates DNSSEC and whose word is trusted (resolver.trust_ad).",
    )
    mta_sts: bool = Field(
        True, description="Fetch the MTA-STS policies of other domains and apply them (RFC 8461)."
    )
    known_hosts: Mode = Field(
        "observe",
        description="Expect TLS of mail hosts that had it in the last 30 days, although neither DANE nor "
        "MTA-STS says so. If one offers it no more: wait for it (enforce), only write that "
        "down (observe), or do not look (off).",
    )
    known_hosts_wait_seconds: Seconds = Field(
        86_400.0,
        description="How long a message waits for such a host to offer TLS again before it fails and its "
        "sender is told.",
    )
