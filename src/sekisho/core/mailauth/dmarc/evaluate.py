"""DMARC of RFC 9989: what the author's domain asks for, and whether the message is authenticated in its name.

Evidence, not a decision: RFC 9989 §5.4 leaves the handling to the receiver's policy.
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

from sekisho.core.mailauth.dmarc.record import DmarcRecord, Policy, is_dmarc_record, parse_record
from sekisho.core.mailauth.synchronous import run_synchronously
from sekisho.core.terms.address import AddressError, parse_domain
from sekisho.core.terms.dns import DnsStatus, Resolver

DmarcResult = Literal["pass", "fail", "none", "temperror", "permerror"]
PolicyTag = Literal["p", "sp", "np", ""]

MAX_LABELS = 8  # RFC 9989 §4.10 step 4
MAX_DKIM_DOMAINS = 10

_POLICIES: tuple[Policy, ...] = ("none", "quarantine", "reject")  # mild to harsh


class DmarcFinding(NamedTuple):
    """The result with all that a policy and an aggregate report (RFC 9990) need.

    `policy` is what the domain owner asks for this author domain, one level milder while `record.testing`
    (§4.7); `requested` the same before that; `tag` where it was read. `policy_domain` is where the record
    stands. `organizational_domain` is the author's, "" where it did not have to be found. `spf_aligned` and
    `dkim_aligned` are the authenticated domains that align; `not_asked` those of which it was not asked any
    more, since another did.
    """

    result: DmarcResult
    author_domain: str = ""
    policy_domain: str = ""
    organizational_domain: str = ""
    record: DmarcRecord | None = None
    policy: Policy = "none"
    requested: Policy = "none"
    tag: PolicyTag = ""
    spf_aligned: str = ""
    dkim_aligned: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()
    author_exists: bool | None = None  # None: it was not asked
    problem: str = ""


async def evaluate_dmarc(
    resolver: Resolver,
    author_domains: Sequence[str],
    *,
    spf_domain: str | None = None,
    dkim_domains: Iterable[str] = (),
) -> DmarcFinding:
    """`author_domains`: the domains of the one From field; `spf_domain`: that of MAIL FROM if SPF says pass
    (RFC 9989 §4.4.2, never HELO's); `dkim_domains`: d= of the signatures that pass.
    """
    try:
        domains = {parse_domain(domain, literals=False) for domain in author_domains}
    except AddressError as error:
        return DmarcFinding("permerror", problem=f"the domain in From is not valid: {error}")
    if len(domains) != 1:  # RFC 9989 §5.3.1
        return DmarcFinding("permerror", problem="From does not hold precisely one domain")
    (author,) = domains
    walks = _Walks(resolver)
    try:
        finding = await _discover(walks, author)
        if finding.record is None:
            return finding
        return await _align(walks, await _choose_policy(walks, finding), spf_domain, dkim_domains)
    except _Unknown as unknown:
        return DmarcFinding("temperror", author, problem=str(unknown))


def evaluate_dmarc_now(
    resolver: Resolver,
    author_domains: Sequence[str],
    *,
    spf_domain: str | None = None,
    dkim_domains: Iterable[str] = (),
) -> DmarcFinding:
    """`evaluate_dmarc` for a resolver that answers without waiting (`synchronous.LookupResolver`)."""
    return run_synchronously(
        evaluate_dmarc(resolver, author_domains, spf_domain=spf_domain, dkim_domains=dkim_domains)
    )


async def organizational_domain(resolver: Resolver, domain: str) -> str | None:
    """Of a domain in A-labels (RFC 9989 §4.10.2): itself where no record says otherwise; None if DNS could
    not say."""
    try:
        return await _Walks(resolver).organization(domain)
    except _Unknown:
        return None


class _Unknown(Exception):
    """DNS could not say: the message neither passes nor fails (RFC 9989 §5.3.6)."""


class _NotAsked(Exception):
    """The answer is not at hand, and changes nothing any more."""


_Found = tuple[str, DmarcRecord]


class _Walks:
    """The tree walks of one message; no name is asked twice."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.may_ask = True
        self._records: dict[str, DmarcRecord | None] = {}
        self._walked: dict[str, list[_Found]] = {}
        self._organizations: dict[str, str] = {}

    async def record(self, domain: str) -> DmarcRecord | None:
        """The one record of a name (RFC 9989 §4.10 steps 2 and 6). Raises _Unknown and _NotAsked."""
        if domain in self._records:
            return self._records[domain]
        if not self.may_ask:
            raise _NotAsked
        answer = await self.resolver.resolve(f"_dmarc.{domain}", "TXT")
        if answer.is_unknown:
            raise _Unknown(f"the DMARC record of {domain} could not be had: {answer.status.value}")
        found = [octets for octets in answer.records if isinstance(octets, bytes) and is_dmarc_record(octets)]
        record = self._records[domain] = parse_record(found[0]) if len(found) == 1 else None
        return record

    async def walk(self, domain: str) -> list[_Found]:
        """The names with a record from `domain` up to the root, longest first (RFC 9989 §4.10). Raises
        _Unknown."""
        if domain not in self._walked:
            found: list[_Found] = []
            target = domain
            while target:
                record = await self.record(target)
                if record is not None:
                    found.append((target, record))
                    if record.psd != "u":
                        break
                labels = target.split(".")
                target = ".".join(labels[-(MAX_LABELS - 1) :] if len(labels) >= MAX_LABELS else labels[1:])
            self._walked[domain] = found
        return self._walked[domain]

    async def organization(self, domain: str) -> str:
        """The Organizational Domain of a domain (RFC 9989 §4.10.2). Raises _Unknown."""
        if domain not in self._organizations:
            found = await self.walk(domain)
            name, record = found[-1] if found else (domain, None)
            if (
                record is not None and record.psd == "y" and name != domain
            ):  # then it is the domain one label below
                name = ".".join(domain.split(".")[-name.count(".") - 2 :])
            self._organizations[domain] = name
        return self._organizations[domain]

    async def are_one_organization(self, author: str, domain: str) -> bool:
        """Whether the walks from both names end at one (RFC 9989 §3.2.10.2), by no more questions than that
        takes: above the name that they have in common both see the same, so that any record there, or at it,
        says yes. Raises _Unknown and _NotAsked."""
        labels, others = author.split("."), domain.split(".")
        if max(len(labels), len(others)) >= MAX_LABELS:  # such walks skip names
            return await self.organization(author) == await self.organization(domain)
        shared = _labels_in_common(author, domain)
        below = [".".join(labels[at:]) for at in range(len(labels) - shared)]
        for name in below:
            record = await self.record(name)
            if record is not None and record.psd != "u":
                return False  # the author's organization is below what they have in common
        for up in range(shared, 0, -1):
            record = await self.record(".".join(labels[-up:]))
            if record is None:
                continue
            if record.psd == "y" and up == shared:
                return False  # the two are different customers of one registry
            break
        else:
            return False
        for at in range(len(others) - shared):
            record = await self.record(".".join(others[at:]))
            if record is not None and record.psd != "u":
                return False
        return True


async def _discover(walks: _Walks, author: str) -> DmarcFinding:
    """RFC 9989 §4.10.1: the author domain's own record, else its organization's, else its public suffix's."""
    record, domain, organization = await walks.record(author), author, ""
    if record is None:
        found = dict(await walks.walk(author))
        organization = domain = await walks.organization(author)
        record = found.get(domain)
        if record is None and found:
            domain, record = next(reversed(found.items()))
    if record is None:
        return DmarcFinding("none", author, problem="no DMARC record applies to the domain")
    finding = DmarcFinding(
        result="none",
        author_domain=author,
        policy_domain=domain,
        organizational_domain=organization,
        record=record,
    )
    if not record.is_usable:
        return finding._replace(
            record=None, problem=f"the DMARC record of {domain} has no valid policy and asks for no reports"
        )
    return finding


async def _choose_policy(walks: _Walks, finding: DmarcFinding) -> DmarcFinding:
    """RFC 9989 §4.7, §4.10.1: p for the name itself; np or sp for a name below, else p."""
    record = finding.record
    if record is None or record.is_faulty or record.p is None:
        return finding
    requested: Policy = record.p
    tag: PolicyTag = "p"
    exists: bool | None = None
    if finding.author_domain != finding.policy_domain:
        requested, tag = (record.sp, "sp") if record.sp is not None else (record.p, "p")
        if record.np is not None and record.np != requested:
            exists = await _exists(walks.resolver, finding.author_domain)
            # Where DNS cannot say whether the name exists, the milder of the two counts.
            if exists is False or (
                exists is None and _POLICIES.index(record.np) < _POLICIES.index(requested)
            ):
                requested, tag = record.np, "np"
    policy = _POLICIES[max(0, _POLICIES.index(requested) - 1)] if record.testing else requested
    return finding._replace(policy=policy, requested=requested, tag=tag, author_exists=exists)


async def _exists(resolver: Resolver, domain: str) -> bool | None:
    """RFC 9989 §3.2.13: NXDOMAIN for the name itself (not for where an alias leads); None if DNS cannot
    say."""
    answer = await resolver.resolve(domain, "A")
    if answer.is_unknown:
        return None
    return answer.status is not DnsStatus.NXDOMAIN or answer.canonical_name not in ("", domain)


async def _align(
    walks: _Walks, finding: DmarcFinding, spf_domain: str | None, dkim_domains: Iterable[str]
) -> DmarcFinding:
    """RFC 9989 §4.4, §5.3.4, §5.3.5: pass if any authenticated domain aligns; once one does, nothing more is
    asked."""
    record, author = finding.record, finding.author_domain
    assert record is not None  # the caller has one
    candidates = [(spf_domain, record.aspf)] if spf_domain else []
    candidates += [(domain, record.adkim) for domain in list(dict.fromkeys(dkim_domains))[:MAX_DKIM_DOMAINS]]
    domains = [_valid(text) for text, _ in candidates]
    aligned = {domain: domain == author for domain in domains}
    walks.may_ask = not aligned.get(author, False)
    problem, not_asked = "", []
    shared = {
        domain: _labels_in_common(domain, author)
        for domain, (_, mode) in zip(domains, candidates, strict=True)
        if mode == "r"
    }
    for domain in sorted(
        (each for each in shared if shared[each] and each != author), key=lambda each: (-shared[each], each)
    ):
        try:
            aligned[domain] = await walks.are_one_organization(author, domain)
        except _Unknown as unknown:
            problem = problem or (str(unknown) if walks.may_ask else "")
        except _NotAsked:
            not_asked.append(domain)
        walks.may_ask = walks.may_ask and not aligned[domain]
    results = [
        aligned[domain] and (domain == author or mode == "r")
        for domain, (_, mode) in zip(domains, candidates, strict=True)
    ]
    found = [domain for domain, good in zip(domains, results, strict=True) if good]
    spf_aligned = found.pop(0) if spf_domain and results[0] else ""
    passed = bool(spf_aligned or found)
    result: DmarcResult = "pass" if passed else "temperror" if problem else "fail"
    return finding._replace(
        result=result,
        spf_aligned=spf_aligned,
        dkim_aligned=tuple(found),
        not_asked=tuple(not_asked),
        problem="" if passed else problem,
    )


def _valid(text: str) -> str:
    """An authenticated domain in the form of authors' domains; "" for what is none: no domain, no alignment
    (THREATS 40)."""
    try:
        return parse_domain(text, literals=False)
    except AddressError:
        return ""


def _labels_in_common(one: str, other: str) -> int:
    """How many labels the names share, from the right."""
    pairs = zip(reversed(one.split(".")), reversed(other.split(".")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
