"""`check domain`: what is wrong is said, and nothing else."""

import json
import re
from ipaddress import ip_address
from typing import Any

import pytest
from tests.admin.check.keys import PEM, record_of
from tests.vectors import vectors

from sekisho.admin.check import published
from sekisho.admin.check.domain import CheckDomain, check_domain
from sekisho.admin.check.finding import Finding
from sekisho.admin.context import AdminRefused
from sekisho.admin.dkim import KeyView
from sekisho.core.mailauth.dkim.sign import DkimSigner
from sekisho.core.mailauth.spf.check import check_host
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.testing.zones import ZoneResolver

PTR = "192.in-addr.arpa PTR "
GOOD = """
example.org            SOA  ns.example.org root.example.org 1 2 3 4 60
example.org            MX   10 mx.example.org
example.org            TXT  "v=spf1 mx -all"
mx.example.org         A    192.0.2.25
mx.example.org         AAAA 2001:db8::25
mx.example.org         TXT  "v=spf1 a -all"
25.2.0.192.in-addr.arpa PTR mx.example.org
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mx.example.org
_dmarc.example.org     TXT  "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"
_mta-sts.example.org   TXT  "v=STSv1; id=20270101"
_smtp._tls.example.org TXT  "v=TLSRPTv1; rua=mailto:tls@example.org"
s1._domainkey.example.org TXT "{key}"
"""


def key(state: Any = "active", selector: str = "s1") -> KeyView:
    signer = DkimSigner.from_pem("example.org", selector, PEM["ed25519"])
    return KeyView(
        domain="example.org",
        selector=selector,
        algorithm="ed25519",
        state=state,
        name=signer.key_name,
        record=signer.key_record,
        created_at_us=0,
        changed_at_us=0,
    )


async def check(*changes: tuple[str, str], add: str = "", **request: Any) -> list[Finding]:
    zone = GOOD.replace("{key}", record_of("ed25519"))
    for old, new in changes:
        assert old in zone
        zone = zone.replace(old, new)
    asked: dict[str, Any] = {"hostname": "mx.example.org", "is_ours": True, "keys": [key()]} | request
    report = await check_domain(ZoneResolver(zone + add), CheckDomain(name="Example.org", **asked))
    assert report.domain == "example.org"
    for finding in report.findings:  # every place of every sentence is filled
        assert "{" not in finding.text.format(**finding.values) + finding.remedy.format(**finding.values)
        assert finding.remedy or finding.level in ("good", "unknown")
    return report.findings


def problems(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.level, one.topic, one.text.format(**one.values)) for one in findings if one.level != "good"]


async def test_a_domain_in_order() -> None:
    found = await check()
    assert problems(found) == []
    assert {one.topic for one in found} == {"MX", "PTR", "SPF", "DKIM", "DMARC", "MTA-STS", "TLSRPT"}
    assert sum(one.topic == "PTR" for one in found) == 2


@pytest.mark.parametrize(
    ("change", "level", "topic", "text"),
    [
        (("MX   10 mx.example.org", "MX   10 mail.example.org"), "bad", "MX", "does not come to this server"),
        (
            ("MX   10 mx.example.org", "MX   10 mail.example.org"),
            "bad",
            "MX",
            "mail.example.org has no address",
        ),
        (("MX   10 mx.example.org", "MX   0 ."), "bad", "MX", "takes no mail (null MX), but this server"),
        (
            ("MX   10 mx.example.org", "MX   0 .\nexample.org MX 10 mx.example.org"),
            "bad",
            "MX",
            "null MX beside others",
        ),
        (("MX   10 mx.example.org", "A    192.0.2.25"), "hint", "MX", "has no MX record"),
        (("example.org            MX   10 mx.example.org", ""), "bad", "MX", "neither MX nor address"),
        (
            ("MX   10 mx.example.org", "MX   10 alias.example.org\nalias.example.org CNAME mx.example.org"),
            "bad",
            "MX",
            "is an alias",
        ),
        (("25.2.0.192.in-addr.arpa PTR mx.example.org", ""), "bad", "PTR", "192.0.2.25 has no reverse name"),
        ((PTR + "mx.example.org", PTR + "other.example.org"), "bad", "PTR", "does not lead back"),
        (
            (PTR + "mx.example.org", PTR + "h.example.org\nh.example.org A 192.0.2.25"),
            "hint",
            "PTR",
            "name is h.example.org",
        ),
        (
            (PTR + "mx.example.org", PTR + "p1-2.example.org\np1-2.example.org A 192.0.2.25"),
            "hint",
            "PTR",
            "S25R rule 1",
        ),
        (
            ("A    192.0.2.25", "A    10.1.2.3"),
            "bad",
            "HOST",
            "10.1.2.3 is no address of the public Internet",
        ),
        (
            ('mx.example.org         TXT  "v=spf1 a -all"', ""),
            "hint",
            "SPF",
            "EHLO: mx.example.org has no SPF record for this name",
        ),
        (('"v=spf1 mx -all"', '"hello"'), "bad", "SPF", "publishes no SPF record"),
        (
            ('"v=spf1 mx -all"', '"v=spf1 mx -all"\nexample.org TXT "v=spf1 -all"'),
            "bad",
            "SPF",
            "more than one SPF record",
        ),
        (('"v=spf1 mx -all"', '"v=spf1 mxx -all"'), "bad", "SPF", "is in error"),
        (('"v=spf1 mx -all"', '"v=spf1 mx +all"'), "bad", "SPF", "lets everybody send"),
        (('"v=spf1 mx -all"', '"v=spf1 mx"'), "hint", "SPF", "does not say what to do with other senders"),
        (('"v=spf1 mx -all"', '"v=spf1 -all"'), "bad", "SPF", "192.0.2.25 may not send for example.org"),
        (('"v=spf1 mx -all"', '"v=spf1 ?mx -all"'), "bad", "SPF", "does not say whether 192.0.2.25 may send"),
        (
            ('"v=spf1 mx -all"', f'"v=spf1 {"a:mx.example.org " * 9}mx -all"'),
            "hint",
            "SPF",
            "needs 10 of the 10",
        ),
        (
            ('"v=spf1 mx -all"', f'"v=spf1 mx {"a:mx.example.org " * 12}-all"'),
            "bad",
            "SPF",
            "needs 13 lookups",
        ),
        (
            ('"v=spf1 mx -all"', '"v=spf1 mx a:x1.example.org a:x2.example.org a:x3.example.org -all"'),
            "bad",
            "SPF",
            "3 lookups",
        ),
        (("s1._domainkey", "s2._domainkey"), "bad", "DKIM", "is not in the DNS"),
        (("v=DKIM1; k=ed25519; p=", "v=DKIM1; k=ed25519; p=AAAA"), "bad", "DKIM", "has another one"),
        (("_dmarc.example.org", "_dmarx.example.org"), "bad", "DMARC", "No DMARC record applies"),
        (("p=quarantine", "p=none"), "hint", "DMARC", "asks for no action"),
        (("p=quarantine", "p=nothing"), "bad", "DMARC", "has no valid policy"),
        (("p=quarantine", "p=quarantine; t=y"), "hint", "DMARC", "marked as a test"),
        (("rua=mailto:dmarc@example.org", "sp=none"), "hint", "DMARC", "asks for no reports"),
        (
            ("rua=mailto:dmarc@example.org", "rua=mailto:x@far.example"),
            "hint",
            "DMARC",
            "far.example does not say that it wants them",
        ),
        (("id=20270101", "id=2027-01-01"), "bad", "MTA-STS", "is not valid"),
        (("_mta-sts", "_mta-stx"), "hint", "MTA-STS", "no MTA-STS policy"),
        (("v=TLSRPTv1; rua=mailto:tls@example.org", "v=TLSRPTv1"), "bad", "TLSRPT", "is not valid"),
        (("_smtp._tls", "_smtp._tsl"), "hint", "TLSRPT", "asks for no reports"),
    ],
)
async def test_what_is_wrong_is_said(change: tuple[str, str], level: str, topic: str, text: str) -> None:
    found = problems(await check(change))
    assert any((one[0], one[1]) == (level, topic) and text in one[2] for one in found), found


def remedies(findings: list[Finding], topic: str = "SPF") -> str:
    return "\n".join(one.remedy.format(**one.values) for one in findings if one.topic == topic)


def spf_records(findings: list[Finding]) -> list[str]:
    return re.findall(r'TXT "(v=spf1[^"]*)"', remedies(findings))


MX = "example.org            MX   10 mx.example.org"
SPF = 'example.org            TXT  "v=spf1 mx -all"'
HELLO_SPF = 'mx.example.org         TXT  "v=spf1 a -all"'


@pytest.mark.parametrize(
    "changes",
    [
        ((SPF, ""),),
        ((SPF, ""), (MX, "")),
        ((SPF, ""), ("MX   10 mx.example.org", "MX   0 .")),
        ((SPF, ""), ("MX   10 mx.example.org", "MX   0 .\nexample.org MX 5 far.example")),
        ((SPF, ""), ("MX   10 mx.example.org", "MX   10 filter.example\nfilter.example A 198.51.100.1")),
        ((SPF, ""), (MX, ""), ("mx.example.org         A    192.0.2.25", "")),
        ((SPF, 'example.org TXT "v=spf1 +all"'),),
        (
            (SPF, 'example.org TXT "v=spf1 ?all"'),
            ("MX   10 mx.example.org", "MX   10 filter.example\nfilter.example A 198.51.100.1"),
        ),
        ((SPF, ""), ("mx.example.org         A    192.0.2.25", ""), (HELLO_SPF, "")),
    ],
)
@pytest.mark.parametrize("ips", [(), ("192.0.2.77", "2001:db8::77")])
async def test_every_record_that_is_advised_lets_this_server_send(
    changes: tuple[tuple[str, str], ...], ips: tuple[str, ...]
) -> None:
    """What is published as advised, with the MX and the addresses that are advised too, passes for each
    address of ours."""
    found = await check(*changes, addresses=tuple(map(ip_address, ips)))
    records = spf_records(found)
    assert (
        records and len({record for record in records if record.startswith("v=spf1 a")}) <= 1
    )  # two would be an error
    addresses = ips or ("192.0.2.25", "2001:db8::25")
    for record in records:
        name = "mx.example.org" if record.startswith("v=spf1 a") else "example.org"
        zone = f'{name} TXT "{record}"\nexample.org MX 10 filter.example\nmx.example.org A 192.0.2.25\n'
        zone += "mx.example.org AAAA 2001:db8::25\n"
        for address in addresses:
            spf = await check_host(
                ZoneResolver(zone), SpfClient(ip_address(address), "x"), f"postmaster@{name}"
            )
            assert spf.result == "pass", (record, address)


OUT = "7.2.0.192.in-addr.arpa PTR out.example.org\nout.example.org A 192.0.2.7\n"


async def test_what_outgoing_connections_are_bound_to_is_looked_at() -> None:
    """Of that IP version nothing else: receivers never see the others."""
    found = await check(sources=(ip_address("192.0.2.7"),))
    assert [one for one in problems(found) if "192.0.2.7 " in one[2]], problems(found)
    said = " ".join(one.text.format(**one.values) for one in found if one.topic in ("PTR", "SPF"))
    assert "192.0.2.7" in said and "192.0.2.25" not in said and "2001:db8::25" in said
    spf = '"v=spf1 ip4:192.0.2.7 mx -all"'
    found = await check((SPF, f"example.org TXT {spf}"), add=OUT, sources=(ip_address("192.0.2.7"),))
    assert ("good", "MAIL FROM: 192.0.2.7 may send for example.org (ip4:192.0.2.7).") in [
        (one.level, one.text.format(**one.values)) for one in found
    ]


async def test_every_record_that_is_advised_names_what_is_bound() -> None:
    found = await check((SPF, ""), sources=(ip_address("192.0.2.7"),))
    records = spf_records(found)
    assert records and all("ip4:192.0.2.7" in record for record in records)


@pytest.mark.parametrize(
    "asked",
    [
        {"sources": (ip_address("10.0.0.7"), ip_address("fd00::7"))},  # others see what it is translated to
        {"sources": (ip_address("192.0.2.7"),), "addresses": (ip_address("192.0.2.25"),)},
        {"sources": (ip_address("192.0.2.7"),), "is_ours": False},
    ],
)
async def test_what_is_bound_does_not_count(asked: dict[str, Any]) -> None:
    assert problems(await check(**asked)) == problems(await check(**(asked | {"sources": ()})))


async def test_a_domain_of_ours_without_any_record_is_not_told_to_forbid_its_own_mail() -> None:
    report = await check_domain(
        ZoneResolver("example.org SOA ns.example.org root.example.org 1 2 3 4 60\n"),
        CheckDomain(name="example.org", hostname="mx.example.org", is_ours=True),
    )
    assert "-all" in remedies(report.findings) and '"v=spf1 -all"' not in remedies(report.findings)
    assert "Publish: example.org MX 10 mx.example.org" in remedies(report.findings, "MX")
    assert {"SPF", "DMARC", "MTA-STS", "TLSRPT"} <= {one.topic for one in report.findings}


@pytest.mark.parametrize("asked", [{"addresses": (ip_address("192.0.2.9"),)}, {"keys": None}])
async def test_whoever_may_send_is_not_told_to_say_that_nobody_does(asked: dict[str, Any]) -> None:
    """It has an address to send from, or the server that would know whether it serves it was out of reach."""
    report = await check_domain(
        ZoneResolver("far.example SOA ns.example.org root.example.org 1 2 3 4 60\n"),
        CheckDomain(name="far.example", **asked),
    )
    assert '"v=spf1 -all"' not in remedies(report.findings) and "p=reject" not in remedies(
        report.findings, "DMARC"
    )


async def test_advice_for_a_quiet_domain_says_for_whom_it_is() -> None:
    report = await check_domain(ZoneResolver("quiet.example MX 0 .\n"), CheckDomain(name="quiet.example"))
    assert 'If nobody sends mail in its name, publish: quiet.example TXT "v=spf1 -all"' in remedies(
        report.findings
    )
    assert (
        'If nobody sends mail in its name, publish: _dmarc.quiet.example TXT "v=DMARC1; p=reject"'
        in remedies(report.findings, "DMARC")
    )


async def test_two_keys_at_one_name_are_said() -> None:
    found = problems(
        await check(
            add=f's1._domainkey.example.org TXT "{record_of("rsa")[:255]}" "{record_of("rsa")[255:]}"\n'
        )
    )
    assert [one[:2] for one in found] == [("bad", "DKIM")] and "more than one TXT record" in found[0][2]


async def test_a_server_named_like_its_domain_needs_one_spf_record() -> None:
    zone = (
        "example.org MX 10 example.org\nexample.org A 192.0.2.25\n25.2.0.192.in-addr.arpa PTR example.org\n"
    )
    report = await check_domain(
        ZoneResolver(zone), CheckDomain(name="example.org", hostname="example.org", is_ours=True)
    )
    assert len(spf_records(report.findings)) == 1


async def test_a_key_that_waits_is_not_made_again() -> None:
    assert "dkim add" not in remedies(await check(keys=[key("next")]), "DKIM")


async def test_two_dmarc_records_are_none() -> None:
    found = problems(await check(add='_dmarc.example.org TXT "v=DMARC1; p=reject"\n'))
    assert [one[:2] for one in found] == [("bad", "DMARC")] and "more than one" in found[0][2]


async def test_reports_to_somebody_who_wants_them() -> None:
    wanted = 'example.org._report._dmarc.far.example TXT "v=DMARC1"\n'
    assert (
        problems(await check(("rua=mailto:dmarc@example.org", "rua=mailto:x@far.example!10m"), add=wanted))
        == []
    )


@pytest.mark.parametrize(
    "dead",
    [
        "example.org",
        "example.org MX",
        "mx.example.org",
        "25.2.0.192.in-addr.arpa",
        "s1._domainkey.example.org",
        "_dmarc.example.org",
        "_mta-sts.example.org",
        "_smtp._tls.example.org",
    ],
)
async def test_what_the_dns_does_not_say_is_unknown_never_wrong(dead: str) -> None:
    levels = {one[0] for one in problems(await check(add=f"$SERVFAIL {dead}\n"))}
    assert levels == {"unknown"}


async def test_a_domain_that_does_not_exist() -> None:
    report = await check_domain(ZoneResolver(""), CheckDomain(name="example.org"))
    assert [(one.level, one.topic) for one in report.findings] == [("bad", "DNS")]
    with pytest.raises(AdminRefused, match="not a domain"):
        await check_domain(ZoneResolver(""), CheckDomain(name="example..org"))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([], "No key signs"),
        ([key("next")], "No key signs"),
        ([key("next")], "The next key s1 is published"),
        ([key(), key("next", "s2")], "The next key s2 is not published yet"),
        ([key(), key("retired", "s2")], "The retired key s2 is no longer published"),
        (None, "could not be read"),
    ],
)
async def test_keys_on_their_way(keys: list[KeyView] | None, text: str) -> None:
    assert any(text in one[2] for one in problems(await check(keys=keys)))


async def test_a_retired_key_may_stay_published() -> None:
    assert problems(await check(keys=[key("retired"), key()])) == []


@pytest.mark.parametrize(
    ("selector", "record", "level", "text"),
    [
        ("r2048", record_of("rsa"), "good", "is usable (rsa, 2048 bits)"),
        ("S1", "", "good", "is usable (ed25519, 256 bits)"),
        ("none", "", "bad", "There is no key"),
        ("r1024", record_of("rsa1024"), "hint", "has 1024 bits"),
        ("r512", record_of("rsa512"), "bad", "has only 512 bits"),
        ("test", record_of("rsa") + "; t=y", "hint", "it is a test"),
        ("gone", "v=DKIM1; p=", "bad", "cannot be used: key revoked"),
    ],
)
async def test_a_key_of_somebody_else(selector: str, record: str, level: str, text: str) -> None:
    add = f'{selector}._domainkey.example.org TXT "{record[:255]}" "{record[255:]}"\n' if record else ""
    found = await check(add=add, selectors=(selector,))
    (finding,) = [
        one
        for one in found
        if one.values.get("name") == f"{selector.lower()}._domainkey.example.org" and one.topic == "DKIM"
    ][-1:]
    assert finding.level == level and text in finding.text.format(**finding.values)


async def test_a_domain_of_others() -> None:
    """Nothing is expected of it that only holds for a domain of this server."""
    found = await check(
        ("MX   10 mx.example.org", "MX   10 mail.example.org\nmail.example.org A 192.0.2.77"),
        is_ours=False,
        keys=[],
    )
    assert problems(found) == [] and {one.topic for one in found} == {
        "MX",
        "SPF",
        "DMARC",
        "MTA-STS",
        "TLSRPT",
    }
    found = await check(is_ours=False, keys=[], addresses=(ip_address("198.51.100.7"),))
    assert [one[:2] for one in problems(found)] == [("bad", "PTR"), ("bad", "SPF")]


async def test_a_domain_without_mail() -> None:
    zone = 'quiet.example MX 0 .\n_dmarc.quiet.example TXT "v=DMARC1; p=reject; rua=mailto:a@quiet.example"\n'
    report = await check_domain(ZoneResolver(zone), CheckDomain(name="quiet.example"))
    assert [one[:2] for one in problems(report.findings)] == [("hint", "SPF")]
    report = await check_domain(
        ZoneResolver(zone + 'quiet.example TXT "v=spf1 -all"\n'), CheckDomain(name="quiet.example")
    )
    assert problems(report.findings) == []


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("record-syntax.json", published._STS), ("tlsrpt-record-syntax.json", published._TLSRPT)],
    ids=["sts", "tlsrpt"],
)
def test_the_syntax_of_records_about_tls(file: str, pattern: re.Pattern[bytes]) -> None:
    cases = json.loads(vectors("mta-sts", file).read_text())
    assert len(cases) > 10
    assert [case for case in cases if bool(pattern.match(case["input"].encode())) != case["valid"]] == []
