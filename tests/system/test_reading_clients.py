"""Other people's programs read and change mailboxes of a whole server: mbsync, fetchmail, curl."""

import re
from pathlib import Path

import pytest
from tests.peers.debian import Peer, peer
from tests.system.mailboxes import flags, messages, put
from tests.system.server import Account, Server

pytestmark = [pytest.mark.peers, pytest.mark.slow]


def _message(number: int) -> bytes:
    return (
        f"From: a@stranger.test\r\nTo: b@example.test\r\nSubject: number {number}\r\nMessage-ID: "
        f"<{number}@stranger.test>\r\n\r\n"
        f"Body {number}\r\n"
    ).encode()


def _run(program: Peer, *arguments: str, **environment: str) -> bytes:
    done = program.run(program.name, *arguments, **environment)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def _files(folder: Path) -> list[Path]:
    return [path for part in ("new", "cur") for path in sorted((folder / part).iterdir())]


def _plain(message: bytes) -> bytes:
    """With LF, and without the field by which mbsync knows its copies on either side."""
    return re.sub(rb"(?m)^X-TUID: .*\n", b"", message.replace(b"\r\n", b"\n"))


def test_mbsync_keeps_two_sides_equal(server: Server, someone: Account, tmp_path: Path) -> None:
    program = peer("mbsync")
    put(server, someone, *(_message(number) for number in range(10)))
    put(server, someone, _message(50), mailbox="Archive")
    mail = tmp_path / "mail"
    mail.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount a\nHost localhost\nPort {server.ports['imaps']}\nUser {someone.address}\nPass "
        f'"{someone.password}"\nSSLType IMAPS\n'
        f"SystemCertificates no\nCertificateFile {server.ca_file}\n\nIMAPStore far\nAccount a\n\n"
        f"MaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n"
        "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    _run(program, "-c", str(settings), "c")
    assert sorted(_plain(path.read_bytes()) for path in _files(mail / "INBOX")) == sorted(
        _plain(_message(number)) for number in range(10)
    )
    assert [_plain(path.read_bytes()) for path in _files(mail / "Archive")] == [_plain(_message(50))]

    # Here: one message read and flagged, one deleted, one new.
    changed, deleted = _files(mail / "INBOX")[:2]
    flagged_subject, deleted_subject = (path.read_bytes().split(b"\n")[2] for path in (changed, deleted))
    changed.rename(mail / "INBOX" / "cur" / (changed.name.partition(":")[0] + ":2,FS"))
    deleted.unlink()
    (mail / "INBOX" / "new" / "1.x.here").write_bytes(_plain(_message(99)))
    _run(program, "-c", str(settings), "c")
    found = messages(server, someone)
    assert len(found) == 10
    assert not any(deleted_subject + b"\r\n" in message for message in found)
    assert _plain(found[-1]) == _plain(_message(99))
    marked = [
        message
        for message, its in zip(found, flags(server, someone), strict=True)
        if {b"\\Flagged", b"\\Seen"} <= its
    ]
    assert [flagged_subject + b"\r\n" in message for message in marked] == [True]


@pytest.mark.parametrize(("protocol", "port"), [("imap", "imaps"), ("pop3", "pop3s")])
@pytest.mark.parametrize("kind", ["implicit", "starttls"])
def test_fetchmail_takes_everything_away(
    server: Server, someone: Account, tmp_path: Path, protocol: str, port: str, kind: str
) -> None:
    put(server, someone, *(_message(number) for number in range(5)))
    out = tmp_path / "out"
    settings = tmp_path / "fetchmailrc"
    # With STARTTLS `sslproto TLS1.2+` (instead of `ssl`) makes fetchmail insist on it.
    service, security = (
        (server.ports[port], "ssl") if kind == "implicit" else (server.ports[protocol], "sslproto 'TLS1.2+'")
    )
    settings.write_text(
        f'poll localhost protocol {protocol} service {service} user "{someone.address}" password '
        f'"{someone.password}" '
        f'{security} sslcertck sslcertfile "{server.ca_file}" mda "cat >> {out}" nokeep\n'
    )
    settings.chmod(0o600)
    program = peer("fetchmail")
    _run(
        program,
        "-f",
        str(settings),
        "--nosyslog",
        "--pidfile",
        str(tmp_path / "pid"),
        FETCHMAILHOME=str(tmp_path),
    )
    copies = out.read_bytes()
    assert [copies.count(b"Subject: number %d\n" % number) for number in range(5)] == [1] * 5
    assert copies.count(b"\n\nBody ") == 5
    assert messages(server, someone) == []


@pytest.mark.parametrize(("scheme", "port"), [("imap", "imap"), ("imaps", "imaps")])
def test_curl_reads_and_appends_by_imap(
    server: Server, someone: Account, tmp_path: Path, scheme: str, port: str
) -> None:
    put(server, someone, _message(1))
    program = peer("curl")
    common = (
        "-sS",
        "--ssl-reqd",
        "--cacert",
        str(server.ca_file),
        "-u",
        f"{someone.address}:{someone.password}",
    )
    url = f"{scheme}://localhost:{server.ports[port]}"
    assert _run(program, *common, f"{url}/INBOX;UID=1") == _message(1)
    assert _run(program, *common, f"{url}/INBOX?SUBJECT%20number") == b"* SEARCH 1\r\n"
    upload = tmp_path / "upload.eml"
    upload.write_bytes(_message(2))
    _run(program, *common, "-T", str(upload), f"{url}/Archive")
    assert messages(server, someone, "Archive") == [_message(2)]


@pytest.mark.parametrize(("scheme", "port"), [("pop3", "pop3"), ("pop3s", "pop3s")])
def test_curl_reads_and_deletes_by_pop3(server: Server, someone: Account, scheme: str, port: str) -> None:
    put(server, someone, _message(1), _message(2))
    program = peer("curl")
    common = (
        "-sS",
        "--ssl-reqd",
        "--cacert",
        str(server.ca_file),
        "-u",
        f"{someone.address}:{someone.password}",
    )
    url = f"{scheme}://localhost:{server.ports[port]}"
    assert [line.split()[0] for line in _run(program, *common, f"{url}/").splitlines()] == [b"1", b"2"]
    assert _run(program, *common, f"{url}/2") == _message(2)
    _run(program, *common, "--head", "-X", "DELE 1", f"{url}/")  # --head: no text follows the answer
    assert messages(server, someone) == [_message(2)]
