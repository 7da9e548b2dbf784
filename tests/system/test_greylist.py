"""Greylisting on a whole server: who waits and comes back, who passes at once, and what can be asked about
it."""

import re
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.system import mailboxes
from tests.system.names import Names, names
from tests.system.server import Account, Server, running, wait_until

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message

pytestmark = pytest.mark.slow

SIGNER = DkimSigner("signed.test", "s1", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
ZONE = f"""
stranger.test       TXT "nothing about mail"
other.test          TXT "nothing about mail"
spf.test            TXT "v=spf1 ip4:127.0.0.0/8 -all"
{SIGNER.key_name}   TXT "{SIGNER.key_record}"
$SERVFAIL dead.test
"""


@pytest.fixture(scope="module")
def dns() -> Iterator[Names]:
    with names(ZONE) as found:
        yield found


def changed(toml: str, dns: Names, greylist: str) -> str:
    toml = re.sub(r"unchecked_networks = .*", "unchecked_networks = []", toml)
    return (
        toml + f'\n[resolver]\nservers = ["{dns.address}"]\ntimeout_seconds = 0.5\ntries = 1\n\n[greylist]\n'
        f"{greylist}\n"
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns: Names) -> Iterator[Server]:
    """A second try counts at once: no test waits for a minute."""
    folder = Path(tmp_path_factory.mktemp("greylist")) / "try"
    with running(folder, change=lambda toml: changed(toml, dns, "after_seconds = 0")) as started:
        yield started


def letter(author: str, subject: str = "x", text: str = "Hello") -> bytes:
    head = (
        f"From: {author}\r\nTo: someone@example.test\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 "
        f"05:20:51 +0000\r\n"
    )
    return f"{head}Message-ID: <{time.monotonic_ns()}@stranger.test>\r\n\r\n{text}\r\n".encode()


def hand_in(server: Server, to: str, content: bytes, sender: str, client: str = "127.0.0.66") -> str:
    """The reply to the message; "250" if it was taken."""
    with smtplib.SMTP(
        "127.0.0.1", server.ports["smtp"], local_hostname="bot", source_address=(client, 0)
    ) as stranger:
        stranger.ehlo()
        assert (stranger.mail(sender)[0], stranger.rcpt(to)[0]) == (250, 250)
        code, text = stranger.data(content)
    return "250" if code == 250 else f"{code} {text.decode()}"


def id_in(reply: str) -> str:
    match = re.match(r"451 4\.7\.1 .*\(id ([0-9a-f]{29})\)", reply, re.DOTALL)
    assert match, reply
    return match[1]


def test_a_stranger_waits_and_comes_back_from_another_host(server: Server, someone: Account) -> None:
    content = letter("x@stranger.test")
    id_ = id_in(hand_in(server, someone.address, content, "x@stranger.test", "127.0.1.7"))
    assert mailboxes.messages(server, someone) == []
    story = server.command("why", id_)["stories"][0]
    assert (
        story["verdict"] == "deferred"
        and "the sender is unknown here" in story["sentence"]
        and f"release {id_}" in story["remedy"]
    )
    evidence = next(entry for entry in story["entries"] if entry["kind"] == "reception.evidence")
    assert evidence["fields"]["greylist_key"] == "network:127.0.1.0/24 stranger.test"
    assert hand_in(server, someone.address, content, "x@stranger.test", "127.0.1.200") == "250"
    assert len(mailboxes.messages(server, someone)) == 1
    wait_until(
        lambda: "it was sent again and accepted" in server.command("why", id_)["stories"][0]["sentence"]
    )  # once it is written down
    report = server.command("door", "greylist", "--limit", "10")
    assert (
        report["came_back"] >= 1
        and report["delayed"] >= report["came_back"]
        and dict(report["within"])[120] >= 1
    )


def test_a_login_code_passes_at_once(server: Server, someone: Account) -> None:
    content = letter(
        "login@other.test", "Sign in", "Your verification code is 482913. It expires in 10 minutes."
    )
    assert hand_in(server, someone.address, content, "login@other.test", "127.0.2.7") == "250"
    ordinary = hand_in(server, someone.address, letter("login@other.test"), "login@other.test", "127.0.3.7")
    assert ordinary.startswith("451")


@pytest.mark.parametrize(
    ("author", "sender"),
    [("a@signed.test", "x@other.test"), ("a@spf.test", "a@spf.test")],
    ids=["DKIM", "SPF"],
)
def test_who_shows_papers_passes_at_once(server: Server, someone: Account, author: str, sender: str) -> None:
    content = letter(author)
    if author == "a@signed.test":
        content = sign_message([SIGNER], content, int(time.time())) + content
    assert hand_in(server, someone.address, content, sender, "127.0.4.7") == "250"


def test_who_expects_mail_gets_it_at_once(server: Server, someone: Account) -> None:
    hosts = (f"127.0.{number}.7" for number in range(100, 256))
    assert hand_in(
        server, someone.address, letter("new@stranger.test"), "new@stranger.test", next(hosts)
    ).startswith("451")
    server.command("expect", someone.address, "--minutes", "5", "--from", "stranger.test")
    # Every worker knows it within a second; a try that waits until then is of another network each time, so
    # that none lets the next one in.
    wait_until(
        lambda: (
            hand_in(server, someone.address, letter("new@stranger.test"), "new@stranger.test", next(hosts))
            == "250"
        )
    )
    assert hand_in(server, someone.address, letter("x@other.test"), "x@other.test", "127.0.5.7").startswith(
        "451"
    )


def test_who_was_released_passes(server: Server, someone: Account) -> None:
    id_ = id_in(hand_in(server, someone.address, letter("x@stranger.test"), "x@stranger.test", "127.0.7.7"))
    released = server.command("release", id_)
    assert released["trusted"] == [someone.address] and released["temporary"]
    assert (
        hand_in(server, someone.address, letter("x@stranger.test"), "x@stranger.test", "127.0.7.8") == "250"
    )


def test_what_could_not_be_known_and_the_roles_do_not_wait(server: Server, someone: Account) -> None:
    assert hand_in(server, someone.address, letter("x@dead.test"), "x@dead.test", "127.0.8.7") == "250"
    assert (
        hand_in(server, "postmaster@example.test", letter("x@stranger.test"), "x@stranger.test", "127.0.9.7")
        == "250"
    )


def test_a_domain_that_does_not_exist_is_put_off_before_the_message(server: Server, someone: Account) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], local_hostname="bot") as stranger:
        stranger.ehlo()
        stranger.mail("x@nowhere.test")
        code, text = stranger.rcpt(someone.address)
        assert code == 450 and text.startswith(b"4.1.8 ")
        match = re.search(r"\(id ([a-z0-9-]+)\)", text.decode())
        assert match and stranger.rcpt("postmaster@example.test")[0] == 250
    story = server.command("why", match[1])["stories"][0]
    assert "there is no domain nowhere.test" in story["sentence"] and story["remedy"]


def test_a_client_that_waits_for_its_reply_holds_up_no_shutdown(tmp_path: Path, dns: Names) -> None:
    with running(tmp_path / "try", change=lambda toml: changed(toml, dns, "tarpit_seconds = 300")) as server:
        alice = server.accounts["alice"].address
        with smtplib.SMTP(
            "127.0.0.1", server.ports["smtp"], local_hostname="bot", source_address=("127.0.0.66", 0)
        ) as stranger:
            stranger.ehlo()
            assert stranger.has_extn("starttls")  # whoever may have to wait is offered encryption too
            assert (
                stranger.mail("x@stranger.test")[0],
                stranger.rcpt(alice)[0],
                stranger.docmd("DATA")[0],
            ) == (250, 250, 354)
            stranger.send(letter("x@stranger.test") + b".\r\n")
            wait_until(lambda: server.command("door", "greylist")["waiting"] == 1)
            assert server.stop() == 0
            code, text = stranger.getreply()
            assert code == 451 and text.startswith(b"4.7.1 ")
            stranger.close()
