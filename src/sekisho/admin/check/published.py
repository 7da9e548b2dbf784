"""TXT records that a domain publishes: DKIM keys, DMARC, MTA-STS, TLSRPT."""

import re
from collections.abc import Sequence

import msgspec

from sekisho.admin.check.finding import Finding, Value, sentence
from sekisho.admin.dkim import KeyView
from sekisho.core.mailauth.dkim.keys import KeyRecord, parse_key_record
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, evaluate_dmarc
from sekisho.core.mailauth.dmarc.record import DmarcRecord, is_dmarc_record
from sekisho.core.terms.dns import Answer, Resolver

MIN_RSA_BITS = 1024  # RFC 8301 §3.2: less never passes
GOOD_RSA_BITS = 2048
_MORE = rb"(?:[ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}=[!-:<>-~]+)*[ \t]*;?[ \t]*\Z"
_STS = re.compile(rb"v=STSv1[ \t]*;[ \t]*id=[A-Za-z0-9]{1,32}" + _MORE)  # RFC 8461 §3.1
_URI = rb"(?:mailto|https):[!-+\--:<-~]+"
_TLSRPT = re.compile(
    rb"v=TLSRPTv1[ \t]*;[ \t]*rua=" + _URI + rb"(?:[ \t]*,[ \t]*" + _URI + rb")*" + _MORE
)  # RFC 8460 §3
_MAILTO = re.compile(r"mailto:[^@]+@([^?!]+)", re.IGNORECASE)


def _texts(answer: Answer) -> list[bytes]:
    return [record for record in answer.records if isinstance(record, bytes)]


def _unknown(topic: str, name: str, answer: Answer) -> Finding:
    return Finding.unknown(
        topic, "The DNS did not say what stands at {name}: {detail}", name=name, detail=answer.status.value
    )


async def check_dkim(resolver: Resolver, domain: str, keys: list[KeyView] | None) -> list[Finding]:
    """Are the keys that this server holds the published ones? `keys` None: they could not be read."""
    if keys is None:
        return [
            Finding.hint(
                "DKIM",
                "The keys of {domain} on this server could not be read.",
                "Run this as root or as the user of the server.",
                domain=domain,
            )
        ]
    if not any(key.state == "active" for key in keys):
        begin = sentence("sekisho dkim add {domain}, publish the record, sekisho dkim rotate {domain}")
        go_on = sentence(
            "Publish what this prints: sekisho dkim publish {domain}; then: sekisho dkim rotate {domain}"
        )
        remedy = go_on if any(key.state == "next" for key in keys) else begin
        return [
            Finding.bad("DKIM", "No key signs the mail of {domain}.", remedy, domain=domain),
            *[await _check_key(resolver, key) for key in keys],
        ]
    return [await _check_key(resolver, key) for key in keys]


async def what_keeps_from_signing(resolver: Resolver, key: KeyView) -> Finding | None:
    """Why mail signed with this key would fail, as far as its record in the DNS goes; None if nothing speaks
    against it."""
    finding = await _check_key(resolver, msgspec.structs.replace(key, state="active"))
    values = finding.values | {"detail": finding.values.get("detail", "")}
    if finding.level == "good":
        return None
    if finding.level == "unknown":
        text = sentence("The DNS did not say whether it has the record of {selector} at {name}: {detail}.")
        return Finding(
            level="unknown", topic="DKIM", text=text, remedy="", values=values | {"selector": key.selector}
        )
    text = sentence(
        "The DNS does not have the record of {selector} at {name}: what it signs would fail everywhere."
    )
    return Finding(level="bad", topic="DKIM", text=text, remedy=finding.remedy, values=values)


async def _check_key(resolver: Resolver, key: KeyView) -> Finding:
    answer = await resolver.resolve(key.name, "TXT")
    values: dict[str, Value] = {
        "name": key.name,
        "selector": key.selector,
        "domain": key.domain,
        "algorithm": key.algorithm,
    }
    if answer.is_unknown:
        return _unknown("DKIM", key.name, answer)
    published = [parse_key_record(text) for text in _texts(answer)]
    ours = parse_key_record(key.record.encode())
    assert isinstance(ours, KeyRecord)  # we made it
    same = any(isinstance(record, KeyRecord) and record.key == ours.key for record in published)
    publish = sentence("Publish what this prints: sekisho dkim publish {domain}")
    if same and len(published) > 1:  # RFC 6376 §3.6.2.2: which one a receiver takes is open
        return Finding.bad(
            "DKIM", "There is more than one TXT record at {name}.", "Keep the one with the key.", **values
        )
    if same and key.state == "retired":
        return Finding.good(
            "DKIM", "The retired key {selector} is still published, for mail under way.", **values
        )
    if same and key.state == "next":
        return Finding.hint(
            "DKIM",
            "The next key {selector} is published.",
            "Sign with it: sekisho dkim rotate {domain}",
            **values,
        )
    if same:
        return Finding.good(
            "DKIM", "Mail is signed with the key {selector} ({algorithm}), and {name} has it.", **values
        )
    if key.state == "retired":
        return Finding.hint(
            "DKIM",
            "The retired key {selector} is no longer published.",
            "Forget it, once no mail is under way: sekisho dkim retire {domain}",
            **values,
        )
    if key.state == "next":
        return Finding.hint("DKIM", "The next key {selector} is not published yet.", publish, **values)
    if published:
        return Finding.bad(
            "DKIM",
            "Mail is signed with the key {selector}, but {name} has another one: signatures fail.",
            publish,
            **values,
        )
    return Finding.bad(
        "DKIM",
        "Mail is signed with the key {selector}, but {name} is not in the DNS: signatures fail.",
        publish,
        **values,
    )


async def check_selectors(resolver: Resolver, domain: str, selectors: Sequence[str]) -> list[Finding]:
    """Keys of whoever else signs for the domain."""
    return [
        await _check_selector(resolver, f"{selector.lower()}._domainkey.{domain}") for selector in selectors
    ]


async def _check_selector(resolver: Resolver, name: str) -> Finding:
    answer = await resolver.resolve(name, "TXT")
    if answer.is_unknown:
        return _unknown("DKIM", name, answer)
    texts = _texts(answer)
    if not texts:
        return Finding.bad(
            "DKIM", "There is no key at {name}.", "Publish it there, or correct the selector.", name=name
        )
    if len(texts) > 1:
        return Finding.bad(
            "DKIM", "There is more than one TXT record at {name}.", "Keep the one with the key.", name=name
        )
    record = parse_key_record(texts[0])
    if not isinstance(record, KeyRecord):
        return Finding.bad(
            "DKIM",
            "The key at {name} cannot be used: {detail}",
            "Publish the record anew, as it was made.",
            name=name,
            detail=record,
        )
    values: dict[str, Value] = {"name": name, "algorithm": record.key_type, "bits": record.bits}
    if record.key_type == "rsa" and record.bits < MIN_RSA_BITS:
        return Finding.bad(
            "DKIM",
            "The key at {name} has only {bits} bits: its signatures never pass.",
            "Make an RSA key of 2048 bits.",
            **values,
        )
    if record.is_testing:
        return Finding.hint(
            "DKIM", "The key at {name} says that it is a test (t=y).", "Publish it without t=y.", **values
        )
    if record.key_type == "rsa" and record.bits < GOOD_RSA_BITS:
        return Finding.hint(
            "DKIM", "The key at {name} has {bits} bits.", "Make an RSA key of 2048 bits.", **values
        )
    return Finding.good("DKIM", "The key at {name} is usable ({algorithm}, {bits} bits).", **values)


async def check_dmarc(resolver: Resolver, domain: str, *, is_silent: bool = False) -> list[Finding]:
    """The record that applies, by the tree walk of RFC 9989 §4.10. `is_silent`: no mail goes to the domain,
    so no reports either."""
    name = f"_dmarc.{domain}"
    own = await resolver.resolve(name, "TXT")
    if sum(map(is_dmarc_record, _texts(own))) > 1:
        return [
            Finding.bad(
                "DMARC",
                "There is more than one DMARC record at {name}: none counts.",
                "Keep one of them.",
                name=name,
            )
        ]
    finding = await evaluate_dmarc(resolver, [domain])
    if finding.result == "temperror":
        return [
            Finding.unknown(
                "DMARC",
                "The DNS did not say which DMARC record applies to {domain}: {reason}",
                domain=domain,
                reason=finding.problem,
            )
        ]
    if finding.record is None:
        text = sentence("No DMARC record applies to {domain}: anybody may use it in From.")
        watch = sentence('Publish: _dmarc.{domain} TXT "v=DMARC1; p=none; rua=mailto:postmaster@{domain}"')
        forbid = sentence(
            'If nobody sends mail in its name, publish: _dmarc.{domain} TXT "v=DMARC1; p=reject"'
        )
        remedy = forbid if is_silent else watch
        return [Finding.bad("DMARC", text, remedy, domain=domain)]
    return [_judge_policy(finding), *await _check_reports(resolver, finding, finding.record)]


def _judge_policy(finding: DmarcFinding) -> Finding:
    record = finding.record
    values: dict[str, Value] = {
        "domain": finding.author_domain,
        "place": f"_dmarc.{finding.policy_domain}",
        "policy": finding.policy,
        "tag": finding.tag,
    }
    if record is not None and record.is_faulty:
        return Finding.bad(
            "DMARC",
            "The DMARC record at {place} has no valid policy; it counts as p=none.",
            "Correct p=, sp= or np=.",
            **values,
        )
    if record is not None and record.testing and finding.requested != "none":
        return Finding.hint(
            "DMARC",
            "The DMARC record at {place} is marked as a test (t=y): it counts as {policy}.",
            "Remove t=y once the reports show no problems.",
            **values,
        )
    if finding.policy == "none":
        return Finding.hint(
            "DMARC",
            "The DMARC record at {place} asks for no action ({tag}=none): forged mail in the name of "
            "{domain} is let through.",
            "Once the reports show that all your mail passes: p=quarantine, later perhaps p=reject.",
            **values,
        )
    return Finding.good(
        "DMARC", "The DMARC record at {place} asks for {policy} of what does not pass ({tag}=).", **values
    )


async def _check_reports(resolver: Resolver, finding: DmarcFinding, record: DmarcRecord) -> list[Finding]:
    """Does anybody hear how it goes, and may they (RFC 9990 §4)?"""
    if not record.rua:
        remedy = sentence("Add rua=mailto:postmaster@{domain} to learn who sends in its name.")
        return [
            Finding.hint(
                "DMARC",
                "The DMARC record of {domain} asks for no reports.",
                remedy,
                domain=finding.policy_domain,
            )
        ]
    found = []
    for uri in record.rua:
        match = _MAILTO.match(uri)
        host = match[1].lower() if match else ""
        if not host or host == finding.policy_domain or host.endswith("." + finding.policy_domain):
            continue
        name = f"{finding.policy_domain}._report._dmarc.{host}"
        answer = await resolver.resolve(name, "TXT")
        if answer.is_unknown:
            found.append(_unknown("DMARC", name, answer))
        elif not any(map(is_dmarc_record, _texts(answer))):
            text = sentence("Reports are to go to {host}, but {host} does not say that it wants them.")
            found.append(
                Finding.hint("DMARC", text, 'There must be: {name} TXT "v=DMARC1"', host=host, name=name)
            )
    return found


async def check_mta_sts(resolver: Resolver, domain: str) -> Finding:
    """Only whether there is a sign of a policy (RFC 8461 §3.1); the policy itself is not fetched."""
    name = f"_mta-sts.{domain}"
    answer = await resolver.resolve(name, "TXT")
    if answer.is_unknown:
        return _unknown("MTA-STS", name, answer)
    texts = [text for text in _texts(answer) if text.startswith(b"v=STSv1")]
    if not texts:
        text = sentence("{domain} has no MTA-STS policy: senders encrypt, but cannot verify the server.")
        return Finding.hint(
            "MTA-STS", text, "Publish one (RFC 8461), or DANE records of the MX hosts.", domain=domain
        )
    if len(texts) > 1 or not _STS.match(texts[0]):
        return Finding.bad(
            "MTA-STS",
            "The record at {name} is not valid: no policy is looked for.",
            'It is: "v=STSv1; id=20270101"',
            name=name,
        )
    return Finding.good("MTA-STS", "{domain} announces an MTA-STS policy.", domain=domain)


async def check_tls_reports(resolver: Resolver, domain: str) -> Finding:
    """RFC 8460 §3."""
    name = f"_smtp._tls.{domain}"
    answer = await resolver.resolve(name, "TXT")
    if answer.is_unknown:
        return _unknown("TLSRPT", name, answer)
    texts = [text for text in _texts(answer) if text.startswith(b"v=TLSRPTv1")]
    remedy = sentence('Publish: {name} TXT "v=TLSRPTv1; rua=mailto:postmaster@{domain}"')
    if not texts:
        text = sentence("{domain} asks for no reports of failed encryption.")
        return Finding.hint("TLSRPT", text, remedy, domain=domain, name=name)
    if len(texts) > 1 or not _TLSRPT.match(texts[0]):
        return Finding.bad(
            "TLSRPT",
            "The record at {name} is not valid: no reports are sent.",
            remedy,
            domain=domain,
            name=name,
        )
    return Finding.good("TLSRPT", "{domain} asks for reports of failed encryption.", domain=domain)
