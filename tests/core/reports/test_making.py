"""Reports that we make: read back by our own reader, bounded, and valid by the schema of RFC 9990."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.vectors import vectors

from sekisho.core.reports.aggregate import AggregateReport, AggregateRow, DkimSaid, PublishedPolicy
from sekisho.core.reports.finding import read_packed
from sekisho.core.reports.making import fit, format_report, read_destination

ROW = AggregateRow(
    source_ip="192.0.2.1",
    count=3,
    disposition="quarantine",
    dkim="fail",
    spf="fail",
    header_from="far.example",
    envelope_from="",
    envelope_to="here.example",
    reasons=("local_policy: bad-reputation",),
    signatures=(DkimSaid("a<b>&.example", "s1", "pass"), DkimSaid("c.example", "s2", "permerror")),
    spf_domain="far.example",
    spf_result="softfail",
)
REPORT = AggregateReport(
    organization="Here & there",
    contact="postmaster@here.example",
    report_id="20000.abc",
    begins_s=1_728_000_000,
    ends_s=1_728_086_399,
    policy=PublishedPolicy(
        domain="far.example",
        p="reject",
        sp="none",
        np="reject",
        adkim="r",
        aspf="s",
        fo="0",
        testing="n",
        discovery_method="treewalk",
    ),
    rows=(
        ROW,
        replace(ROW, source_ip="2001:db8::1", disposition="pass", dkim="pass", reasons=(), envelope_to=""),
    ),
    generator="sekisho",
)


def test_what_is_made_is_read_back() -> None:
    assert read_packed(gzip.compress(format_report(REPORT))) == REPORT


def test_a_report_that_is_too_large_leaves_out_what_is_rare() -> None:
    rows = tuple(replace(ROW, source_ip=f"10.0.{n >> 8}.{n & 255}", count=n + 1) for n in range(3000))
    fitting = fit(replace(REPORT, rows=rows), 12_000)
    assert fitting is not None
    said, packed = fitting
    assert len(packed) <= 12_000 and 100 < len(said.rows) < 3000
    assert said.rows[0].count == 3000 and "left out" in said.errors[0]
    assert read_packed(packed) == said
    assert fit(REPORT, 10) is None


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:d@far.example", "d@far.example"),
        ("MAILTO:d%2Bx@far.example?subject=x", "d+x@far.example"),
        ("https://far.example/", ""),
        ("mailto:d@[192.0.2.1]", ""),
        ("mailto:d@far.example%0d%0aBcc:x@y.example", ""),
        ("mailto:", ""),
        ("mailto:a@b.example,c@d.example", ""),
    ],
)
def test_destinations(uri: str, address: str) -> None:
    assert str(read_destination(uri) or "") == address


@pytest.mark.peers
def test_it_is_valid_by_the_schema(tmp_path: Path) -> None:
    schema = vectors("reports", "xsd", "dmarc-2.0.xsd")
    fitting = fit(REPORT, 100_000)
    assert fitting is not None
    (tmp_path / "report.xml").write_bytes(gzip.decompress(fitting[1]))
    told = peer("xmllint").run("xmllint", "--noout", "--schema", str(schema), str(tmp_path / "report.xml"))
    assert told.returncode == 0, told.stderr
