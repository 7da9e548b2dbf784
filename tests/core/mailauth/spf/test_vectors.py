"""The public SPF suites: every case, with its explanation."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.vectors import vectors

from sekisho.core.mailauth.spf.check import check_host_now
from sekisho.core.mailauth.spf.names import to_query_name
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.terms.dns import DnsStatus, Mx, Record, RecordType
from sekisho.testing.zones import Zone, ZoneResolver

FOLDER = vectors("spf")
TYPES: tuple[RecordType, ...] = ("A", "AAAA", "MX", "TXT", "PTR", "CNAME", "NS", "SOA")


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8")


def _record(rtype: str, value: Any) -> Record:
    match rtype:
        case "A":
            return IPv4Address(value)
        case "AAAA":
            return IPv6Address(value)
        case "MX":
            return Mx(value[0], value[1].lower().removesuffix("."))
        case "TXT":
            return b"".join(map(_octets, value)) if isinstance(value, list) else _octets(value)
    return str(value).lower().removesuffix(".")


def _zone(data: dict[str, list[Any]]) -> Zone:
    """Zone data of the suites (NOTICE.md there): SPF records serve as TXT, a bare TIMEOUT is for what was not
    answered before it."""
    zone = Zone()
    for name, entries in data.items():
        name = to_query_name(name) or ""
        if not name:
            continue  # a name that DNS cannot carry
        texts = [entry["TXT"] for entry in entries if isinstance(entry, dict) and "TXT" in entry]
        answered: set[str] = set()
        for entry in entries:
            if entry == "TIMEOUT":
                for rtype in TYPES:
                    if rtype not in answered:
                        zone.break_name(name, DnsStatus.TIMEOUT, rtype)
                continue
            if isinstance(entry, str):
                raise AssertionError(f"unknown zone entry {entry}")
            ((rtype, value),) = entry.items()
            if rtype == "SPF":
                if texts:
                    continue
                rtype = "TXT"
            if value == "NONE":
                continue
            answered.add(rtype)
            if value == "TIMEOUT":
                zone.break_name(name, DnsStatus.TIMEOUT, rtype)
            else:
                zone.add(name, rtype, _record(rtype, value))
    return zone


class SuiteResolver(ZoneResolver):
    async def resolve(self, name: str, rtype: RecordType) -> Any:
        if name.startswith("error.") and name not in self.zone.names:
            self.zone.break_name(name, DnsStatus.TIMEOUT)
        return await super().resolve(name, rtype)


def _cases(path: Path) -> list[Any]:
    found = []
    for scenario in yaml.load_all(
        path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    ):
        for name, case in scenario["tests"].items():
            found.append(pytest.param(scenario, case, id=f"{path.stem}-{name}"))
    return found


CASES = [case for name in ("rfc7208-tests.yml", "rfc4408-tests.yml") for case in _cases(FOLDER / name)]


def test_all_cases_are_here() -> None:
    assert len(CASES) >= 203 + 191


@pytest.mark.parametrize(("scenario", "case"), CASES)
def test_case(scenario: dict[str, Any], case: dict[str, Any]) -> None:
    client = SpfClient(ip_address(case["host"]), case["helo"])
    sender = case["mailfrom"] or f"postmaster@{case['helo']}"
    finding = check_host_now(SuiteResolver(_zone(scenario["zonedata"])), client, sender)
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert finding.result in wanted, finding
    if "explanation" in case:
        assert finding.explanation == (None if case["explanation"] == "DEFAULT" else case["explanation"])
