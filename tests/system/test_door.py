"""What the door of a whole server lets in, and what it writes on it. The DNS is a test's own; nothing is
exempt from checks."""

import json
import re
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.system import mailboxes
from tests.system.names import Names, names
from tests.system.server import ENVIRONMENT, Account, Server, running, sekisho

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message
from sekisho.core.message.authentication_results import AuthenticationResults, parse_authentication_results
from sekisho.core.message.header import HeaderSection

pytestmark = pytest.mark.slow

SIGNER = DkimSigner("honest.test", "s1", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
LOST = DkimSigner("strict.test", "lost", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
ZONE = f"""
1.0.0.127.in-addr.arpa PTR mail.stranger.test
1.7.0.127.in-addr.arpa PTR mail.stranger.test
1.8.0.127.in-addr.arpa PTR mail.stranger.test
mail.stranger.test     A   127.0.0.1
mail.stranger.test     A   127.0.7.1
mail.stranger.test     A   127.0.8.1
example.test           TXT "v=spf1 -all"
honest.test            TXT "v=spf1 -all"
_dmarc.honest.test     TXT "v=DMARC1; p=reject"
{SIGNER.key_name}      TXT "{SIGNER.key_record}"
strict.test            TXT "v=spf1 -all"
_dmarc.strict.test     TXT "v=DMARC1; p=reject"
$SERVFAIL {LOST.key_name}
$SERVFAIL dead.test
$SERVFAIL _dmarc.dead.test
"""
OWN_ID = "mx.example.test"
FORGED = [
    b"Authentication-Results: mx.example.test; dkim=pass header.d=bank.test\r\n",
    b"authentication-results : MX.EXAMPLE.test;\r\n spf=pass\r\n",
    b"Authentication-Results: (a comment (in another)) mx.example.test 1; dmarc=pass\r\n",
    b'Authentication-Results:\r\n "mx.example.test"; dmarc=pass\r\n',
]
OTHERS = b"Authentication-Results: mx.elsewhere.test; dmarc=pass\r\n"


@pytest.fixture(scope="module")
def dns() -> Iterator[Names]:
    with names(ZONE) as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns: Names) -> Iterator[Server]:
    def change(toml: str) -> str:
        toml, count = re.subn(r"unchecked_networks = .*", "unchecked_networks = []", toml)
        assert count == 1
        return toml + f'\n[resolver]\nservers = ["{dns.address}"]\ntimeout_seconds = 0.5\ntries = 1\n'

    with running(Path(tmp_path_factory.mktemp("door")) / "try", change=change) as started:
        yield started


def letter(author: str, subject: str = "x") -> bytes:
    text = (
        f"From: {author}\r\nTo: someone@example.test\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 "
        f"05:20:51 +0000\r\n"
    )
    return (
        text.encode() + f"Message-ID: <{time.monotonic_ns()}@stranger.test>\r\n\r\nHello  there\r\n".encode()
    )


def signed(content: bytes, signer: DkimSigner = SIGNER) -> bytes:
    return sign_message([signer], content, int(time.time())) + content


def hand_in(
    server: Server, to: Account, content: bytes, sender: str = "x@stranger.test", source: str = "127.0.0.1"
) -> None:
    """`source`: another network where the server should not hold it against others that this was refused."""
    with smtplib.SMTP(
        "127.0.0.1", server.ports["smtp"], "mail.stranger.test", source_address=(source, 0)
    ) as stranger:
        stranger.sendmail(sender, [to.address], content)


def refusal(
    server: Server, to: Account, content: bytes, sender: str = "x@stranger.test", source: str = "127.0.0.1"
) -> str:
    with pytest.raises(smtplib.SMTPDataError) as refused:
        hand_in(server, to, content, sender, source)
    assert isinstance(refused.value.smtp_error, bytes)
    return f"{refused.value.smtp_code} {refused.value.smtp_error.decode()}"


def delivered(
    server: Server, account: Account, mailbox: str = "INBOX"
) -> tuple[HeaderSection, AuthenticationResults]:
    """The one message there, and the field that the server wrote on it."""
    (octets,) = mailboxes.messages(server, account, mailbox)
    header = HeaderSection(octets)
    own = [
        found
        for value in header.values(b"authentication-results")
        if (found := parse_authentication_results(value)) and found.authserv_id == OWN_ID
    ]
    assert len(own) == 1, octets
    return header, own[0]


def words(results: AuthenticationResults) -> dict[str, str]:
    return {one.method: one.result for one in results.results}


@pytest.mark.parametrize(
    "author", ["boss@strict.test", "boss@sub.strict.test", '"boss@honest.test" <boss@strict.test>']
)
def test_a_forged_author_is_refused_with_an_id(server: Server, someone: Account, author: str) -> None:
    reply = refusal(server, someone, letter(author))
    match = re.match(r"550 5\.7\.1 .*DMARC.*\(id ([a-z0-9-]+)\)", reply, re.DOTALL)
    assert match, reply
    assert mailboxes.messages(server, someone) == []
    story = server.command("why", match[1])["stories"][0]
    assert "DMARC fails" in story["sentence"] and "strict.test" in story["sentence"]


@pytest.mark.parametrize(
    "author",
    [
        "Boss [x] <V>",
        "V <V>",
        "<V>text",
        "V.",
        "V, x@stranger.test",
        "x@stranger.test, V",
        "<V> <x@stranger.test>",
        "x@stranger.test\r\nfrom : V",
        "Boss <@stranger.test:V>",
    ],
)
@pytest.mark.parametrize("victim", ["boss@example.test", "boss@sub.example.test", "boss@strict.test"])
def test_no_other_form_of_an_author_is_let_in(
    server: Server, someone: Account, author: str, victim: str
) -> None:
    assert refusal(server, someone, letter(author.replace("V", victim)), source="127.0.40.1").startswith(
        "550 5.7.1"
    )


def test_whom_envelope_shows_has_passed_or_is_marked(server: Server, someone: Account) -> None:
    for number, name in enumerate(
        ('"boss@example.test"', '"boss@strict.test via us"', "=?utf-8?q?boss=40strict.test?=", '"Boss"')
    ):
        hand_in(server, someone, signed(letter(f"{name} <x@honest.test>", str(number))), source="127.0.41.1")
    with mailboxes.imap(server, someone) as connection:
        shown = {}
        for mailbox in ("INBOX", "Junk"):
            connection.select(mailbox, readonly=True)
            shown[mailbox] = [line for line in connection.fetch("1:*", "(ENVELOPE)")[1] if line is not None]
    assert len(shown["INBOX"]) == 1 and b"Boss" in shown["INBOX"][0] and len(shown["Junk"]) == 3
    junk = mailboxes.messages(server, someone, "Junk")
    assert all(
        HeaderSection(octets).count(b"x-sekisho-warning")
        == HeaderSection(octets).count(b"x-junk-reason")
        == 1
        for octets in junk
    )
    reply = refusal(server, someone, letter("boss@strict.test; x@honest.test"), source="127.0.41.1")
    match = re.search(r"\(id ([a-z0-9-]+)\)", reply)
    assert (
        match
        and "its From does not name a readable author"
        in server.command("why", match[1])["stories"][0]["sentence"]
    )


def test_a_signed_message_passes(server: Server, someone: Account) -> None:
    hand_in(server, someone, signed(letter("alice@honest.test")))
    header, results = delivered(server, someone)
    assert words(results) == {"spf": "none", "dkim": "pass", "dmarc": "pass", "iprev": "pass"} | {
        "arc": words(results).get("arc", "none")
    }
    (dkim,) = [one for one in results.results if one.method == "dkim"]
    assert (dkim.value("header", "d"), dkim.value("header", "s")) == ("honest.test", "s1")
    # RFC 8601 §4: above what came with the message, Received of this hop included.
    assert [field.name for field in header.fields[:3]] == [
        b"return-path",
        b"authentication-results",
        b"received",
    ]


def test_a_signature_over_another_body_does_not_pass(server: Server, someone: Account) -> None:
    content = signed(letter("alice@honest.test")).replace(b"Hello  there", b"Hello, there")
    assert refusal(server, someone, content).startswith("550 5.7.1 ")


@pytest.mark.parametrize("forged", range(len(FORGED)))
def test_a_forged_field_of_ours_is_taken_out(server: Server, someone: Account, forged: int) -> None:
    hand_in(server, someone, FORGED[forged] + OTHERS + signed(letter("alice@honest.test")))
    header, results = delivered(server, someone)
    assert words(results)["dkim"] == "pass"  # the field above the signed ones was no part of them
    assert (
        header.count(b"authentication-results") == 2
        and b"bank.test" not in header.octets
        and OTHERS in header.octets
    )


@pytest.mark.parametrize(
    "author",
    [
        "alice@example.test",
        "alice@EXAMPLE.test",
        "nobody@example.test",
        "x@stranger.test, alice@example.test",
    ],
)
def test_a_stranger_may_not_write_in_our_name(server: Server, someone: Account, author: str) -> None:
    assert refusal(server, someone, letter(author)).startswith("550 5.7.1 ")
    assert mailboxes.messages(server, someone) == []


def test_what_the_dns_does_not_say_refuses_nothing(server: Server, someone: Account) -> None:
    # From where nothing was refused yet: 127.0.0.1 has a bad name by now, the worse the longer this takes.
    hand_in(server, someone, letter("x@dead.test"), "x@dead.test", source="127.0.7.1")
    _, results = delivered(server, someone)
    assert (words(results)["spf"], words(results)["dmarc"]) != ("pass", "pass") and words(results)[
        "dmarc"
    ] == "temperror"
    assert [
        one.result for one in results.results if one.method == "spf" and one.value("smtp", "mailfrom")
    ] == ["temperror"]


def test_a_key_that_cannot_be_had_refuses_nothing(server: Server, someone: Account) -> None:
    """DMARC fails by what is known, but the signature might have passed."""
    hand_in(server, someone, signed(letter("boss@strict.test"), LOST))
    _, results = delivered(server, someone, "Junk")
    assert words(results)["dkim"] == "temperror"
    assert mailboxes.messages(server, someone) == []


def test_our_name_with_an_envelope_that_cannot_be_checked(server: Server, someone: Account) -> None:
    """Else a broken zone in MAIL FROM would open our name to everybody."""
    assert refusal(server, someone, letter("alice@example.test"), "x@dead.test").startswith("451 4.7.0")
    assert mailboxes.messages(server, someone) == []


def test_with_a_dead_resolver_mail_is_taken(server: Server, someone: Account, dns: Names) -> None:
    with dns.dead():
        hand_in(
            server,
            someone,
            signed(letter("a@unheard.test"), DkimSigner("unheard.test", "s1", SIGNER.key)),
            "a@unheard.test",
            "127.0.8.1",
        )
    _, results = delivered(server, someone)
    found = words(results)
    assert (found["dkim"], found["dmarc"]) == ("temperror", "temperror"), found
    assert [one.result for one in results.results if one.value("smtp", "mailfrom")] == ["temperror"]


def _check(dns: Names, content: bytes, *arguments: str) -> tuple[int, dict[str, object]]:
    command = [
        sys.executable,
        "-m",
        "sekisho.app",
        "check",
        "message",
        "-",
        "--resolver",
        dns.address,
        "--json",
        *arguments,
    ]
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "SEKISHO_CONFIG"}
    done = subprocess.run(
        command, input=content, capture_output=True, env=environment, timeout=60, check=False
    )
    assert done.stdout, done.stderr.decode()
    found: dict[str, object] = json.loads(done.stdout)
    return done.returncode, found


def test_what_leaves_carries_papers_of_its_own(server: Server, someone: Account, dns: Names) -> None:
    """Mail of an account, and the notice about it, are signed with the key of the domain; `sekisho check`
    finds them in order."""
    key = server.command("dkim", "add", "example.test", "--algorithm", "ed25519")
    dns.zone.add(key["name"], "TXT", key["record"].encode())
    server.command("dkim", "rotate", "example.test", "--resolver", dns.address)
    dns.zone.add("_dmarc.example.test", "TXT", b"v=DMARC1; p=reject; adkim=s; aspf=s")
    alice = server.accounts["alice"]
    with smtplib.SMTP_SSL(
        "localhost", server.ports["submissions"], context=mailboxes.trust(server)
    ) as client:
        client.login(someone.address, someone.password)
        client.sendmail(
            someone.address,
            [alice.address],
            letter(someone.address, "signed"),
            rcpt_options=["NOTIFY=SUCCESS"],
        )
    (notice,) = mailboxes.messages(server, someone)
    (message,) = [octets for octets in mailboxes.messages(server, alice) if b"Subject: signed" in octets]
    assert (
        b"\r\nFrom: Mail Delivery System <MAILER-DAEMON@example.test>\r\n" in notice
        and b"multipart/report" in notice
    )
    for content in (message, notice):
        code, found = _check(dns, content)
        assert (
            code == 0
            and "dkim=pass" in str(found["authentication_results"])
            and "dmarc=pass" in str(found["authentication_results"])
        )
    found = sekisho("check", "message", str(_saved(server, message)), "--resolver", dns.address, "--json")
    assert found["bad"] == 0


def _saved(server: Server, message: bytes) -> Path:
    path = server.folder.with_name("saved.eml")
    path.write_bytes(message.replace(b"\r\n", b"\n"))
    return path
