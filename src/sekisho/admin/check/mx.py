"""Where mail for a domain goes (RFC 5321 §5.1, RFC 7505)."""

from sekisho.admin.check.finding import Finding, Value, sentence
from sekisho.core.terms.dns import DnsStatus, Mx, Resolver

MANY_MX = 10  # RFC 7208 §4.6.4: more of them end an SPF "mx" in an error


async def check_mx(resolver: Resolver, domain: str, hostname: str) -> tuple[bool, list[Finding]]:
    """Does the domain take mail, and what was found. `hostname` "": nobody expects a certain host."""
    answer = await resolver.resolve(domain, "MX")
    if answer.is_unknown:
        return True, [
            Finding.unknown(
                "MX",
                "The DNS did not say where mail for {domain} goes: {detail}",
                domain=domain,
                detail=answer.status.value,
            )
        ]
    records = sorted(record for record in answer.records if isinstance(record, Mx))
    if not records:
        return await _check_implicit(resolver, domain, hostname)
    if any(not record.host for record in records):
        return False, [_judge_null(domain, hostname, len(records))]
    found = [finding for record in records for finding in await _check_host(resolver, domain, record)]
    if len(records) > MANY_MX:
        found.append(
            Finding.hint(
                "MX",
                "{domain} has {count} MX records.",
                "More than ten are too many for an SPF record with mx.",
                domain=domain,
                count=len(records),
            )
        )
    if hostname and all(record.host != hostname for record in records):
        found.append(
            Finding.bad(
                "MX",
                "Mail for {domain} does not come to this server, whose name is {hostname}.",
                "Publish: {domain} MX 10 {hostname}. If another host hands its mail on to this one, all "
                "is well.",
                domain=domain,
                hostname=hostname,
            )
        )
    return True, found


def _judge_null(domain: str, hostname: str, count: int) -> Finding:
    """RFC 7505 §3: a null MX stands alone."""
    if count > 1:
        alone = sentence("A null MX must stand alone: remove it, or the others.")
        remedy = sentence("Remove the null MX: this server serves {domain}.") if hostname else alone
        return Finding.bad("MX", "{domain} has a null MX beside others.", remedy, domain=domain)
    if hostname:
        return Finding.bad(
            "MX", "{domain} says that it takes no mail (null MX), but this server serves it.",
            "Publish: {domain} MX 10 {hostname}",
            domain=domain, hostname=hostname,
        )  # fmt: skip
    return Finding.good("MX", "{domain} says that it takes no mail (null MX).", domain=domain)


async def _check_implicit(resolver: Resolver, domain: str, hostname: str) -> tuple[bool, list[Finding]]:
    """RFC 5321 §5.1: without MX the domain's own address is tried."""
    publish = sentence("Publish: {domain} MX 10 {hostname}")
    answers = [await resolver.resolve(domain, "A"), await resolver.resolve(domain, "AAAA")]
    if any(answer.status is DnsStatus.NOERROR for answer in answers):
        finding = Finding.hint(
            "MX",
            "{domain} has no MX record; its mail goes to its own address.",
            publish
            if hostname
            else sentence("Publish an MX record, or a null MX (MX 0 .) if it takes no mail."),
            domain=domain,
            hostname=hostname,
        )
        return True, [finding]
    if any(answer.is_unknown for answer in answers):
        return True, [
            Finding.unknown("MX", "The DNS did not say whether {domain} has an address.", domain=domain)
        ]
    remedy = publish if hostname else sentence("Publish an MX record.")
    text = sentence("{domain} has neither MX nor address: no mail can reach it.")
    return False, [Finding.bad("MX", text, remedy, domain=domain, hostname=hostname)]


async def _check_host(resolver: Resolver, domain: str, record: Mx) -> list[Finding]:
    host = record.host
    values: dict[str, Value] = {"host": host, "preference": record.preference}
    answers = [await resolver.resolve(host, "A"), await resolver.resolve(host, "AAAA")]
    addresses = [address for answer in answers for address in answer.records]
    found: list[Finding] = []
    if any(
        answer.status is DnsStatus.NOERROR and answer.canonical_name not in ("", host) for answer in answers
    ):
        found.append(
            Finding.bad(  # RFC 5321 §5.1, RFC 2181 §10.3
                "MX",
                "The MX host {host} is an alias (CNAME); that is not allowed.",
                "Point MX at the host name itself, not at an alias.",
                **values,
            )
        )
    if addresses:
        text = ", ".join(map(str, addresses))
        found.append(
            Finding.good(
                "MX", "MX {preference} {host} has the address {addresses}.", **values, addresses=text
            )
        )
    elif any(answer.is_unknown for answer in answers):
        found.append(
            Finding.unknown("MX", "The DNS did not say the address of the MX host {host}.", **values)
        )
    else:
        found.append(
            Finding.bad(
                "MX",
                "The MX host {host} has no address.",
                "Give it A or AAAA records, or remove it from MX.",
                **values,
            )
        )
    return found
