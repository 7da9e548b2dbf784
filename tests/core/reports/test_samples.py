"""Reports that others wrote: all are read, and those that are broken are refused."""

from pathlib import Path

import pytest
from tests.vectors import vectors

from sekisho.core.message.structure import scan
from sekisho.core.message.text import TransferDecoder
from sekisho.core.reports.aggregate import AggregateReport
from sekisho.core.reports.feedback import Feedback, read_failure_in_words, read_feedback
from sekisho.core.reports.finding import find_report, read_packed
from sekisho.core.reports.refusal import ReportRefused
from sekisho.core.reports.tls import TlsReport

SAMPLES = vectors("reports", "parsedmarc")


def files(folder: str) -> list[Path]:
    return sorted((SAMPLES / folder).glob("*"))


def read(path: Path) -> AggregateReport | TlsReport | Feedback:
    octets = path.read_bytes()
    if path.suffix != ".eml":
        return read_packed(octets)
    found = find_report(scan(octets))
    assert found is not None
    part = found.part
    if found.found == "packed":
        return read_packed(octets[part.body : part.end], part.encoding)
    body = TransferDecoder(part.encoding).feed(octets[part.body : part.end], final=True)
    if found.found == "words":
        return read_failure_in_words(body)
    original = b"" if found.original is None else octets[found.original.body : found.original.end]
    return read_feedback(body, original)


@pytest.mark.parametrize(
    "path", files("aggregate") + files("extract_report"), ids=lambda path: path.name[:40]
)
def test_each_aggregate_report_is_read(path: Path) -> None:
    if path.name.startswith("invalid_"):
        with pytest.raises(ReportRefused):
            read(path)
        return
    report = read(path)
    assert isinstance(report, AggregateReport)
    assert report.policy.domain and report.report_id and report.rows and report.messages


@pytest.mark.parametrize("path", files("aggregate_invalid"), ids=lambda path: path.name[:40])
def test_invalid_ones_are_refused(path: Path) -> None:
    with pytest.raises(ReportRefused):
        read(path)


@pytest.mark.parametrize("path", files("smtp_tls"), ids=lambda path: path.name[:40])
def test_each_tls_report_is_read(path: Path) -> None:
    report = read(path)
    assert isinstance(report, TlsReport)
    assert report.organization and report.begins_s and report.ends_s > report.begins_s and report.policies


@pytest.mark.parametrize("path", files("failure"), ids=lambda path: path.name[:40])
def test_each_failure_report_is_read(path: Path) -> None:
    report = read(path)
    assert isinstance(report, Feedback)
    assert report.kind == "auth-failure" and report.reported_domain and report.source_ip


def test_what_they_say() -> None:
    report = read(next(path for path in files("aggregate") if path.name.startswith("rfc9990-example")))
    assert isinstance(report, AggregateReport)
    assert (
        report.policy.np == "reject"
        and report.policy.testing == "y"
        and report.policy.discovery_method == "treewalk"
    )
    first, second = report.rows
    assert first.count == 5 and first.passes and first.signatures[0].selector == "selector1"
    assert (
        second.source_ip == "203.0.113.10"
        and not second.passes
        and second.reasons == ("other: sender not authorized",)
    )
    large = read(next(path for path in files("aggregate") if "large" in path.name))
    assert isinstance(large, AggregateReport) and len(large.rows) > 2000
    tls = read(SAMPLES / "smtp_tls" / "rfc8460.json")
    assert isinstance(tls, TlsReport)
    assert (tls.policies[0].successes, tls.policies[0].failures) == (5326, 303)
    assert tls.policies[0].details[0].result_type == "certificate-expired"
