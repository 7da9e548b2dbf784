"""Sessions of a day, as rows, gathered by policy: shared by the stores."""

from collections.abc import Iterable

from sekisho.core.tlspolicy.tlsrpt import PolicyCounts
from sekisho.ports.hoptls import HopSession

DAY_US = 86_400_000_000


def gather_counts(counted: Iterable[tuple[HopSession, int]]) -> list[PolicyCounts]:
    """In the order of the rows; those of one policy become one record (RFC 8460 §4.4)."""
    found: dict[tuple[object, ...], PolicyCounts] = {}
    for session, number in counted:
        key = (session.policy_domain, session.policy_type, session.policy_string, session.mx_host)
        counts = found.get(key)
        if counts is None:
            counts = found[key] = PolicyCounts(
                policy_type=session.policy_type,
                policy_domain=session.policy_domain,
                policy_string=session.policy_string,
                mx_host=session.mx_host,
            )
        if session.failure is None:
            counts.successes += number
        else:
            counts.failures[session.failure] = counts.failures.get(session.failure, 0) + number
    return list(found.values())
