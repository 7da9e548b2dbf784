"""What is kept of a domain's MTA-STS policy, and when it is asked for again (RFC 8461 §3.3, §5.1). Pure.

A policy that is live (not older than its max_age) is applied whatever the DNS or the web server says now:
an attacker who suppresses their answers must gain nothing.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from sekisho.core.tlspolicy.sts import StsError, StsPolicy, parse_sts_policy

_SECOND_US = 1_000_000
# RFC 8461 §3.3: between tries of a fetch five minutes or longer are suggested.
RETRY_SECONDS = 300
# RFC 8461 §3.3: a live policy is refreshed well before it ends; once a day is suggested.
REFRESH_SECONDS = 86_400
# Policies of domains that nobody wrote to for so long are no longer refreshed: they end by themselves.
IDLE_SECONDS = 60 * 86_400
MAX_DOMAINS = 100_000

# absent: there is no such record. unknown: the DNS does not say; broken: it says something that is no record.
TxtState = Literal["present", "absent", "broken", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StsEntry:
    """One domain. `text`: its policy as it was fetched, b"" for none yet; `policy_id`: from the record at
    that time.

    Instants are µs since 1970: `expires_at_us` of the policy, `tried_at_us` of the last fetch, whatever
    came of it. `failure`: what kept the last fetch from succeeding, "" after success.
    """

    domain: str
    policy_id: str = ""
    text: bytes = b""
    expires_at_us: int = 0
    tried_at_us: int = 0
    used_at_us: int = 0
    failure: str = ""

    def policy(self, now_us: int) -> StsPolicy | None:
        """The policy while it is live."""
        if not self.text or now_us >= self.expires_at_us:
            return None
        return _read(self.text)

    def refresh_at_us(self) -> int:
        """When it should be fetched again, although the record does not change: early enough for several
        tries."""
        lifetime_us = self.expires_at_us - self.tried_at_us
        return self.tried_at_us + min(
            REFRESH_SECONDS * _SECOND_US, max(lifetime_us // 2, RETRY_SECONDS * _SECOND_US)
        )


@lru_cache(maxsize=256)
def _read(text: bytes) -> StsPolicy | None:
    """The same few all day. None: kept by an earlier version, which read it otherwise."""
    try:
        return parse_sts_policy(text)
    except StsError:
        return None


def wants_fetch(entry: StsEntry | None, policy_id: str, now_us: int) -> bool:
    """Must the policy be fetched before mail goes on? The record is there and says `policy_id` (RFC 8461
    §3.1)."""
    if entry is None:
        return True
    if entry.policy(now_us) is not None and entry.policy_id == policy_id:
        return False
    return not entry.tried_at_us <= now_us < entry.tried_at_us + RETRY_SECONDS * _SECOND_US


def fetched(before: StsEntry | None, domain: str, policy_id: str, text: bytes, now_us: int) -> StsEntry:
    """After a fetch that succeeded; raises StsError for a policy that is none."""
    policy = parse_sts_policy(text)
    return StsEntry(
        domain=domain,
        policy_id=policy_id,
        text=text,
        expires_at_us=now_us + policy.max_age_seconds * _SECOND_US,
        tried_at_us=now_us,
        used_at_us=now_us if before is None else before.used_at_us,
    )


def not_fetched(before: StsEntry | None, domain: str, failure: str, now_us: int) -> StsEntry:
    """After a fetch that failed: what was live stays so until its own end."""
    entry = before or StsEntry(domain=domain, used_at_us=now_us)
    return replace(entry, tried_at_us=now_us, failure=failure)
