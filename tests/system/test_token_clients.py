"""Other people's programs show tokens to a whole server: curl by IMAP, POP3 and SMTP, msmtp by SMTP."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.adapters.oidc.issuing import FakeIssuer
from tests.peers.debian import peer
from tests.system.issuer import issuing
from tests.system.mailboxes import messages
from tests.system.server import Server, running

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(300)]

ALICE = "alice@example.test"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FakeIssuer]]:
    folder, ca = Path(tmp_path_factory.mktemp("tokens")), trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    with issuing(ca) as issuer:
        table = "\n[login]\nfailure_seconds = 0.2\n"
        table += (
            f'\n[[login.issuers]]\nissuer = "{issuer.url}"\naudience = "mail"\nca_file = "{folder}/ca.pem"\n'
        )
        with running(folder / "try", change=lambda toml: toml + table) as server:
            yield server, issuer


def curl(server: Server, token: str, url: str, *more: str) -> int:
    options = (
        "-sS",
        "--max-time",
        "30",
        "--cacert",
        str(server.ca_file),
        "-u",
        f"{ALICE}:",
        "--oauth2-bearer",
        token,
    )
    return peer("curl").run("curl", *options, *more, url).returncode


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("scheme", ["imaps", "pop3s", "smtps"])
def test_curl(world: tuple[Server, FakeIssuer], scheme: str, mechanism: str) -> None:
    server, issuer = world
    now_us = time.time_ns() // 1000
    url = f"{scheme}://localhost:{server.ports['submissions' if scheme == 'smtps' else scheme]}/"
    more = ["--login-options", f"AUTH={mechanism}"] + (["-X", "NOOP"] if scheme == "smtps" else [])
    assert curl(server, issuer.token(now_us), url, *more) == 0
    assert curl(server, issuer.token(now_us - 7200_000_000), url, *more) == 67  # login denied


def test_msmtp(world: tuple[Server, FakeIssuer], tmp_path: Path) -> None:
    server, issuer = world
    for token, code in ((issuer.token(time.time_ns() // 1000), 0), ("no-token", 77)):
        rc, secret = tmp_path / "msmtprc", tmp_path / "token"
        secret.write_text(token + "\n")  # a line of its own file has 500 characters at most
        rc.write_text(
            f"account default\nhost localhost\nport {server.ports['submissions']}\nfrom {ALICE}\nuser "
            f"{ALICE}\npasswordeval cat {secret}\n"
            f"auth oauthbearer\ntls on\ntls_starttls off\ntls_trust_file {server.ca_file}\n"
        )
        rc.chmod(0o600)
        letter = f"From: {ALICE}\nTo: {ALICE}\nSubject: by token\n\nHello\n".encode()
        done = peer("msmtp").run("msmtp", f"--file={rc}", ALICE, stdin=letter)
        assert done.returncode == code, done.stderr
    assert b"Subject: by token" in messages(server, server.accounts["alice"])[-1]
