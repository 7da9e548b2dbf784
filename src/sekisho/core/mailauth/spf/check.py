"""check_host() of RFC 7208 §4, and the check of a whole message.

Asks only the Resolver it was handed. Nothing that a stranger's DNS says is an exception here.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import cast

from sekisho.core.mailauth.spf.macros import MacroError, MacroString, parse_macro_string, shorten_domain
from sekisho.core.mailauth.spf.names import to_checked_domain, to_query_name
from sekisho.core.mailauth.spf.record import Directive, Record, RecordError, is_spf_record, parse_record
from sekisho.core.mailauth.spf.terms import (
    MAX_NAMES_PER_TERM,
    Identity,
    LookupBudget,
    SpfClient,
    SpfEvidence,
    SpfFinding,
    SpfResult,
)
from sekisho.core.mailauth.synchronous import run_synchronously
from sekisho.core.terms.dns import Answer, DnsStatus, Mx, RecordType, Resolver

MAX_EXPLANATION_CHARACTERS = 500


async def check_message(
    resolver: Resolver, client: SpfClient, reverse_path: str, budget: LookupBudget | None = None
) -> SpfEvidence:
    """Both identities with one budget of lookups. `reverse_path` is `local@domain`, or "" for the null path.

    MAIL FROM is checked first, with the full limits of RFC 7208 §4.6.4, so that its result never depends on
    what HELO used up; HELO then has what is left, and is temperror, not permerror, if that is too little.
    `budget`: a new one, for who wants to know what became of it.
    """
    budget = budget or LookupBudget()
    mailfrom = await check_host(resolver, client, reverse_path or f"postmaster@{client.helo}", budget=budget)
    if not reverse_path:
        helo = SpfFinding(
            identity="helo",
            domain=mailfrom.domain,
            result=mailfrom.result,
            term=mailfrom.term,
            explanation=mailfrom.explanation,
            problem=mailfrom.problem,
        )
        return SpfEvidence(mailfrom, helo)
    spent = budget.terms_left < LookupBudget().terms_left or budget.voids_left < LookupBudget().voids_left
    budget.terms_left, budget.voids_left = max(0, budget.terms_left), max(0, budget.voids_left)
    helo = await check_host(resolver, client, f"postmaster@{client.helo}", identity="helo", budget=budget)
    if spent and helo.result == "permerror" and (budget.terms_left < 0 or budget.voids_left < 0):
        helo = SpfFinding(
            identity="helo",
            domain=helo.domain,
            result="temperror",
            problem="MAIL FROM has used up this message's lookups",
        )
    return SpfEvidence(mailfrom, helo)


async def check_host(
    resolver: Resolver,
    client: SpfClient,
    sender: str,
    *,
    identity: Identity = "mailfrom",
    budget: LookupBudget | None = None,
) -> SpfFinding:
    """One identity: `sender` is `local@domain` (RFC 7208 §4.1). Without a `budget` the limits count for this
    check alone."""
    local, _, domain_text = sender.rpartition("@")
    domain = to_checked_domain(domain_text)
    if domain is None:
        return SpfFinding(
            identity=identity,
            domain=domain_text,
            result="none",
            problem="the domain is malformed or has only one label",
        )
    sender = f"{local or 'postmaster'}@{domain_text}"  # RFC 7208 §4.3
    evaluation = _Evaluation(resolver, client, sender, budget or LookupBudget())
    try:
        result, term, record_domain, record = await evaluation.check(domain)
    except _Ended as end:
        return SpfFinding(identity=identity, domain=domain, result=end.result, problem=str(end))
    if record is None:
        return SpfFinding(
            identity=identity, domain=domain, result="none", problem="the domain publishes no SPF record"
        )
    explanation = await evaluation.explain(record, record_domain) if result == "fail" else None
    return SpfFinding(identity=identity, domain=domain, result=result, term=term, explanation=explanation)


def check_message_now(resolver: Resolver, client: SpfClient, reverse_path: str) -> SpfEvidence:
    """`check_message` for a resolver that answers without waiting (`synchronous.LookupResolver`)."""
    return run_synchronously(check_message(resolver, client, reverse_path))


def check_host_now(resolver: Resolver, client: SpfClient, sender: str) -> SpfFinding:
    """`check_host` likewise."""
    return run_synchronously(check_host(resolver, client, sender))


class _Ended(Exception):
    """The evaluation ends at once with an error result, through all includes."""

    def __init__(self, result: SpfResult, problem: str) -> None:
        super().__init__(problem)
        self.result = result


def _permerror(problem: str) -> _Ended:
    return _Ended("permerror", problem)


# What `check` found: result, the term that matched, the domain whose record decided, that record (None: there
# is none).
_Found = tuple[SpfResult, str, str, Record | None]


class _Evaluation:
    """One identity's evaluation with its includes and redirects."""

    def __init__(self, resolver: Resolver, client: SpfClient, sender: str, budget: LookupBudget) -> None:
        self._resolver = resolver
        self._client = client
        self._sender = sender
        self._budget = budget
        self._is_ipv4 = client.address.version == 4
        self._number = int(client.address)
        self._validated: list[str] | None = None

    async def check(self, domain: str) -> _Found:
        """RFC 7208 §4.4 to §4.7 for one record. Raises _Ended for temperror and permerror."""
        record = await self._fetch(domain)
        if record is None:
            return "none", "", domain, None
        for directive in record.directives:
            if await self._matches(directive, domain):
                return directive.result, directive.text, domain, record
        if record.redirect is None:
            return "neutral", "", domain, record  # RFC 7208 §4.7
        self._count_term()
        target = to_checked_domain(await self._expand(record.redirect, domain))
        found: _Found = ("none", "", "", None) if target is None else await self.check(target)
        if found[3] is None:  # RFC 7208 §6.1
            raise _permerror(f"the redirect of {domain} leads to no SPF record")
        return found

    async def _fetch(self, domain: str) -> Record | None:
        answer = await self._ask(domain, "TXT")
        if answer.status is DnsStatus.NXDOMAIN or answer.status is DnsStatus.NODATA:
            return None  # RFC 7208 §4.3, §4.5
        found = [octets for octets in answer.records if isinstance(octets, bytes) and is_spf_record(octets)]
        if not found:
            return None
        if len(found) > 1:
            raise _permerror(f"{domain} publishes more than one SPF record")  # RFC 7208 §4.5
        try:
            return parse_record(found[0])
        except RecordError as error:
            raise _permerror(f"the SPF record of {domain} is wrong: {error}") from error

    async def _matches(self, directive: Directive, domain: str) -> bool:
        name = directive.name
        if name == "ip4":
            return self._is_ipv4 and self._number >> directive.shift == directive.network
        if name == "ip6":
            return not self._is_ipv4 and self._number >> directive.shift == directive.network
        if name == "all":
            return True
        self._count_term()
        if name == "include":
            return await self._include(directive, domain)
        text = domain if directive.domain is None else await self._expand(directive.domain, domain)
        target = to_query_name(text)
        if name == "ptr":
            return await self._ptr(target)
        if target is None:
            return False  # RFC 7208 §4.8: such a name matches nothing
        if name == "exists":
            answer = await self._ask(target, "A")  # RFC 7208 §5.7: A, also for an IPv6 client
            self._count_void(answer)
            return answer.status is DnsStatus.NOERROR
        return await (self._a(target, directive) if name == "a" else self._mx(target, directive))

    async def _include(self, directive: Directive, domain: str) -> bool:
        """RFC 7208 §5.2; errors of the included record end everything."""
        assert directive.domain is not None  # the parser requires it
        target = to_checked_domain(await self._expand(directive.domain, domain))
        found: _Found = ("none", "", "", None) if target is None else await self.check(target)
        if found[3] is None:
            raise _permerror(f"{directive.text[:80]} in the record of {domain} leads to no SPF record")
        return found[0] == "pass"

    async def _a(self, target: str, directive: Directive) -> bool:
        answer = await self._ask_addresses(target)
        self._count_void(answer)
        return self._holds(answer, directive)

    async def _mx(self, target: str, directive: Directive) -> bool:
        """RFC 7208 §5.4: never the implicit MX. A term counts as void once, however many of its lookups are
        (§4.6.4)."""
        answer = await self._ask(target, "MX")
        self._count_void(answer)
        if len(answer.records) > MAX_NAMES_PER_TERM:
            raise _permerror(f"{target} has more than {MAX_NAMES_PER_TERM} MX records")  # RFC 7208 §4.6.4
        void = None
        for record in answer.records:
            if not isinstance(record, Mx) or not record.host:
                continue
            addresses = await self._ask_addresses(record.host)
            if self._holds(addresses, directive):
                return True
            void = addresses if addresses.status is not DnsStatus.NOERROR else void
        if void is not None:
            self._count_void(void)
        return False

    async def _ptr(self, target: str | None) -> bool:
        """RFC 7208 §5.5: a validated name at or below the target."""
        if target is None:
            return False
        return any(
            name == target or name.endswith("." + target)
            for name in await self._validated_names(count_void=True)
        )

    async def _validated_names(self, *, count_void: bool) -> list[str]:
        """The client's names that lead back to it, of the first ten; DNS errors only make the list shorter
        (§5.5)."""
        if self._validated is None:
            self._validated = []
            answer = await self._resolver.resolve(self._client.address.reverse_pointer, "PTR")
            if count_void:
                self._count_void(answer)
            for name in answer.records[:MAX_NAMES_PER_TERM]:
                forward = await self._resolver.resolve(str(name), "A" if self._is_ipv4 else "AAAA")
                if self._client.address in forward.records:
                    self._validated.append(str(name).lower())
        return self._validated

    def _holds(self, answer: Answer, directive: Directive) -> bool:
        shift = directive.shift if self._is_ipv4 else directive.shift6
        number = self._number >> shift
        return any(
            int(address) >> shift == number
            for address in cast(tuple[IPv4Address | IPv6Address, ...], answer.records)
        )

    async def _ask_addresses(self, name: str) -> Answer:
        return await self._ask(name, "A" if self._is_ipv4 else "AAAA")

    async def _ask(self, name: str, rtype: RecordType) -> Answer:
        answer = await self._resolver.resolve(name, rtype)
        if answer.is_unknown:
            raise _Ended(
                "temperror", f"the {rtype} records of {name} could not be had: {answer.status.value}"
            )  # RFC 7208 §4.4, §5
        return answer

    def _count_term(self) -> None:
        self._budget.terms_left -= 1
        if self._budget.terms_left < 0:
            raise _permerror("more than 10 terms that need DNS")  # RFC 7208 §4.6.4

    def _count_void(self, answer: Answer) -> None:
        if answer.status is DnsStatus.NXDOMAIN or answer.status is DnsStatus.NODATA:
            self._budget.voids_left -= 1
            if self._budget.voids_left < 0:
                raise _permerror("more than 2 lookups that found nothing")  # RFC 7208 §4.6.4

    async def _expand(self, macros: MacroString, domain: str) -> str:
        if macros.literal is not None:
            return shorten_domain(macros.literal)
        return shorten_domain(macros.expand(await self._values(macros, domain)))

    async def _values(self, macros: MacroString, domain: str) -> dict[str, str]:
        """RFC 7208 §7.2."""
        address = self._client.address
        local, _, sender_domain = self._sender.rpartition("@")
        values = {
            "s": self._sender,
            "l": local,
            "o": sender_domain,
            "d": domain,
            "i": str(address) if self._is_ipv4 else ".".join(address.packed.hex().upper()),
            "h": self._client.helo,
            "v": "in-addr" if self._is_ipv4 else "ip6",
            "c": str(address),
            "r": self._client.receiver,
            "t": str(self._client.now_seconds),
        }
        letters = macros.letters
        if "l" in letters or "s" in letters:
            self._budget.is_personal = True
        if "p" in letters:
            values["p"] = await self._best_name(domain)
        return values

    async def _best_name(self, domain: str) -> str:
        """RFC 7208 §7.3 p: the domain itself, else a name below it, else any validated name, else
        "unknown"."""
        names = await self._validated_names(count_void=False)
        below = [name for name in names if name.endswith("." + domain)]
        return domain if domain in names else (below or names or ["unknown"])[0]

    async def explain(self, record: Record, domain: str) -> str | None:
        """The domain owner's explanation, or None if there is none that can be used (RFC 7208 §6.2)."""
        if record.explanation is None:
            return None
        target = to_query_name(await self._expand(record.explanation, domain))
        if target is None:
            return None
        answer = await self._resolver.resolve(target, "TXT")
        if len(answer.records) != 1:
            return None
        (octets,) = answer.records
        if not isinstance(octets, bytes) or not octets.isascii():
            return None
        try:
            macros = parse_macro_string(octets.decode("ascii"), "explanation")
        except MacroError:
            return None
        return macros.expand(await self._values(macros, domain))[:MAX_EXPLANATION_CHARACTERS]
