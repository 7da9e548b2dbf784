"""TLS reporting (RFC 8460): who wants to be told, what is counted, and the report of a day."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

PolicyType = Literal["tlsa", "sts", "no-policy-found"]
# RFC 8460 §4.3.
FailureType = Literal[
    "starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid",
    "sts-webpki-invalid",
]  # fmt: skip
FAILURE_TYPES: frozenset[str] = frozenset(get_args(FailureType))
MAX_URIS = 10

_DELIMITER = r"[ \t]*;[ \t]*"
# RFC 8460 §3: "," "!" and ";" are encoded
_URI = r"(?:mailto:|https://)(?:[A-Za-z0-9\-._~:/?#\[\]@$&'()*+=]|%[0-9A-Fa-f]{2})+"
_RUA = rf"rua=[ \t]*{_URI}(?:[ \t]*,[ \t]*{_URI})*"
_EXTENSION = r"[A-Za-z0-9][A-Za-z0-9_\-.]{0,31}=[!-:<>-~]+"
_RECORD = re.compile(
    rf"v=TLSRPTv1((?:{_DELIMITER}(?:{_RUA}|(?!rua=){_EXTENSION}))+)(?:{_DELIMITER})?[ \t]*\Z"
)
_VERSION = re.compile(r"v=TLSRPTv1[ \t]*(?:;|\Z)")


class TlsrptError(ValueError):
    """A record that is none; `str()` says why."""


def find_report_uris(texts: Sequence[bytes]) -> tuple[str, ...]:
    """Where reports go, from the TXT records at `_smtp._tls.DOMAIN`; () if nobody asks (RFC 8460 §3).

    Raises TlsrptError when a record is there and is not valid, or more than one.
    """
    records = [text for octets in texts if _VERSION.match(text := octets.decode("ascii", "replace"))]
    if not records:
        return ()
    if len(records) > 1:
        raise TlsrptError("more than one TLSRPT record")
    found = _RECORD.match(records[0])
    if found is None:
        raise TlsrptError("the TLSRPT record is malformed")
    fields = [one for one in re.split(_DELIMITER, found[1])[1:] if one.startswith("rua=")]
    uris = [uri.strip() for one in fields for uri in one[len("rua=") :].split(",")]
    if not uris:
        raise TlsrptError("the TLSRPT record names nobody")
    return tuple(dict.fromkeys(uris))[:MAX_URIS]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKey:
    """One kind of failure, as sessions are counted by (RFC 8460 §4.4)."""

    result_type: str
    sending_mta_ip: str = ""
    receiving_mx_hostname: str = ""
    receiving_ip: str = ""
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class PolicyCounts:
    """One policy of one domain in one day. `policy_string`: MTA-STS's lines, or TLSA records as text;
    `mx_host`: its patterns."""

    policy_type: PolicyType
    policy_domain: str
    policy_string: tuple[str, ...] = ()
    mx_host: tuple[str, ...] = ()
    successes: int = 0
    failures: dict[FailureKey, int] = field(default_factory=dict)


def report_of(
    *,
    organization: str,
    contact: str,
    report_id: str,
    begins_us: int,
    ends_us: int,
    policies: Sequence[PolicyCounts],
) -> Mapping[str, object]:
    """The JSON object of RFC 8460 §4.4 for one domain; times in microseconds since 1970."""
    return {
        "organization-name": organization,
        "date-range": {"start-datetime": _stamp(begins_us), "end-datetime": _stamp(ends_us)},
        "contact-info": contact,
        "report-id": report_id,
        "policies": [_policy_of(counts) for counts in policies],
    }


def _policy_of(counts: PolicyCounts) -> Mapping[str, object]:
    policy: dict[str, object] = {"policy-type": counts.policy_type, "policy-domain": counts.policy_domain}
    if counts.policy_string:
        policy["policy-string"] = list(counts.policy_string)
    if counts.mx_host:
        policy["mx-host"] = list(counts.mx_host)
    summary = {
        "total-successful-session-count": counts.successes,
        "total-failure-session-count": sum(counts.failures.values()),
    }
    details = [_failure_of(key, count) for key, count in counts.failures.items()]
    return {"policy": policy, "summary": summary, **({"failure-details": details} if details else {})}


def _failure_of(key: FailureKey, count: int) -> Mapping[str, object]:
    named = {
        "sending-mta-ip": key.sending_mta_ip,
        "receiving-mx-hostname": key.receiving_mx_hostname,
        "receiving-ip": key.receiving_ip,
        "failure-reason-code": key.reason,
    }
    given = {name: value for name, value in named.items() if value}
    return {"result-type": key.result_type, **given, "failed-session-count": count}


def _stamp(now_us: int) -> str:
    return datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
