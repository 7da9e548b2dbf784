"""A whole server sends to hosts that are held to DANE: REQUIRETLS from a mail program to the next hop, and
what `sekisho why` says of it."""

import asyncio
import re
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.services.hop.certificates import chain, digest, server_context
from tests.services.hop.mailhost import MailHost
from tests.system.mailboxes import trust
from tests.system.names import Names, names
from tests.system.server import Server, running, wait_until
from tests.system.test_why import ask

from sekisho.core.terms.dns import Tlsa

pytestmark = pytest.mark.slow

ZONE = "$AD on\n" + "".join(
    f"{name}.test. MX 10 mx.{name}.test.\nmx.{name}.test. A 127.0.0.1\n" for name in ("good", "changed")
)


@contextmanager
def listening(host: MailHost) -> Iterator[MailHost]:
    """In a thread of its own."""
    loop, opened, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with host.listening():
            opened.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert opened.wait(30)
    try:
        yield host
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def host() -> Iterator[MailHost]:
    found = MailHost(context=server_context("self-signed"), keywords_in_tls=("REQUIRETLS",))
    with listening(found):
        yield found


@pytest.fixture(scope="module")
def dns(host: MailHost) -> Iterator[Names]:
    with names(ZONE) as found:
        key = bytes.fromhex(digest(chain("self-signed")[0][0]))
        for name, octets in (("good", key), ("changed", bytes(32))):
            record = Tlsa(3, 1, 1, octets)
            found.zone.add(f"_{host.port}._tcp.mx.{name}.test", "TLSA", record, secure=True)
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns: Names, host: MailHost) -> Iterator[Server]:
    def change(toml: str) -> str:
        toml, _ = re.subn(r"(?ms)^\[relay\].*?(?=^\[|\Z)", "", toml)
        return (
            f'{toml}\n[resolver]\nservers = ["{dns.address}"]\n\n[relay]\nport = {host.port}\nipv6 = false\n'
        )

    with running(Path(tmp_path_factory.mktemp("hop")) / "try", change=change) as started:
        yield started


def submit(server: Server, recipient: str, *options: str) -> None:
    alice = server.accounts["alice"]
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as client:
        client.login(alice.address, alice.password)
        assert client.has_extn("requiretls")
        client.sendmail(
            alice.address, [recipient], f"From: {alice.address}\r\n\r\nhi\r\n", mail_options=options
        )


def test_a_proved_host_gets_it(server: Server, host: MailHost) -> None:
    submit(server, "bob@good.test", "REQUIRETLS")
    wait_until(lambda: bool(host.taken))
    assert host.taken[0].tls and host.taken[0].mail.endswith(" REQUIRETLS")
    sentence = "the connection was encrypted, and the host proved itself by DANE."
    wait_until(lambda: sentence in ask(server, "bob@good.test")[1])
    assert "DANE で自分を証明しました" in ask(server, "bob@good.test", "ja_JP.UTF-8")[1]


def test_one_that_is_not_does_not(server: Server, host: MailHost) -> None:
    before = len(host.taken)
    submit(server, "bob@changed.test")
    wait_until(lambda: "must prove itself by DANE" in ask(server, "bob@changed.test")[1])
    assert len(host.taken) == before
    submit(server, "eve@changed.test", "REQUIRETLS")
    wait_until(lambda: "550 5.7.10 REQUIRETLS" in ask(server, "eve@changed.test")[1])
    assert len(host.taken) == before
