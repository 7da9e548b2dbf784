"""What trusted sealers saw of a message before somebody on the way changed it (RFC 8617 §7.2.1, RFC 9989
§5.4)."""

from collections.abc import Container

from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.message.authentication_results import MethodResult, parse_authentication_results


def sealed_pass(arc: ArcEvidence | None, domain: str, trusted: Container[str]) -> str:
    """The trusted sealer that saw the message pass for this author domain, "" if none did.

    From the last seal back, as long as each sealer is trusted: whoever stands behind a stranger's seal was
    told by the stranger.
    """
    if arc is None or arc.result != "pass":
        return ""
    for sealer, value in zip(reversed(arc.sealers), reversed(arc.seen), strict=False):
        if sealer.lower() not in trusted:
            return ""
        if any(_speaks_for(result, domain) for result in _results(value)):
            return sealer
    return ""


def unread_seal(arc: ArcEvidence | None, trusted: Container[str]) -> str:
    """The trusted sealer whose seal, the last, could not be checked because the DNS did not answer; else
    ""."""
    if arc is None or not arc.is_temporary or not arc.sealers or arc.sealers[-1].lower() not in trusted:
        return ""
    return arc.sealers[-1]


def _results(value: bytes) -> tuple[MethodResult, ...]:
    """Behind the instance (RFC 8617 §4.1.1), as Authentication-Results."""
    parsed = parse_authentication_results(value.partition(b";")[2])
    return parsed.results if parsed is not None else ()


def _speaks_for(result: MethodResult, domain: str) -> bool:
    """Did DMARC pass for the domain, or SPF or DKIM for it or a name below it?"""
    if result.result != "pass":
        return False
    if result.method == "dmarc":
        return (result.value("header", "from") or "").lower() == domain
    found = (
        result.value("header", "d")
        if result.method == "dkim"
        else result.value("smtp", "mailfrom")
        if result.method == "spf"
        else None
    )
    name = (found or "").rpartition("@")[2].lower()
    return name == domain or name.endswith("." + domain)
