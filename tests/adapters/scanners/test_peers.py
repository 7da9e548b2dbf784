"""The real clamd and the real rspamd from Debian, with a signature and a rule of our own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.scanners.test_scanners import ABOUT, clamd, reader_of, rspamd
from tests.peers.debian import peer

pytestmark = [pytest.mark.peers, pytest.mark.slow]

VIRUS = b"SEKISHO-TEST-VIRUS-STRING"
PHRASE = b"sekisho-test-phrase"
START_SECONDS = 60.0
MAIL = b"From: a@sender.example\r\nSubject: test\r\nMessage-ID: <1@sender.example>\r\n\r\n%b\r\n"

RULE = """
rspamd_config:register_symbol({
  name = 'SEKISHO_TEST', type = 'normal', score = 7.5, group = 'test',
  callback = function(task)
    return task:get_from_ip():to_string() == '192.0.2.1'
      and string.find(tostring(task:get_content()), '%s', 1, true) ~= nil
  end
})
rspamd_config:set_metric_symbol({
  name = 'SEKISHO_TEST', score = 7.5, description = 'a phrase of the test', group = 'test'
})
"""
RSPAMD = """
options {{
  filters = ""; url_tld = "{folder}/tlds"; disable_hyperscan = true;
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; }}
}}
logging {{ type = "console"; level = "error"; }}
actions {{ reject = 15; "add header" = 6; }}
worker "controller" {{ bind_socket = "{folder}/controller.sock mode=0600"; count = 1; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
lua = "{folder}/rule.lua"
"""


def started(argv: list[str], environment: dict[str, str], place: str, log: Path) -> "subprocess.Popen[bytes]":
    """Running, and somebody listens at `place`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        family, address = (
            (socket.AF_UNIX, place)
            if place.startswith("/")
            else (socket.AF_INET, ("127.0.0.1", int(place.split(":")[1])))
        )
        with socket.socket(family) as sock:
            if sock.connect_ex(address) == 0:
                return process
        time.sleep(0.1)  # another program's start has no other sign
    process.kill()
    pytest.fail(f"{argv[0]} did not start: {log.read_text(errors='replace')[-500:]}")


def stopped(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


@pytest.fixture
def clamd_place(tmp_path: Path) -> Iterator[str]:
    program, place = peer("clamd"), str(tmp_path / "clamd.ctl")
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "test.ndb").write_text(f"Sekisho.Test:0:*:{VIRUS.hex()}\n")
    config = tmp_path / "clamd.conf"
    config.write_text(
        f"Foreground true\nLocalSocket {place}\nDatabaseDirectory {tmp_path / 'db'}\nStreamMaxLength 1M\n"
    )
    process = started(
        [program.path("clamd"), "-c", str(config)], program.environment, place, tmp_path / "log"
    )
    yield place
    stopped(process)


@pytest.fixture
def rspamd_place(tmp_path: Path) -> Iterator[str]:
    program = peer("rspamd")
    share = program.root / "usr/share/rspamd"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (tmp_path / "tlds").write_text("com\nexample\n")
    (tmp_path / "rule.lua").write_text(RULE % PHRASE.decode())
    (tmp_path / "rspamd.conf").write_text(RSPAMD.format(folder=tmp_path, port=port))
    folders = dict.fromkeys(("CONFDIR", "LOCAL_CONFDIR", "RUNDIR", "LOGDIR", "DBDIR"), tmp_path)
    folders |= {
        "PLUGINSDIR": share / "plugins",
        "SHAREDIR": share,
        "RULESDIR": share / "rules",
        "LUALIBDIR": share / "lualib",
    }
    argv = [
        program.path("rspamd"),
        "-f",
        "-c",
        str(tmp_path / "rspamd.conf"),
        *(f"--var={name}={path}" for name, path in folders.items()),
    ]
    if os.geteuid() == 0:
        argv += ["-i", "-u", "root", "-g", "root"]
    library = f"{program.environment['LD_LIBRARY_PATH']}:{program.root}/usr/lib/rspamd"
    process = started(argv, {"LD_LIBRARY_PATH": library}, f"127.0.0.1:{port}", tmp_path / "log")
    yield f"127.0.0.1:{port}"
    stopped(process)


@pytest.mark.timeout(180)
async def test_clamd(clamd_place: str) -> None:
    scanner = clamd(clamd_place, timeout=30)
    for body, virus in (
        (b"hello", ""),
        (b"text " * 20_000 + VIRUS, "Sekisho.Test.UNOFFICIAL"),
        (b"good " * 100_000, ""),
    ):
        octets = MAIL % body
        finding = await scanner.scan(reader_of(octets), len(octets))
        assert (finding.virus, finding.problem) == (virus, "")
    large = MAIL % (b"x" * 3_000_000)
    assert (await scanner.scan(reader_of(large), len(large))).problem


@pytest.mark.timeout(180)
async def test_rspamd(rspamd_place: str) -> None:
    scanner = rspamd(rspamd_place, timeout=30)
    found = {}
    for body in (b"hello", PHRASE, b"x" * 2_000_000):
        octets = MAIL % body
        found[body[:20]] = await scanner.scan(reader_of(octets), len(octets), ABOUT)
    assert [finding.problem for finding in found.values()] == ["", "", ""]
    junk = found[PHRASE[:20]]
    assert (junk.action, junk.required) == ("add header", 15.0)
    assert next((symbol.name, symbol.score) for symbol in junk.symbols) == ("SEKISHO_TEST", 7.5)
    assert found[b"hello"].action == "no action"
