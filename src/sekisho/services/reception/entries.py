"""What the journal is told of a message's evidence: which fields there are, and in which words."""

from sekisho.core.policy.door.author import shows_another
from sekisho.core.policy.door.rule import DoorVerdict
from sekisho.core.policy.door.stranger import voucher
from sekisho.core.policy.evidence import Evidence
from sekisho.ports.journal import Entry, JournalValue
from sekisho.probes.arrival import Arrival


def evidence_entry(arrival: Arrival, evidence: Evidence, verdict: DoorVerdict) -> Entry:
    """Of one message, under its id: what was found, and what was made of it."""
    fields: dict[str, JournalValue] = {
        "client": str(arrival.client.address),
        "verdict": verdict.action,
        "rule": verdict.rule,
        "because": verdict.because,
        "observed": verdict.observed,
    }
    if evidence.iprev is not None:
        fields |= {"iprev": evidence.iprev.result, "client_name": evidence.iprev.name}
    if evidence.spf is not None:
        fields |= {
            "spf": evidence.spf.mailfrom.result,
            "spf_domain": evidence.spf.mailfrom.domain,
            "spf_helo": evidence.spf.helo.result,
        }
    if evidence.dkim is not None:
        fields["dkim"] = " ".join(f"{one.result}:{one.domain}" for one in evidence.dkim) or "none"
    if evidence.arc is not None:
        fields["arc"] = evidence.arc.result
    if evidence.dmarc is not None:
        dmarc = evidence.dmarc
        fields |= {
            "dmarc": dmarc.result,
            "dmarc_policy": dmarc.policy,
            "author_domain": dmarc.author_domain,
        }
    if standing := voucher(evidence):
        fields["vouched"] = standing
    if evidence.authorship is not None:
        shown = shows_another(evidence)
        fields |= {"unreadable": evidence.authorship.problem} if evidence.authorship.problem else {}
        fields |= {"shown": shown.because} if shown is not None else {}
    if evidence.list_id:
        fields["list_id"] = evidence.list_id
    if evidence.impersonated is not None:
        fields["impersonated"] = evidence.impersonated.explain()
    if evidence.s25r is not None and evidence.s25r.is_suspicious:
        fields["s25r"] = evidence.s25r.explain()
    if evidence.dnsbl is not None and evidence.dnsbl.asked:
        fields["dnsbl"] = evidence.dnsbl.explain()
    if evidence.sender is not None and evidence.sender.state != "exists":
        fields["sender_domain"] = evidence.sender.state
    if evidence.greylist is not None:
        fields |= {"greylist": evidence.greylist.explain(), "greylist_key": evidence.greylist.key}
    fields |= _of_content(evidence)
    if evidence.reputation is not None:
        known = evidence.reputation
        fields |= {
            "reputation": known.summary,
            "spared": len(verdict.spared),
            "author": known.author,
            "organization": known.organization,
        }
    return Entry("reception.evidence", arrival.message_id, fields)


def _of_content(evidence: Evidence) -> dict[str, JournalValue]:
    fields: dict[str, JournalValue] = {}
    if evidence.content is not None:
        fields["content"] = evidence.content.explain()
        if evidence.content.overall is not None:
            fields["content_score"] = round(evidence.content.overall.score, 3)
    if evidence.rspamd is not None:
        fields["rspamd"] = (
            evidence.rspamd.problem
            or f"{evidence.rspamd.action}, {evidence.rspamd.score:g} of {evidence.rspamd.required:g}"
        )
    if evidence.clamav is not None:
        fields["clamav"] = evidence.clamav.problem or evidence.clamav.virus or "clean"
    return fields
