"""Client certificates open accounts, through a whole server: imaplib, smtplib, msmtp."""

import imaplib
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from tests.peers.debian import peer
from tests.system.mailboxes import messages
from tests.system.server import Account, Server, running

pytestmark = pytest.mark.slow


@dataclass
class World:
    server: Server
    authority: trustme.CA
    folder: Path

    def certificate(self, *addresses: str, authority: trustme.CA | None = None) -> tuple[Path, Path]:
        leaf = (authority or self.authority).issue_cert(*addresses)
        cert, key = self.folder / "client.pem", self.folder / "client.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        key.chmod(0o600)
        return cert, key

    def context(self, *addresses: str, authority: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.server.ca_file)
        if addresses:
            context.load_cert_chain(*self.certificate(*addresses, authority=authority))
        return context

    def imap(self, context: ssl.SSLContext) -> imaplib.IMAP4_SSL:
        return imaplib.IMAP4_SSL("localhost", self.server.ports["imaps"], ssl_context=context, timeout=60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, authority = Path(tmp_path_factory.mktemp("certified")), trustme.CA()
    authority.cert_pem.write_to_path(folder / "people.pem")

    def ask(toml: str) -> str:
        for kind in ("submissions", "imaps", "pop3s"):
            toml = toml.replace(
                f'kind = "{kind}"\n', f'kind = "{kind}"\nclient_ca = "{folder / "people.pem"}"\n'
            )
        return toml

    with running(folder / "try", change=ask) as started:
        yield World(started, authority, folder)


@pytest.fixture
def alice(world: World) -> Account:
    return world.server.accounts["alice"]


def test_a_certificate_reads(world: World, alice: Account) -> None:
    with world.imap(world.context(alice.address)) as client:
        assert "AUTH=EXTERNAL" in client.capabilities
        assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK" and client.select("INBOX")[0] == "OK"
    used = [
        c
        for c in world.server.command("account", "credential", "list", alice.address)
        if c["kind"] == "certificate"
    ]
    assert len(used) == 1
    world.server.command("account", "credential", "disable", alice.address, used[0]["id"])
    context = world.context()
    context.load_cert_chain(world.folder / "client.pem", world.folder / "client.key")
    with world.imap(context) as client, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate("EXTERNAL", lambda _: b"")


def test_it_opens_no_other_account(world: World, alice: Account) -> None:
    with (
        world.imap(world.context("bob@example.test")) as client,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        client.authenticate("EXTERNAL", lambda _: alice.address.encode())


def test_who_shows_none_has_a_password(world: World, alice: Account) -> None:
    with world.imap(world.context()) as client:
        assert "AUTH=EXTERNAL" not in client.capabilities
        assert client.login(alice.address, alice.password)[0] == "OK"


def test_a_certificate_of_another_authority_ends_the_handshake(world: World, alice: Account) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, imaplib.IMAP4.abort)):
        world.imap(world.context(alice.address, authority=trustme.CA())).noop()


def test_a_certificate_sends(world: World, alice: Account) -> None:
    with smtplib.SMTP_SSL(
        "localhost", world.server.ports["submissions"], context=world.context(alice.address), timeout=60
    ) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split()[0] == "EXTERNAL"
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
        client.sendmail(
            alice.address, [alice.address], f"From: {alice.address}\r\nSubject: certified\r\n\r\nHello\r\n"
        )
    assert any(b"\r\nSubject: certified\r\n" in message for message in messages(world.server, alice))


@pytest.mark.peers
def test_msmtp(world: World, alice: Account, tmp_path: Path) -> None:
    cert, key = world.certificate(alice.address)
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost localhost\nport {world.server.ports['submissions']}\ntls on\ntls_starttls "
        f"off\n"
        f"tls_trust_file {world.server.ca_file}\ntls_cert_file {cert}\ntls_key_file {key}\nauth external\n"
        f"user {alice.address}\n"
        f"from {alice.address}\ndomain client.example.test\n"
    )
    settings.chmod(0o600)
    message = f"From: {alice.address}\nSubject: by msmtp\n\nHello\n".encode()
    done = peer("msmtp").run("msmtp", "-C", str(settings), alice.address, stdin=message)
    assert done.returncode == 0, done.stderr
    assert any(b"\r\nSubject: by msmtp\r\n" in found for found in messages(world.server, alice))
