"""What is known about a message at the door, before anybody judges. Gathered by probes, judged by
`policy.door`."""

from dataclasses import dataclass

from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.results import arc_result, dkim_results, dmarc_result, iprev_result, spf_results
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.authentication_results import MethodResult
from sekisho.core.policy.authorship import AuthorshipFinding
from sekisho.core.policy.content import ClamavFinding, ContentFinding, RspamdFinding
from sekisho.core.policy.dnsbl import DnsblFinding
from sekisho.core.policy.greeting import EarlyFinding, HeloFinding
from sekisho.core.policy.greylist import GreylistFinding
from sekisho.core.policy.impersonation import ImpersonationFinding
from sekisho.core.policy.rates import RateFinding
from sekisho.core.policy.reputation import ReputationFinding
from sekisho.core.policy.s25r import S25rFinding
from sekisho.core.policy.sender import SenderFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One field per check; None means that it was not made.

    `own_authors`: the domains of this server that From names as the author's, or below which it names one.
    `list_id`: what the message says in List-Id, "" without. `roles`: accounts that get it as postmaster or
    abuse. `reverse_domain`: of the reverse path, "" for the null path. `leads_away`: no mailbox here gets it,
    it is only sent on. `early`, `helo` and `rate` are known before there is a message.
    """

    iprev: IprevFinding | None = None
    spf: SpfEvidence | None = None
    dkim: tuple[DkimEvidence, ...] | None = None
    arc: ArcEvidence | None = None
    dmarc: DmarcFinding | None = None
    own_authors: tuple[str, ...] = ()
    list_id: str = ""
    reputation: ReputationFinding | None = None
    dnsbl: DnsblFinding | None = None
    s25r: S25rFinding | None = None
    content: ContentFinding | None = None
    rspamd: RspamdFinding | None = None
    clamav: ClamavFinding | None = None
    sender: SenderFinding | None = None
    greylist: GreylistFinding | None = None
    early: EarlyFinding | None = None
    helo: HeloFinding | None = None
    rate: RateFinding | None = None
    impersonated: ImpersonationFinding | None = None
    roles: frozenset[int] = frozenset()
    reverse_domain: str = ""
    leads_away: bool = False
    authorship: AuthorshipFinding | None = None

    def method_results(self, reverse_path: str, helo: str) -> tuple[MethodResult, ...]:
        """Of every check that was made, for Authentication-Results and the journal."""
        return (
            *(spf_results(self.spf, reverse_path, helo) if self.spf else ()),
            *(dkim_results(self.dkim) if self.dkim is not None else ()),
            *((dmarc_result(self.dmarc),) if self.dmarc else ()),
            *((arc_result(self.arc),) if self.arc else ()),
            *((iprev_result(self.iprev),) if self.iprev else ()),
        )
