"""Reports made to do harm: each is refused, and costs little."""

import base64
import gzip
import io
import json
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.core.message.structure import scan
from sekisho.core.reports.feedback import read_feedback
from sekisho.core.reports.finding import PackedReader, find_report, read_packed
from sekisho.core.reports.refusal import ReportRefused, tame
from sekisho.core.reports.unpacking import PIECE, Unpacker

RECORD = (
    "<record><row><source_ip>192.0.2.1</source_ip><count>1</count><policy_evaluated><disposition>none</disposition>"
    "<dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.org</header_from>"
    "</identifiers><auth_results/></record>"
)


def xml(records: str = RECORD, *, before: str = "") -> bytes:
    return (
        f"<?xml version='1.0'?>{before}<feedback><report_metadata><org_name>o</org_name>"
        "<email>a@o.example</email>"
        "<report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata>"
        f"<policy_published><domain>example.org</domain><p>none</p></policy_published>{records}</feedback>"
    ).encode()


LAUGHS = "<!DOCTYPE l [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    "octets",
    [
        xml(before=LAUGHS),
        xml(before="<!DOCTYPE feedback SYSTEM 'file:///etc/passwd'>"),
        xml(before="<!DOCTYPE feedback [<!ENTITY x SYSTEM 'http://127.0.0.1/'>]>"),
        xml("<extension>" + "<x>" * 100 + "</x>" * 100 + "</extension>" + RECORD),
        xml("<extension>" + "<x>" * 1_000_000),
        xml(f"<record><row><source_ip>{'9' * 100_000}</source_ip></row></record>"),
        xml(""),
        xml().replace(b"192.0.2.1", b"192.0.2.1; rm -rf"),
        xml().replace(b"<count>1", b"<count>-1"),
        xml().replace(b"<count>1", b"<count>" + b"9" * 5000),
        xml().replace(b"example.org", b"", 1),
        xml().replace(b"version='1.0'", b"version='1.0' encoding='nonsense'"),
        xml()[:-5],
        xml() + xml(),
        b"<html><body>no report</body></html>",
        b"<feedback xmlns='urn:other'/>",
        b"",
        b"PK\x03\x04",
        b"\x1f\x8b\x08\x00",
        b"just words",
        gzip.compress(xml(), mtime=0)[:-20],
        gzip.compress(gzip.compress(xml(), mtime=0), mtime=0),
        b"{" * 100_000,
        b'{"a":' * 200_000,
        b'{"policies":[' + b"[" * 300_000,
        json.dumps({"organization-name": "o", "report-id": "1", "policies": [7, None, {}]}).encode(),
        json.dumps({"organization-name": "o", "report-id": "1", "policies": "all"}).encode(),
    ],
    ids=lambda octets: f"{octets[:24]!r}{len(octets)}",
)
def test_each_is_refused(octets: bytes) -> None:
    with pytest.raises(ReportRefused):
        read_packed(octets)
    if octets:
        with pytest.raises(ReportRefused):
            read_packed(gzip.compress(octets))


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, octets in files:
            archive.writestr(name, octets)
    return made.getvalue()


def test_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekisho.core.reports.xmlreading.MAX_RECORDS", 3)
    with pytest.raises(ReportRefused, match="more than 3 records"):
        read_packed(xml(RECORD * 4))


def test_a_bomb_is_given_up_early() -> None:
    """A thousandfold: nothing near its size is ever held."""
    for bomb in (gzip.compress(b"<" + b" " * 40_000_000, 1), zipped(("a.xml", b"<" + b" " * 40_000_000))):
        unpacker, largest, total = Unpacker(), 0, 0
        try:
            for piece in unpacker.feed(bomb):
                largest, total = max(largest, len(piece)), total + len(piece)
            pytest.fail("the bomb went off")
        except ReportRefused:
            pass
        assert largest <= PIECE and total < 260 * len(bomb) and total <= 33 * 2**20


def test_archives_as_they_come() -> None:
    for packed in (
        zipped(("r.xml", xml())),
        zipped(("folder/", b""), ("folder/r.xml", xml())),
        zipped(("r.xml", xml()), method=zipfile.ZIP_STORED),
        gzip.compress(xml()[:100]) + gzip.compress(xml()[100:]),
        gzip.compress(xml(), mtime=0) + b"\r\n",
        b"\xef\xbb\xbf" + xml(),
        xml().decode().encode("utf-16"),
    ):
        assert read_packed(packed).report_id == "1"
        reader = PackedReader(b"base64")
        armoured = base64.encodebytes(packed)
        for at in range(0, len(armoured), 7):
            reader.feed(armoured[at : at + 7])
        assert reader.finish().report_id == "1"


def test_an_encrypted_archive_is_refused() -> None:
    packed = bytearray(zipped(("r.xml", xml())))
    packed[6] |= 1
    with pytest.raises(ReportRefused, match="encrypted"):
        read_packed(bytes(packed))


def test_another_namespace_is_skipped_not_read() -> None:
    strange = xml(
        "<x:record xmlns:x='urn:x'><x:row/></x:record><extension><a xmlns='urn:y'><p>9</p></a></extension>"
        + RECORD
    )
    report = read_packed(strange)
    assert len(report.rows) == 1  # type: ignore[union-attr]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from((b"", b"\x1f\x8b", b"PK\x03\x04", b"<feedback>", b"{")),
    st.booleans(),
)
def test_garbage_gives_only_refusals(octets: bytes, before: bytes, packs: bool) -> None:
    whole = before + octets
    whole = zlib.compress(whole) if packs else whole
    with pytest.raises(ReportRefused):
        read_packed(whole)
    with pytest.raises(ReportRefused):
        read_feedback(whole, whole)


def test_words_are_tamed() -> None:
    assert tame("a\x1b[31mb\u202ec\r\nd") == "a?[31mb?c d"
    assert tame("日本語の会社") == "日本語の会社"


def test_what_is_attached_is_not_taken_for_the_report() -> None:
    inner = (
        b"Content-Type: message/rfc822\r\n\r\nSubject: forwarded\r\nContent-Type: application/gzip\r\n"
        b"Content-Disposition: attachment; filename=a.xml.gz\r\n\r\nxxx\r\n"
    )
    assert find_report(scan(b"Content-Type: text/plain\r\n\r\nhello\r\n")) is None
    message = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n'
        + inner
        + b"--b--\r\n"
    )
    assert find_report(scan(message)) is None
