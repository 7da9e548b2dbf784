"""DMARC aggregate reports: what one says (RFC 7489 appendix C and RFC 9990 appendix A alike)."""

from dataclasses import dataclass

DISPOSITIONS = ("none", "pass", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class DkimSaid:
    """One signature, as the reporter found it."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateRow:
    """`count` messages that were alike. `dkim` and `spf`: pass or fail, aligned with the author's domain.

    `reasons`: why the reporter did something else than was asked ("type" or "type: comment").
    """

    source_ip: str
    count: int
    disposition: str
    dkim: str
    spf: str
    header_from: str
    envelope_from: str = ""
    envelope_to: str = ""
    reasons: tuple[str, ...] = ()
    signatures: tuple[DkimSaid, ...] = ()
    spf_domain: str = ""
    spf_result: str = ""

    @property
    def passes(self) -> bool:
        return "pass" in (self.dkim, self.spf)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPolicy:
    """What the reporter saw in DNS; "" for what it does not tell."""

    domain: str
    p: str
    sp: str = ""
    np: str = ""
    adkim: str = ""
    aspf: str = ""
    fo: str = ""
    testing: str = ""
    discovery_method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateReport:
    """One report; times in seconds since 1970. `skipped`: records that could not be understood."""

    organization: str
    contact: str
    report_id: str
    begins_s: int
    ends_s: int
    policy: PublishedPolicy
    rows: tuple[AggregateRow, ...]
    skipped: int = 0
    generator: str = ""
    errors: tuple[str, ...] = ()

    @property
    def messages(self) -> int:
        return sum(row.count for row in self.rows)
