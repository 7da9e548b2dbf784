"""Counting what DMARC found, for the reports that domain owners ask for (RFC 9990 §3.1)."""

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.policy.door.author import DMARC
from sekisho.core.policy.door.rule import DoorVerdict
from sekisho.core.policy.evidence import Evidence
from sekisho.core.reports.aggregate import AggregateRow, DkimSaid, PublishedPolicy
from sekisho.ports.reports import ReportBook, SeenMail
from sekisho.probes.arrival import Arrival

DAY_US = 86_400_000_000
MAX_SIGNATURES = 20
_ENFORCING = ("quarantine", "reject")


class DmarcTallies:
    """One per worker. Nothing is counted for who wants no reports."""

    def __init__(self, book: ReportBook) -> None:
        self._book = book

    def seen(self, arrival: Arrival, evidence: Evidence, verdict: DoorVerdict) -> None:
        """A message that comes again is counted when it does."""
        dmarc = evidence.dmarc
        if dmarc is None or dmarc.record is None or dmarc.result not in ("pass", "fail"):
            return
        if verdict.action in ("defer", "disconnect") or not wanted(dmarc.record.rua):
            return
        self._book.count(
            SeenMail(
                day=arrival.at_us // DAY_US,
                policy=policy_of(dmarc),
                rua=wanted(dmarc.record.rua),
                row=_row(arrival, evidence, dmarc, verdict),
            )
        )


def proven_author(evidence: Evidence) -> str:
    """The author's domain, where DMARC shows that it is; "" where nothing does."""
    dmarc = evidence.dmarc
    return dmarc.author_domain if dmarc is not None and dmarc.result == "pass" else ""


def wanted(rua: tuple[str, ...]) -> tuple[str, ...]:
    """RFC 9990 §3.5: mailto: is what everybody supports, and what we do."""
    return tuple(uri for uri in rua if uri.lower().startswith("mailto:"))


def policy_of(dmarc: DmarcFinding) -> PublishedPolicy:
    record = dmarc.record
    assert record is not None  # the caller looked
    return PublishedPolicy(
        domain=dmarc.policy_domain,
        p=record.p or "none",
        sp=record.sp or "",
        np=record.np or "",
        adkim=record.adkim,
        aspf=record.aspf,
        fo=record.fo,
        testing="y" if record.testing else "n",
        discovery_method="treewalk",
    )


def _row(arrival: Arrival, evidence: Evidence, dmarc: DmarcFinding, verdict: DoorVerdict) -> AggregateRow:
    disposition, reasons = _disposition(dmarc, verdict)
    aligned = set(dmarc.dkim_aligned)
    # RFC 9990 §3.1.1.12: what passes and aligns first.
    found = sorted(evidence.dkim or (), key=lambda one: (one.domain not in aligned, one.result != "pass"))
    signatures = [
        DkimSaid(one.domain, one.selector, one.result) for one in found if one.domain and one.selector
    ]
    to = sorted({one.address.domain for one in arrival.envelope.recipients})
    spf = evidence.spf.mailfrom if evidence.spf is not None else None
    return AggregateRow(
        source_ip=str(arrival.client.address),
        count=1,
        disposition=disposition,
        dkim="pass" if aligned else "fail",
        spf="pass" if dmarc.spf_aligned else "fail",
        header_from=dmarc.author_domain,
        envelope_from=arrival.reverse_domain,
        envelope_to=to[0] if len(to) == 1 else "",
        reasons=reasons,
        signatures=tuple(signatures[:MAX_SIGNATURES]),
        spf_domain=spf.domain if spf is not None else "",
        spf_result=spf.result if spf is not None else "",
    )


def _disposition(dmarc: DmarcFinding, verdict: DoorVerdict) -> tuple[str, tuple[str, ...]]:
    """What was done with it, and why that is not what was asked (RFC 9990 §3.1.1.8: then a reason must be
    there)."""
    if dmarc.result == "pass":
        return ("pass" if dmarc.policy in _ENFORCING else "none"), ()
    done = {"refuse": "reject", "junk": "quarantine"}.get(verdict.action, "none")
    if done == dmarc.policy:
        return done, (("policy_test_mode",) if dmarc.requested != dmarc.policy else ())
    if verdict.rule and verdict.rule != DMARC:
        return done, (f"local_policy: {verdict.rule}",)
    return done, ("local_policy",)
