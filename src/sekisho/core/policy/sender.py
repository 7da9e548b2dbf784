"""Does the domain in MAIL FROM exist at all? What does not exist can sign nothing, so that this is known
before the message is."""

from dataclasses import dataclass
from typing import Literal

from sekisho.core.terms.dns import Answer, DnsStatus


@dataclass(frozen=True, slots=True)
class SenderFinding:
    """ "unknown": the DNS could not say."""

    domain: str
    state: Literal["exists", "missing", "unknown"]


def read_existence(domain: str, answer: Answer) -> SenderFinding:
    """From the answer to a question of any type about the name itself. NXDOMAIN says that there is nothing
    there, nor below (RFC 8020 §2); what an alias leads to may be missing all the same."""
    if answer.is_unknown:
        return SenderFinding(domain, "unknown")
    is_missing = answer.status is DnsStatus.NXDOMAIN and answer.canonical_name in ("", domain)
    return SenderFinding(domain, "missing" if is_missing else "exists")
