"""The sentence about DMARC of a message: does SPF or DKIM speak for its author's domain (RFC 9989 §5.3)?"""

from collections.abc import Sequence

from sekisho.admin.check.finding import Finding
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence


def judge_dmarc(finding: DmarcFinding, spf: SpfEvidence | None, dkim: Sequence[DkimEvidence]) -> Finding:
    passing = [f"DKIM {one.domain}" for one in dkim if one.result == "pass"]
    if spf is not None and spf.mailfrom.result == "pass":
        passing.append(f"SPF {spf.mailfrom.domain}")
    values: dict[str, str | int] = {
        "domain": finding.author_domain,
        "policy": finding.policy,
        "reason": finding.problem,
        "by": ", ".join(
            [
                *(f"DKIM {name}" for name in finding.dkim_aligned),
                *([f"SPF {finding.spf_aligned}"] if finding.spf_aligned else []),
            ]
        ),
        "passing": ", ".join(passing) or "-",
    }
    match finding.result:
        case "pass":
            return Finding.good(
                "DMARC", "{by} authenticates {domain}, the domain in From (policy: {policy}).", **values
            )
        case "temperror":
            return Finding.unknown("DMARC", "The DNS did not say whether DMARC passes: {reason}", **values)
        case "permerror":
            return Finding.bad(
                "DMARC",
                "DMARC cannot be applied: {reason}",
                "Write exactly one author, or authors of one domain, into From.",
                **values,
            )
        case "none":
            return Finding.hint(
                "DMARC",
                "{domain} publishes no DMARC record; large receivers want one from whoever sends much.",
                'Publish: _dmarc.{domain} TXT "v=DMARC1; p=none; rua=mailto:postmaster@{domain}"',
                **values,
            )
    return Finding.bad(
        "DMARC",
        "DMARC fails: nothing authenticates {domain}, the domain in From (its policy: {policy}). "
        "What passes is for: {passing}",
        "Sign with DKIM as d={domain}, or send with an envelope sender in {domain} from a server that its "
        "SPF record names.",
        **values,
    )
