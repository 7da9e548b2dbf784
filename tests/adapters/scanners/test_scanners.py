"""clamd and rspamd are asked in their own protocols; whatever goes wrong is a problem in the finding, never
an exception."""

from pathlib import Path

import pytest
from tests.adapters.scanners.fakes import FakeClamd, FakeRspamd, listening

from sekisho.adapters.scanners.clamd import ClamdScanner
from sekisho.adapters.scanners.place import FAILURES, REST_SECONDS
from sekisho.adapters.scanners.rspamd import RspamdScanner
from sekisho.core.policy.content import ClamavFinding, RspamdFinding, Symbol
from sekisho.ports.scanners import Circumstances, Read, ScannerPlace, parse_place
from sekisho.testing.clock import ManualClock

ABOUT = Circumstances(
    message_id="id1",
    client="192.0.2.1",
    client_name="mx.sender.example",
    hello="hello.example",
    reverse_path="a@sender.example",
    recipients=("b@example.org", "c@example.org"),
)


def reader_of(octets: bytes) -> Read:
    async def read(offset: int, length: int) -> bytes:
        return octets[offset : offset + length]

    return read


def clamd(place: str, clock: ManualClock | None = None, timeout: float = 5.0) -> ClamdScanner:
    return ClamdScanner(parse_place(place), clock or ManualClock(), timeout_seconds=timeout)


def rspamd(place: str, password: str = "", timeout: float = 5.0) -> RspamdScanner:
    return RspamdScanner(parse_place(place), ManualClock(), password=password, timeout_seconds=timeout)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/run/clamd.ctl", ScannerPlace("/run/clamd.ctl")),
        ("127.0.0.1:3310", ScannerPlace("", "127.0.0.1", 3310)),
        ("[::1]:3310", ScannerPlace("", "::1", 3310)),
    ],
)
def test_places(text: str, place: ScannerPlace) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:0", "host:65536"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        parse_place(text)


@pytest.mark.parametrize("by_path", [True, False])
async def test_clamd_finds_and_lets_pass(tmp_path: Path, by_path: bool) -> None:
    fake = FakeClamd()
    async with listening(fake.serve, tmp_path / "clamd" if by_path else None) as place:
        for octets in (b"good" * 50_000, b"x" * 100_000 + b"EVIL", b""):
            finding = await clamd(place).scan(reader_of(octets), len(octets))
            assert finding == ClamavFinding(virus="Test.Evil.UNOFFICIAL" if b"EVIL" in octets else "")
            assert fake.scanned[-1] == octets


async def test_clamd_that_cannot_say() -> None:
    fake = FakeClamd(limit=100_000)
    octets = bytes(3_000_000)
    async with listening(fake.serve) as place:
        assert "size limit" in (await clamd(place).scan(reader_of(octets), len(octets))).problem
        fake.answer = b"stream: Can't allocate memory ERROR\0"
        assert "allocate" in (await clamd(place).scan(reader_of(b"x"), 1)).problem
        fake.answer = b"half an answer"
        assert (await clamd(place).scan(reader_of(b"x"), 1)).problem
        fake.is_silent = True
        assert "0.05 seconds" in (await clamd(place, timeout=0.05).scan(reader_of(b"x"), 1)).problem
    assert (await clamd("/nowhere/clamd.ctl").scan(reader_of(b"x"), 1)).problem


async def test_a_scanner_that_fails_is_left_alone_for_a_while() -> None:
    clock, fake = ManualClock(), FakeClamd()
    async with listening(fake.serve) as place:
        scanner = clamd(place, clock)
        fake.answer = b"ERROR\0"
        for _ in range(FAILURES):
            assert (await scanner.scan(reader_of(b"x"), 1)).problem == "ERROR"
        assert "left alone" in (await scanner.scan(reader_of(b"x"), 1)).problem
        fake.answer = None
        clock.advance(REST_SECONDS + 1)
        assert await scanner.scan(reader_of(b"x"), 1) == ClamavFinding()


async def test_rspamd_is_told_about_the_sender() -> None:
    fake = FakeRspamd()
    octets = b"From: a\r\n\r\n" + b"text\r\n" * 40_000
    async with listening(fake.serve) as place:
        finding = await rspamd(place, "secret").scan(reader_of(octets), len(octets), ABOUT)
    assert finding == RspamdFinding(score=1.5, required=15.0)
    (fields, body), known = fake.requests[0], dict(fake.requests[0][0])
    assert body == octets
    assert (
        known["ip"] == "192.0.2.1"
        and known["helo"] == "hello.example"
        and known["from"] == "a@sender.example"
    )
    assert (
        known["hostname"] == "mx.sender.example"
        and known["password"] == "secret"
        and known["queue-id"] == "id1"
    )
    assert [value for name, value in fields if name == "rcpt"] == ["b@example.org", "c@example.org"]


async def test_what_peers_chose_ends_no_field() -> None:
    fake = FakeRspamd()
    about = Circumstances(
        message_id="id",
        client="192.0.2.1",
        client_name="",
        hello="evil\r\nPassword: x",
        reverse_path="ü@例え.jp",
        recipients=(),
    )
    async with listening(fake.serve) as place:
        assert not (await rspamd(place).scan(reader_of(b"x"), 1, about)).problem
    known = dict(fake.requests[0][0])
    assert "password" not in known and known["helo"] == "evilPassword: x" and known["from"] == "ü@例え.jp"


async def test_rspamds_symbols_the_heaviest_first() -> None:
    fake = FakeRspamd()
    fake.answer = {
        "score": 16.2,
        "required_score": 15,
        "action": "reject",
        "symbols": {
            "A": {"name": "A", "score": 0.1},
            "BAYES_SPAM": {"name": "BAYES_SPAM", "score": 5.1, "description": "learned"},
            "C": {"name": "C", "score": -7.0, "options": ["x"]},
        },
        "milter": {"remove_headers": {}},
    }
    async with listening(fake.serve) as place:
        finding = await rspamd(place).scan(reader_of(b"x"), 1, ABOUT)
    assert finding.action == "reject"
    assert finding.symbols == (Symbol("C", -7.0), Symbol("BAYES_SPAM", 5.1, "learned"), Symbol("A", 0.1))


@pytest.mark.parametrize(
    ("status", "answer", "raw"),
    [
        (403, {"error": "Unauthorized"}, None),
        (200, {"error": "invalid"}, None),
        (200, [], None),
        (200, None, b"not HTTP at all"),
        (200, None, b""),
        (200, None, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        (200, None, b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_100_000),
    ],
)
async def test_rspamd_that_cannot_say(status: int, answer: object, raw: bytes | None) -> None:
    fake = FakeRspamd()
    fake.status, fake.answer, fake.raw = status, answer, raw
    async with listening(fake.serve) as place:
        finding = await rspamd(place).scan(reader_of(b"x"), 1, ABOUT)
    assert finding.problem and finding.action == "no action"


async def test_nobody_listens() -> None:
    assert (await rspamd("127.0.0.1:1").scan(reader_of(b"x"), 1, ABOUT)).problem
