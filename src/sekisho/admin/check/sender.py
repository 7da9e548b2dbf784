"""Sentences about the host that hands a message in: its reverse name, and SPF."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from sekisho.admin.check.finding import Finding, sentence
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding


def judge_iprev(finding: IprevFinding | None, hello: str) -> list[Finding]:
    """RFC 8601 §3. Nothing without an address."""
    if finding is None:
        return []
    address, claimed = str(finding.address), ", ".join(finding.claimed)
    if finding.result == "pass":
        found = [
            Finding.good(
                "PTR",
                "The reverse name of {address} is {name}, and that name leads back to the address.",
                address=address,
                name=finding.name,
            )
        ]
        if hello and hello.lower().rstrip(".") != finding.name:
            found.append(
                Finding.hint(
                    "PTR",
                    "The host says EHLO {hello}, but its reverse name is {name}; some receivers want "
                    "them to be the same.",
                    "Let the server say its reverse name in EHLO, or have the reverse name changed by "
                    "whoever gave you the address.",
                    hello=hello,
                    name=finding.name,
                )
            )
        return found
    if finding.result == "temperror":
        return [Finding.unknown("PTR", "The DNS did not say the reverse name of {address}.", address=address)]
    remedy = sentence(
        "Have the reverse name set to the name in EHLO by whoever gave you the address; that name must "
        "have the address as A or AAAA."
    )
    if finding.result == "permerror":
        return [
            Finding.bad(
                "PTR",
                "{address} has no reverse name; large receivers refuse mail from it.",
                remedy,
                address=address,
            )
        ]
    return [
        Finding.bad(
            "PTR",
            "The reverse name of {address} is {claimed}, but that name does not lead back to the "
            "address; large receivers refuse mail from it.",
            remedy,
            address=address,
            claimed=claimed,
        )
    ]


def judge_spf(
    evidence: SpfEvidence | None, client: IPv4Address | IPv6Address | None, reverse_path: str | None
) -> list[Finding]:
    """Both identities; a hint how to have them checked if something is missing for that."""
    if evidence is None:
        missing = "--ip" if client is None else "--mail-from"
        return [
            Finding.hint(
                "SPF",
                "SPF was not checked: it depends on who hands the message in.",
                "Say it with {option}.",
                option=missing,
            )
        ]
    if not reverse_path:
        return [judge_identity(evidence.helo, "EHLO", str(client))]
    return [
        judge_identity(evidence.mailfrom, "MAIL FROM", str(client)),
        judge_identity(evidence.helo, "EHLO", str(client)),
    ]


def mechanism(address: IPv4Address | IPv6Address) -> str:
    """The term of an SPF record that names it."""
    return f"ip{address.version}:{address}"


def judge_identity(finding: SpfFinding, identity: str, address: str, record: str = "") -> Finding:
    """One identity of RFC 7208 §2.6; EHLO is a hint at most. `record`: to publish where there is none."""
    named = mechanism(ip_address(address)) if address else "-"
    values: dict[str, str | int] = {
        "identity": identity, "address": address, "domain": finding.domain, "term": finding.term or "-",
        "reason": finding.problem, "mechanism": named,
        "record": record or f"v=spf1 {'a' if identity == 'EHLO' else 'mx'} {named} -all",
    }  # fmt: skip
    match finding.result:
        case "pass":
            return Finding.good("SPF", "{identity}: {address} may send for {domain} ({term}).", **values)
        case "temperror":
            return Finding.unknown(
                "SPF", "{identity}: the DNS did not say who may send for {domain}: {reason}", **values
            )
        case "none" if identity == "EHLO":
            return Finding.hint(
                "SPF",
                "{identity}: {domain} has no SPF record for this name, which is checked for mail "
                "with an empty sender.",
                'Publish for it: {domain} TXT "{record}", with every other address that says this name in '
                "EHLO.",
                **values,
            )
        case "none":
            return Finding.bad(
                "SPF",
                "{identity}: {domain} publishes no SPF record, so nothing says that {address} may send "
                "for it.",
                'If {address} is a server of yours: {domain} TXT "{record}", with every other server that '
                "sends for it.",
                **values,
            )
        case "permerror":
            return Finding.bad(
                "SPF",
                "{identity}: the SPF record of {domain} is in error: {reason}",
                "Correct the record.",
                **values,
            )
        case "neutral":
            return Finding.bad(
                "SPF",
                "{identity}: the SPF record of {domain} does not say whether {address} may send for it "
                "({term}).",
                "If it is a server of yours, name it in the record: {mechanism}. Then end the record in "
                "-all or ~all.",
                **values,
            )
    return Finding.bad(
        "SPF",
        "{identity}: {address} may not send for {domain} ({term}).",
        "If it is a server of yours, name it in the SPF record: {mechanism}. Forwarded mail always "
        "fails SPF; sign it with DKIM.",
        **values,
    )
