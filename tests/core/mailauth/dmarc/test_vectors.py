"""The public DMARC cases: all that RFC 9989 supports; those that it does not are listed here with the
clause."""

import json
from ipaddress import IPv4Address
from typing import Any

import pytest
from tests.vectors import vectors

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, evaluate_dmarc_now
from sekisho.core.mailauth.dmarc.record import is_dmarc_record, parse_record
from sekisho.core.terms.dns import DnsStatus, Mx
from sekisho.testing.zones import Zone, ZoneResolver

FOLDER = vectors("dmarc")

DISPUTED = {
    # RFC 9989 §4.10 step 2 discards several records and goes on; §4.10.1 then takes the organization's. It
    # stops nowhere.
    "rfc9989-005": "RFC 9989 §4.10, §4.10.1",
    # RFC 9989 §5.3.1 asks for precisely one domain in From; two authors of one domain are that.
    "dmarc-025": "RFC 9989 §5.3.1",
}
# The strict reading of RFC 7489 that RFC 9989 gave up.
DISPUTED_RECORDS = {
    "v=DMARC1; sp=reject; p=reject": "RFC 9989 §4.7: only v must be first",
    "v=DMARC1; rua=mailto:dmarc-feedback@example.com!99999999999999999999999999999999999999999999999": (
        "RFC 9989 §4.8: the size suffix is any number of digits, and ignored"
    ),
}
# Fields of that library's own output, not of DMARC.
NOT_DMARC = ("status.comment", "alignment.dkim.underSized", "rr", "info", "pct", "error", "status.header.d")
ABSENT = object()


def _resolver(zone: dict[str, Any]) -> ZoneResolver:
    made = Zone()
    for name, records in zone.items():
        if "error" in records:
            made.break_name(name, DnsStatus.TIMEOUT)
            continue
        for text in records.get("TXT", ()):
            made.add(name, "TXT", text.encode())
        for text in records.get("A", ()):
            made.add(name, "A", IPv4Address(text))
        for mx in records.get("MX", ()):
            made.add(name, "MX", Mx(mx["priority"], mx["exchange"]))
    return ZoneResolver(made)


def _domains(entries: list[Any]) -> list[str]:
    return [entry if isinstance(entry, str) else entry["domain"] for entry in entries]


def _field(finding: DmarcFinding, resolver: ZoneResolver, field: str) -> Any:
    record = finding.record
    match field:
        case "status.result":
            return finding.result
        case "policy":
            return finding.policy
        case "p" | "sp":
            return getattr(record, field)
        case "domain":
            return finding.policy_domain
        case "status.header.from":
            return finding.author_domain
        case "alignment.dkim.strict":
            return record is not None and record.adkim == "s"
        case "alignment.spf.strict":
            return record is not None and record.aspf == "s"
        case "alignment.dkim.result":
            return (finding.organizational_domain or finding.author_domain) if finding.dkim_aligned else None
        case "alignment.spf.result":
            return (finding.organizational_domain or finding.author_domain) if finding.spf_aligned else None
        case "result-object":
            return finding.result not in ("none", "permerror")
        case "dns-queries(_dmarc TXT, in order)":
            return [
                name for name, rtype in resolver.questions if rtype == "TXT" and name.startswith("_dmarc.")
            ]
    raise AssertionError(f"unknown field {field}")


CASES = [
    case
    for name in ("rfc9989-cases.json", "evaluate-cases.json")
    for case in json.loads((FOLDER / name).read_text("utf-8"))
]


def test_all_cases_are_here() -> None:
    assert len(CASES) >= 30 + 34


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if case["id"] not in DISPUTED]
)
def test_case(case: dict[str, Any]) -> None:
    resolver = _resolver(case["zone"])
    given = case["input"]
    authors = given["headerFrom"] if isinstance(given["headerFrom"], list) else [given["headerFrom"]]
    spf = _domains(given["spfDomains"])
    finding = evaluate_dmarc_now(
        resolver,
        [author.rpartition("@")[2] for author in authors],
        spf_domain=spf[0] if spf else None,
        dkim_domains=_domains(given["dkimDomains"]),
    )
    for expected in case["expect"]:
        if expected["field"] in NOT_DMARC or expected["op"] == "not property":
            continue
        value = _field(finding, resolver, expected["field"])
        match expected["op"]:
            case "equal":
                assert value == expected["value"], (expected["field"], finding)
            case "true":
                assert value is True, (expected["field"], finding)
            case "false":
                assert value is False, (expected["field"], finding)
            case "not ok" | "undefined":
                assert not value, (expected["field"], finding)
            case other:
                raise AssertionError(f"unknown comparison {other}")


RECORDS = json.loads((FOLDER / "record-syntax.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case["input"]) for case in RECORDS if case["input"] not in DISPUTED_RECORDS],
)
def test_record(case: dict[str, Any]) -> None:
    octets = case["input"].encode()
    record = parse_record(octets) if is_dmarc_record(octets) else None
    assert (record is not None and record.is_usable) is case["valid"]


def test_the_disputed_are_among_the_cases() -> None:
    assert {case["id"] for case in CASES} >= set(DISPUTED)
    assert {case["input"] for case in RECORDS} >= set(DISPUTED_RECORDS)
