"""What mail says and carries, through a whole server: taught by its operator and its people, scanners beside
it, told by `why`."""

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faces.cli.test_classifier import HAM, SPAM, mail
from tests.probes.test_attachments import message as message_with
from tests.probes.test_attachments import program
from tests.system.mailboxes import imap, messages, trust
from tests.system.names import names
from tests.system.scanners import Scanners, scanners
from tests.system.server import Account, Server, running, wait_until
from tests.system.test_why import ask

from sekisho.core.message.header import HeaderSection

pytestmark = pytest.mark.slow

ZONE = """
stranger.test. TXT "v=spf1 ip4:127.0.0.1 -all"
1.0.0.127.in-addr.arpa. PTR mail.stranger.test.
mail.stranger.test. A 127.0.0.1
"""
LETTER = (
    b"From: x@stranger.test\r\nMessage-ID: <%b@stranger.test>\r\nSubject: minutes\r\n\r\nThe agenda "
    b"of the meeting. %b\r\n"
)


@pytest.fixture(scope="module")
def beside() -> Iterator[Scanners]:
    with scanners() as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, beside: Scanners) -> Iterator[Server]:
    with names(ZONE) as dns:

        def change(toml: str) -> str:
            toml, count = re.subn(r"unchecked_networks = .*", "unchecked_networks = []", toml)
            assert count == 1
            toml += (
                f'\n[resolver]\nservers = ["{dns.address}"]\n\n[relay.routes]\n"elsewhere.test" = '
                f'"[127.0.0.1]:1"\n'
            )
            return (
                f'{toml}\n[content]\nclamav = "{beside.clamav}"\nrspamd = "{beside.rspamd}"\n'
                f"scanner_timeout_seconds = 2\n"
            )

        with running(Path(tmp_path_factory.mktemp("content")) / "try", change=change) as started:
            yield started


def send(server: Server, account: Account, content: bytes) -> str:
    """By a stranger; the words of a refusal, or ""."""
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        try:
            stranger.sendmail("x@stranger.test", [account.address], content)
        except smtplib.SMTPDataError as error:
            said = error.smtp_error
            return f"{error.smtp_code} {str(said, 'utf-8') if isinstance(said, bytes) else said}"
    return ""


def reason_of(octets: bytes) -> str:
    return " ".join((HeaderSection(octets).first(b"x-junk-reason") or b"").decode("ascii").split())


def is_told(server: Server, subject: str, english: str, japanese: str) -> None:
    assert english in ask(server, subject)[1].splitlines()[0]
    assert japanese in ask(server, subject, "ja_JP.UTF-8")[1].splitlines()[0]


def test_what_was_taught_is_found_and_moves_teach(server: Server, someone: Account, tmp_path: Path) -> None:
    for name, words in (("ham", HAM), ("spam", SPAM)):
        text = "".join(f"From x@y Mon Jan  1 00:00:00 2024\n{mail(number, words)}\n" for number in range(300))
        (tmp_path / name).write_text(text)
    trained = server.command(
        "classifier", "train", "--ham", str(tmp_path / "ham"), "--spam", str(tmp_path / "spam")
    )
    assert trained["known"] == {"ham": 300, "spam": 300}
    assert send(server, someone, mail(9001, SPAM).encode().replace(b"\n", b"\r\n")) == ""
    assert send(server, someone, mail(9002, HAM).encode().replace(b"\n", b"\r\n")) == ""
    (junk,) = messages(server, someone, "Junk")
    assert reason_of(junk).startswith("content-junk; ")
    assert len(messages(server, someone)) == 1
    english, japanese = "the classifier judges it to be junk", "分類器が迷惑メールと判定しました"
    is_told(server, f"<9001@{SPAM[0]}.example>", english, japanese)
    with imap(server, someone) as connection:
        connection.select("Junk")
        assert connection.uid("MOVE", "1:*", "INBOX")[0] == "OK"

    def taught() -> dict[str, int]:
        rows = server.command("classifier", "status")["accounts"]
        return {row["account"]: row["ham"] for row in rows}

    wait_until(lambda: taught().get(someone.address) == 1, lambda: str(taught()))
    (tmp_path / "again.eml").write_text(mail(9001, SPAM))
    found = server.command("classifier", "explain", str(tmp_path / "again.eml"), "--account", someone.address)
    assert found["score"] < found["overall"]


def test_scanners_speak_and_are_not_waited_for(server: Server, someone: Account, beside: Scanners) -> None:
    reply = send(server, someone, LETTER % (b"v1", b"EVIL"))
    match = re.search(r"\(id ([a-z0-9-]+)\)", reply)
    assert reply.startswith("550 5.7.1 The message contains a virus") and match
    is_told(server, match[1], "a virus was found in it: ClamAV found Test.Evil.UNOFFICIAL", "ウイルス")
    usual = beside.rspamd_server.answer
    beside.rspamd_server.answer = {
        "score": 7,
        "required_score": 15,
        "action": "add header",
        "symbols": {"X": {"name": "X", "score": 7}},
    }
    assert send(server, someone, LETTER % (b"r1", b"")) == ""
    beside.rspamd_server.answer = usual
    (junk,) = messages(server, someone, "Junk")
    assert reason_of(junk).startswith("rspamd; add header, score 7 of 15: X (7)")
    is_told(server, "<r1@stranger.test>", "rspamd judges it to be spam", "rspamd")
    beside.clamd.is_silent = True
    assert send(server, someone, LETTER % (b"s1", b"EVIL, but nobody says so")) == ""
    beside.clamd.is_silent = False
    assert len(messages(server, someone)) == 1
    assert "no answer within 2 seconds" in ask(server, "<s1@stranger.test>")[1].replace("\n", " ")


def test_a_program_is_told_by_what_it_is(server: Server, someone: Account) -> None:
    content = b"Message-ID: <p1@stranger.test>\r\n" + message_with(("holiday.jpg", program()))
    assert send(server, someone, content) == ""
    (junk,) = messages(server, someone, "Junk")
    assert reason_of(junk) == "dangerous-attachment; program: holiday.jpg"
    is_told(
        server,
        "<p1@stranger.test>",
        "an attachment that acts when it is opened: program: holiday.jpg",
        "開くと動作する添付ファイル",
    )


def test_an_outgoing_virus_is_held_and_nothing_is_lost(server: Server, someone: Account) -> None:
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as client:
        client.login(someone.address, someone.password)
        client.sendmail(
            someone.address,
            ["x@elsewhere.test"],
            f"From: {someone.address}\r\nMessage-ID: <o1@x.test>\r\n\r\nEVIL",
        )
    wait_until(
        lambda: any(row["address"] == someone.address for row in server.command("guard", "list")),
        lambda: server.log[-2000:],
    )
    details = server.command("guard", "show", someone.address)
    assert details["held_messages"] == 1
    assert [reason["signal"] for reason in details["cases"][0]["reasons"]] == ["virus"]
    is_told(
        server,
        "<o1@x.test>",
        "ClamAV found a virus in it: Test.Evil.UNOFFICIAL.",
        "ClamAV がウイルスを見つけました",
    )
    server.command("guard", "release", someone.address)
    wait_until(lambda: server.command("guard", "list") == [], lambda: str(server.command("guard", "list")))
    assert server.command("guard", "show", someone.address)["held_messages"] == 0
