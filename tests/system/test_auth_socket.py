"""A real Postfix lets sekisho judge its clients' logins."""

import os
import smtplib
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peers.debian import IN_CI, peer
from tests.peers.postfix import Postfix, running_postfix
from tests.system.server import Server, running

pytestmark = [pytest.mark.slow, pytest.mark.peers]

ADDRESS = f"127.26.{os.getpid() % 250 + 1}.1"  # port 25 cannot be chosen, so the address is
POSTFIX_GROUP = 5101  # of its own namespace


@dataclass
class World:
    server: Server
    postfix: Postfix

    def swaks(self, password: str, *more: str) -> tuple[int, str]:
        alice = self.server.accounts["alice"].address
        done = peer("swaks").run(
            "swaks", "--server", ADDRESS, "--port", "25", "--ehlo", "client.example.test", "--from", alice,
            "--to", "user@postfix.test",
            "--auth-user", alice, "--auth-password", password, *more,
        )  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).decode()

    def explain(self) -> str:
        return f"--- Postfix\n{self.postfix.log[-4000:]}\n--- sekisho\n{self.server.log[-4000:]}"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if os.geteuid() != 0:
        if IN_CI:
            pytest.fail("Postfix needs root, for port 25")
        pytest.skip("SKIPPED PEER: Postfix needs root, for port 25")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sekisho-auth-")))
        folder.chmod(0o755)  # Postfix has users of its own
        socket = folder / "auth.sock"

        def ask_us(toml: str) -> str:
            return toml + f'\n[auth_socket]\npath = "{socket}"\nmode = "0660"\ngroup = "{POSTFIX_GROUP}"\n'

        server = stack.enter_context(running(folder / "try", change=ask_us))
        assert (socket.stat().st_mode & 0o777, socket.stat().st_gid) == (0o660, POSTFIX_GROUP)
        settings = {
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": str(socket),
            "smtpd_tls_auth_only": "yes",
            "smtpd_peername_lookup": "no",
            "mynetworks": "192.0.2.1/32",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
        }
        certificate = (server.folder / "cert.pem", server.folder / "key.pem")
        postfix = stack.enter_context(
            running_postfix(
                folder / "postfix", ADDRESS, "postfix.test", "127.0.0.53", certificate, **settings
            )
        )
        yield World(server, postfix)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_sends_through_postfix(world: World, mechanism: str) -> None:
    before = len(world.postfix.messages())
    status, said = world.swaks(world.server.accounts["alice"].password, "--tls", "--auth", mechanism)
    assert status == 0 and "235 2.7.0" in said, said + world.explain()
    assert (
        b"Authenticated sender: alice@example.test" in world.postfix.wait_for(before + 1)[-1]
        or "sasl_username=alice" in world.postfix.log
    )
    assert f"mechanism={mechanism}" in world.server.log and "client=127.0.0.1" in world.server.log


def test_a_wrong_password(world: World) -> None:
    status, said = world.swaks("something else", "--tls", "--auth", "PLAIN")
    assert status == 28 and "535 5.7.8" in said, said + world.explain()


@pytest.mark.parametrize(
    "request_", ["PLAIN !!!", "PLAIN AGEAYg", "CRAM-MD5", "PLAIN " + "A" * 9000, "LOGIN ====", "XOAUTH2 "]
)
def test_a_login_that_is_none_is_answered_at_once(world: World, request_: str) -> None:
    with smtplib.SMTP(ADDRESS, 25, "client.example.test", timeout=20) as smtp:
        smtp.starttls(context=ssl._create_unverified_context())
        smtp.ehlo()
        code, said = smtp.docmd("AUTH", request_)
        if code == 334:
            code, said = smtp.docmd("?")
        assert 500 <= code < 600, (code, said, world.explain())
        alice = world.server.accounts["alice"]
        assert smtp.login(alice.address, alice.password)[0] == 235, world.explain()


def test_no_login_in_the_clear(world: World) -> None:
    status, said = world.swaks(world.server.accounts["alice"].password, "--auth", "PLAIN")
    assert status == 28 and "AUTH" not in [line[8:12] for line in said.splitlines()], said


def test_gsasl_proves_its_password_through_postfix(world: World) -> None:
    alice = world.server.accounts["alice"]
    done = peer("gsasl").run(
        "gsasl", "--smtp", "--connect", f"{ADDRESS}:25", "--x509-ca-file", "", "--no-cb", "--mechanism",
        "SCRAM-SHA-256",
        "--authentication-id", alice.address, "--password", alice.password,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0 and "server trusted" in said, said + world.explain()


def test_an_app_password(world: World) -> None:
    alice = world.server.accounts["alice"].address
    made = world.server.command("account", "credential", "add", alice, "by postfix", "--scope", "smtp")
    assert world.swaks(made["secret"], "--tls", "--auth", "PLAIN")[0] == 0
    reading = world.server.command("account", "credential", "add", alice, "reader", "--scope", "imap")
    assert world.swaks(reading["secret"], "--tls", "--auth", "PLAIN")[0] == 28
