"""Other people's programs prove their password instead of handing it over: gsasl, msmtp, mutt, neomutt,
mbsync; getmail cannot."""

import json
import os
import poplib
import shlex
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.system.mailboxes import messages, put
from tests.system.server import Account, Server, wait_until

pytestmark = [pytest.mark.peers, pytest.mark.slow]

SCRAM = "SCRAM-SHA-256"
MESSAGE = b"From: a@stranger.test\r\nSubject: number 1\r\n\r\nBody 1\r\n"


def _mechanisms(server: Server, account: Account, kind: str = "accepted") -> list[str]:
    """Of the logins that the server wrote down for this account."""
    lines = [
        line
        for line in server.log.splitlines()
        if f"authentication.{kind}" in line and account.address in line
    ]
    return [
        word.removeprefix("mechanism=")
        for line in lines
        for word in line.split()
        if word.startswith("mechanism=")
    ]


def _gsasl(server: Server, account: Account, port: str, *options: str) -> tuple[int, str]:
    done = peer("gsasl").run(
        "gsasl", *options, "--connect", f"localhost:{server.ports[port]}", "--x509-ca-file",
        str(server.ca_file),
        "--authentication-id", account.address, "--password", account.password,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode()


# gsasl 2.2.0 has a binding for TLS 1.3 (tls-exporter) and then breaks off where only the plain mechanism is
# offered: --no-cb.
@pytest.mark.parametrize(("port", "protocol"), [("imap", "--imap"), ("submission", "--smtp")])
def test_gsasl(server: Server, someone: Account, port: str, protocol: str) -> None:
    status, said = _gsasl(server, someone, port, protocol, "--mechanism", SCRAM, "--no-cb")
    assert status == 0 and "Client authentication finished (server trusted)" in said, said
    wait_until(lambda: _mechanisms(server, someone) == [SCRAM], lambda: server.log[-2000:])


@pytest.mark.parametrize(
    ("port", "protocol", "answer"), [("imap", "--imap", "NO [AUTH"), ("submission", "--smtp", "535 5.7.8")]
)
def test_gsasl_learns_that_a_password_is_wrong(
    server: Server, someone: Account, port: str, protocol: str, answer: str
) -> None:
    wrong = Account(someone.address, "something else")
    status, said = _gsasl(server, wrong, port, protocol, "--mechanism", SCRAM, "--no-cb")
    assert status != 0 and answer in said and "server trusted" not in said


def test_gsasl_with_an_app_password(server: Server, someone: Account) -> None:
    made = server.command("account", "credential", "add", someone.address, "gsasl", "--scope", "imap")
    device = Account(someone.address, made["secret"])
    status, said = _gsasl(server, device, "imap", "--imap", "--mechanism", SCRAM, "--no-cb")
    assert status == 0, said
    status, said = _gsasl(server, device, "submission", "--smtp", "--mechanism", SCRAM, "--no-cb")
    assert status != 0 and "535 5.7.8" in said  # it is for reading only


def test_gsasl_speaks_through_pop3(server: Server, someone: Account) -> None:
    """It knows no POP3; here it makes the messages, and poplib carries them."""
    put(server, someone, MESSAGE)
    program = peer("gsasl")
    words = ["--client", "--quiet", "--no-cb", "--mechanism", SCRAM]
    speaker = subprocess.Popen(
        [program.path("gsasl"), *words, "--authentication-id", someone.address, "--password",
        someone.password],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | program.environment,
    )  # fmt: skip
    assert speaker.stdin is not None and speaker.stdout is not None
    pop = poplib.POP3_SSL(
        "localhost",
        server.ports["pop3s"],
        context=ssl.create_default_context(cafile=server.ca_file),
        timeout=60,
    )
    mechanism, initial = (speaker.stdout.readline().strip().decode() for _ in range(2))
    line = pop._shortcmd(f"AUTH {mechanism} {initial}")  # type: ignore[attr-defined]
    while line.startswith(b"+ "):
        speaker.stdin.write(line[2:] + b"\n")
        speaker.stdin.flush()
        line = pop._shortcmd(speaker.stdout.readline().strip().decode())  # type: ignore[attr-defined]
    assert line.startswith(b"+OK") and pop.stat()[0] == 1
    pop.quit()
    speaker.stdin.close()
    speaker.stdout.close()
    speaker.wait(30)
    assert _mechanisms(server, someone)[-1] == SCRAM


def test_msmtp(server: Server, someone: Account, tmp_path: Path) -> None:
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost localhost\nport {server.ports['submissions']}\ntls on\ntls_starttls off\n"
        f"tls_trust_file {server.ca_file}\n"
        f"auth scram-sha-256\nuser {someone.address}\npassword {someone.password}\nfrom {someone.address}\n"
        f"domain client.example.test\n"
    )
    settings.chmod(0o600)
    done = peer("msmtp").run(
        "msmtp", "-C", str(settings), someone.address, stdin=f"From: {someone.address}\n\nHello\n".encode()
    )
    assert done.returncode == 0, done.stderr
    assert len(messages(server, someone)) == 1 and SCRAM in _mechanisms(server, someone)


def _muttrc(server: Server, account: Account, folder: Path) -> Path:
    """Settings under which mutt and neomutt ask nothing and prove the password."""
    path = folder / "muttrc"
    path.write_text(
        f'set imap_user="{account.address}"\nset imap_pass="{account.password}"\nset '
        f'smtp_pass="{account.password}"\n'
        f'set pop_user="{account.address}"\nset pop_pass="{account.password}"\n'
        f'set smtp_url="smtps://{account.address}@localhost:{server.ports["submissions"]}/"\nset '
        f'from="{account.address}"\n'
        'set imap_authenticators="scram-sha-256" smtp_authenticators="scram-sha-256" '
        'pop_authenticators="scram-sha-256"\n'
        f"set use_envelope_from=yes hostname=client.example.test certificate_file={server.ca_file} "
        f"ssl_force_tls=yes\n"
        f'set copy=no record="" postponed="" folder={folder} tmpdir={folder} header_cache="" '
        f"mbox_type=Maildir\n"
        "set confirmappend=no confirmcreate=no sleep_time=0 delete=yes pop_delete=yes move=no mark_old=no "
        "wait_key=no\n"
    )
    return path


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt_sends(server: Server, someone: Account, tmp_path: Path, name: str) -> None:
    done = peer(name).run(
        name, "-n", "-F", str(_muttrc(server, someone, tmp_path)), "-s", "by mutt", "--", someone.address,
        stdin=b"Hello\n", HOME=str(tmp_path), TERM="xterm", LC_ALL="C.UTF-8",
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert b"\r\nSubject: by mutt\r\n" in messages(server, someone)[0] and SCRAM in _mechanisms(
        server, someone
    )


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
@pytest.mark.parametrize(("scheme", "port", "box"), [("imaps", "imaps", "/INBOX"), ("pops", "pop3s", "")])
def test_mutt_reads(
    server: Server, someone: Account, tmp_path: Path, name: str, scheme: str, port: str, box: str
) -> None:
    put(server, someone, MESSAGE)
    settings, saved = _muttrc(server, someone, tmp_path), tmp_path / "saved"
    keys = f'push "<tag-pattern>~A<enter><tag-prefix><save-message>{saved}<enter><sync-mailbox><quit>"'
    program = peer(name)
    command = shlex.join(
        [
            program.path(name),
            "-n",
            "-F",
            str(settings),
            "-f",
            f"{scheme}://localhost:{server.ports[port]}{box}",
            "-e",
            keys,
        ]
    )
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],  # a terminal for it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env=os.environ | program.environment | {"HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    copies = [path.read_bytes() for part in ("new", "cur") for path in saved.glob(f"{part}/*")]
    assert len(copies) == 1 and b"Subject: number 1\n" in copies[0], done.stdout[-2000:]
    assert messages(server, someone) == []
    # neomutt 20220429 looks at its list of mechanisms before PLAIN for POP3, and behind it for IMAP.
    assert (SCRAM if (name, scheme) != ("neomutt", "imaps") else "PLAIN") in _mechanisms(server, someone)


def test_mbsync(server: Server, someone: Account, tmp_path: Path) -> None:
    """By way of Cyrus SASL, which others use too."""
    program = peer("mbsync-sasl")
    put(server, someone, MESSAGE)
    settings, mail = tmp_path / "mbsyncrc", tmp_path / "mail"
    mail.mkdir()
    settings.write_text(
        f"IMAPAccount a\nHost localhost\nPort {server.ports['imaps']}\nUser {someone.address}\nPass "
        f'"{someone.password}"\nSSLType IMAPS\n'
        f"SystemCertificates no\nCertificateFile {server.ca_file}\nAuthMechs {SCRAM}\n\nIMAPStore far\n"
        f"Account a\n\n"
        f"MaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\n\nChannel c\nFar :far:\nNear :near:\nCreate "
        f"Near\nSyncState *\n"
    )
    plugins = ":".join(
        str(path) for path in program.root.glob("usr/lib/*/sasl2")
    )  # none: the machine has them already
    done = program.run("mbsync", "-c", str(settings), "c", **({"SASL_PATH": plugins} if plugins else {}))
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert len(list((mail / "INBOX" / "new").iterdir())) == 1 and SCRAM in _mechanisms(server, someone)


@pytest.mark.parametrize(("kind", "port"), [("IMAP", "imaps"), ("POP3", "pop3s")])
def test_getmail(server: Server, someone: Account, tmp_path: Path, kind: str, port: str) -> None:
    """It has the protocols' own login commands only."""
    put(server, someone, MESSAGE)
    program, out = peer("getmail"), tmp_path / "out"
    settings = tmp_path / "getmailrc"
    settings.write_text(
        f"[retriever]\ntype = Simple{kind}SSLRetriever\nserver = localhost\nport = {server.ports[port]}\n"
        f"username = {someone.address}\n"
        f"password = {someone.password}\nca_certs = {server.ca_file}\n"
        f'[destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = ("-a", "{out}")\n'
        f"allow_root_commands = true\n"
        "[options]\ndelete = true\nread_all = true\n"
    )
    library = ":".join(str(path) for path in program.root.glob("usr/lib/python3/dist-packages"))
    done = subprocess.run(
        [sys.executable, program.path("getmail"), "--getmaildir", str(tmp_path), "--rcfile", str(settings)],
        capture_output=True, timeout=60, env=os.environ | {"PYTHONPATH": library, "HOME": str(tmp_path)},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert b"Body 1" in out.read_bytes() and messages(server, someone) == []


def test_curl_knows_what_it_cannot(server: Server, someone: Account) -> None:
    """Debian builds it without SCRAM: it takes the next in our order by itself, and says so when it may
    not."""
    common = (
        "-sS",
        "--ssl-reqd",
        "--cacert",
        str(server.ca_file),
        "-u",
        f"{someone.address}:{someone.password}",
    )
    url = f"imaps://localhost:{server.ports['imaps']}"
    assert peer("curl").run("curl", *common, url).returncode == 0
    assert _mechanisms(server, someone) == ["PLAIN"]
    assert (
        peer("curl").run("curl", *common, "--login-options", "AUTH=SCRAM-SHA-256", url).returncode == 67
    )  # CURLE_LOGIN_DENIED
    assert peer("curl").run("curl", *common, "--login-options", "AUTH=LOGIN", url).returncode == 0


def test_what_logs_in_is_written_down(server: Server, someone: Account) -> None:
    _gsasl(server, someone, "imap", "--imap", "--mechanism", SCRAM, "--no-cb")
    (own,) = server.command("account", "credential", "list", someone.address)
    assert own["id"] == "password" and own["last_used_from"] == "127.0.0.0/24", json.dumps(own)
