"""TLS reports as they come (RFC 8460 §4.4), out of JSON that anybody may have written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sekisho.core.reports.refusal import ReportRefused, tame

MAX_JSON_OCTETS = 2 * 1024 * 1024  # JSON cannot be read in pieces
MAX_NESTING = 64
MAX_POLICIES = 100
MAX_FAILURES = 1000  # of one policy
MAX_LINES = 100
MAX_COUNT = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFailure:
    """Sessions that failed in one way."""

    result_type: str
    count: int
    sending_mta_ip: str = ""
    receiving_mx_hostname: str = ""
    receiving_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicySeen:
    """The sessions under one policy. `lines`: the policy as it was seen; `mx_host`: its patterns."""

    policy_type: str
    domain: str
    lines: tuple[str, ...]
    mx_host: tuple[str, ...]
    successes: int
    failures: int
    details: tuple[TlsFailure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReport:
    """One report; times in seconds since 1970, 0 where they cannot be read."""

    organization: str
    contact: str
    report_id: str
    begins_s: int
    ends_s: int
    policies: tuple[TlsPolicySeen, ...]


def read_tls_report(octets: bytes) -> TlsReport:
    """Of the whole JSON. Raises ReportRefused."""
    if len(octets) > MAX_JSON_OCTETS:
        raise ReportRefused(f"it is larger than {MAX_JSON_OCTETS >> 20} MB")
    if _is_nested_deeply(octets):
        raise ReportRefused("its JSON is nested too deeply")
    try:
        found = json.loads(octets.decode("utf-8-sig"), parse_int=_number, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise ReportRefused("it is not JSON") from None
    if not isinstance(found, Mapping) or not isinstance(found.get("policies"), list):
        raise ReportRefused("it is not a TLS report: it names no policies")
    organization, report_id = _text(found, "organization-name"), _text(found, "report-id")
    if not report_id or not organization:
        raise ReportRefused("it lacks what each report must have: its own id, or whose report it is")
    dates = found.get("date-range")
    dates = dates if isinstance(dates, Mapping) else {}
    policies = tuple(
        policy for one in found["policies"][:MAX_POLICIES] if (policy := _policy_of(one)) is not None
    )
    if not policies:
        raise ReportRefused("none of its policies can be understood")
    return TlsReport(
        organization=organization,
        contact=_text(found, "contact-info"),
        report_id=report_id,
        begins_s=_instant(dates.get("start-datetime")),
        ends_s=_instant(dates.get("end-datetime")),
        policies=policies,
    )


def _is_nested_deeply(octets: bytes) -> bool:
    """Without looking at octet after octet: what does not even hold so many brackets is not."""
    if octets.count(b"[") + octets.count(b"{") <= MAX_NESTING:
        return False
    # Brackets inside strings can only make it look deeper.
    depth = 0
    for closed in octets.replace(b"}", b"]").split(b"]"):
        depth += closed.count(b"[") + closed.count(b"{")
        if depth > MAX_NESTING * 4:
            return True
        depth -= 1
    return False


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 20 else MAX_COUNT + 1


def _policy_of(one: object) -> TlsPolicySeen | None:
    if not isinstance(one, Mapping):
        return None
    policy, summary = one.get("policy"), one.get("summary")
    if not isinstance(policy, Mapping) or not isinstance(summary, Mapping):
        return None
    successes = _count(summary.get("total-successful-session-count"))
    failures = _count(summary.get("total-failure-session-count"))
    domain = _text(policy, "policy-domain").lower().rstrip(".")
    if successes is None or failures is None or not domain:
        return None
    details = one.get("failure-details")
    found = [_failure_of(each) for each in details[:MAX_FAILURES]] if isinstance(details, list) else []
    return TlsPolicySeen(
        policy_type=_text(policy, "policy-type", 40),
        domain=domain,
        lines=_texts(policy.get("policy-string")),
        mx_host=_texts(policy.get("mx-host", policy.get("mx-host-pattern"))),
        successes=successes,
        failures=failures,
        details=tuple(each for each in found if each is not None),
    )


def _failure_of(one: object) -> TlsFailure | None:
    if not isinstance(one, Mapping):
        return None
    count = _count(one.get("failed-session-count"))
    if count is None:
        return None
    return TlsFailure(
        result_type=_text(one, "result-type", 60),
        count=count,
        sending_mta_ip=_text(one, "sending-mta-ip", 60),
        receiving_mx_hostname=_text(one, "receiving-mx-hostname"),
        receiving_ip=_text(one, "receiving-ip", 60),
        reason=_text(one, "failure-reason-code"),
    )


def _text(found: Mapping[str, object], name: str, most: int = 255) -> str:
    value = found.get(name)
    return tame(value, most) if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    """RFC 8460 §4.4 shows mx-host as one string, its errata as several."""
    if isinstance(value, str):
        value = [value]
    return (
        tuple(tame(one) for one in value[:MAX_LINES] if isinstance(one, str))
        if isinstance(value, list)
        else ()
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def _instant(value: object) -> int:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 64 else None
        return 0 if at is None else int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0
