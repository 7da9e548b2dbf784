"""The sendmail(1) shim: its command line, the message it makes, and what it says when the server says no."""

import contextlib
import io
import os
import pwd
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.i18n.catalogue import Catalogue
from sekisho.faces.sendmail.arguments import parse_arguments
from sekisho.faces.sendmail.main import run_sendmail
from sekisho.faces.sendmail.message import Message, addresses_in
from sekisho.faces.sendmail.settings import Settings

MESSAGE = b"From: taro@example.org\nTo: Hanako <hanako@example.org>\nSubject: x\n\n.dot\nbody\n"


class Server:
    """Speaks just enough SMTP on a Unix socket, in a thread; replies can be changed by verb."""

    def __init__(self, path: Path) -> None:
        self.replies = {
            "": "220 hello",
            "EHLO": "250-mx\r\n250 DSN",
            "MAIL": "250 2.1.0 ok",
            "RCPT": "250 2.1.5 ok",
            "DATA": "354 go",
        }
        self.replies |= {".": "250 2.0.0 accepted", "QUIT": "221 bye"}
        self.commands: list[str] = []
        self.content = b""
        self.ends_after = ""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        # The client does not wait for the reply to QUIT.
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
            self._say(stream, "")
            for line in stream:
                self.commands.append(line.decode().rstrip("\r\n"))
                verb = line.split()[0].decode().upper()
                self._say(stream, verb)
                if verb == "DATA" and self.replies["DATA"].startswith("354"):
                    while (octets := stream.readline()) not in (b".\r\n", b""):
                        self.content += octets
                    self._say(stream, ".")
                if verb in ("QUIT", self.ends_after):
                    return

    def _say(self, stream: Any, verb: str) -> None:
        stream.write(self.replies[verb].encode() + b"\r\n")
        stream.flush()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "s.sock")
    yield server
    server.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    user = pwd.getpwuid(os.getuid()).pw_name
    file = tmp_path / "sekisho.toml"
    file.write_text(
        'hostname = "mx.example.org"\ndata_dir = "data"\n[submission]\nlocal_socket = "s.sock"\n'
        f'[submission.local_users]\n{user} = "admin@example.org"\nwww = "web@example.org"\n'
    )
    return file


def send(config: Path, *words: str, message: bytes = MESSAGE) -> int:
    return run_sendmail(words, {"SEKISHO_CONFIG": str(config)}, Catalogue("en", {}), io.BytesIO(message))


def test_recipients_from_the_command_line(server: Server, config: Path) -> None:
    assert (
        send(config, "-i", "-f", "taro@example.org", "a@example.net", "--", "b@example.net")
        == exits.SYSEXITS_OK
    )
    server.close()
    assert server.commands == [
        "EHLO localhost",
        "MAIL FROM:<taro@example.org>",
        "RCPT TO:<a@example.net>",
        "RCPT TO:<b@example.net>",
        "DATA",
        "QUIT",
    ]
    assert server.content == MESSAGE.replace(b"\n.dot", b"\n..dot").replace(b"\n", b"\r\n")


def test_recipients_from_the_header(server: Server, config: Path) -> None:
    message = (
        b'To: "A, B" <a@example.net>, root (the boss),\n g: c@example.net, d@example.net;\nBcc: '
        b"a@example.net, e@example.net\n\nx"
    )
    assert send(config, "-ti", "-N", "failure,delay", "-R", "hdrs", "-V", "id+1", message=message) == 0
    server.close()
    assert server.commands[1] == "MAIL FROM:<admin@example.org> RET=HDRS ENVID=id+2B1"
    assert [line for line in server.commands if line.startswith("RCPT")] == [
        f"RCPT TO:<{address}> NOTIFY=DELAY,FAILURE"
        for address in (
            "a@example.net",
            "admin@example.org" if _is("root") else "root@mx.example.org",
            "c@example.net",
            "d@example.net",
            "e@example.net",
        )
    ]
    assert server.content.startswith(b"From: admin@example.org\r\nTo: ") and server.content.endswith(
        b"\r\n\r\nx\r\n"
    )


def _is(name: str) -> bool:
    return pwd.getpwuid(os.getuid()).pw_name == name


def test_what_cron_writes(server: Server, config: Path) -> None:
    message = b"From: www (Cron Daemon)\nTo: www\nSubject: Cron <www@host> job\n\noutput\n"
    assert send(config, "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "-f", "www", "www", message=message) == 0
    server.close()
    assert server.commands[1:3] == ["MAIL FROM:<web@example.org>", "RCPT TO:<web@example.org>"]
    assert server.content.startswith(b'From: "CronDaemon" <web@example.org>\r\nTo: www\r\n')


def test_a_message_without_header(server: Server, config: Path) -> None:
    assert send(config, "a@example.net", message=b"just text\n.\nnever sent\n") == 0
    server.close()
    assert server.content == b"From: admin@example.org\r\n\r\njust text\r\n"


def test_null_path_and_smtputf8(server: Server, config: Path) -> None:
    assert send(config, "-f", "<>", "太郎@example.net") == 0
    server.close()
    assert server.commands[1] == "MAIL FROM:<> SMTPUTF8"


@pytest.mark.parametrize(
    ("verb", "reply", "code"),
    [
        ("", "421 4.3.2 busy", exits.SYSEXITS_TEMPORARY),
        ("", "554 System user x has no account here", exits.SYSEXITS_NO_PERMISSION),
        ("MAIL", "452 4.3.1 disk", exits.SYSEXITS_TEMPORARY),
        ("MAIL", "550 5.7.1 not your address", exits.SYSEXITS_NO_PERMISSION),
        ("RCPT", "550 5.1.1 no such user", exits.SYSEXITS_NO_USER),
        ("RCPT", "450 4.2.0 later", exits.SYSEXITS_TEMPORARY),
        ("RCPT", "556 5.1.10 null MX", exits.SYSEXITS_NO_USER),
        ("DATA", "554 5.5.1 no", exits.SYSEXITS_DATA),
        (".", "552 5.3.4 too big", exits.SYSEXITS_UNAVAILABLE),
        (".", "550-5.6.0 a\r\n550 5.6.0 bare CR", exits.SYSEXITS_DATA),
    ],
)
def test_exit_codes_of_refusals(
    server: Server, config: Path, capsys: pytest.CaptureFixture[str], verb: str, reply: str, code: int
) -> None:
    server.replies[verb] = reply
    assert send(config, "a@example.net") == code
    assert reply[:3] in capsys.readouterr().err


def test_a_server_that_ends_in_the_middle(
    server: Server, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.ends_after = "RCPT"
    assert send(config, "a@example.net") == exits.SYSEXITS_TEMPORARY
    assert "cannot be reached" in capsys.readouterr().err


def test_a_server_that_speaks_something_else(server: Server, config: Path) -> None:
    server.replies["MAIL"] = "nonsense " * 10_000
    assert send(config, "a@example.net") == exits.SYSEXITS_TEMPORARY


def test_no_server(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(config, "a@example.net") == exits.SYSEXITS_TEMPORARY
    assert "cannot be reached" in capsys.readouterr().err


def test_a_missing_or_broken_configuration(tmp_path: Path) -> None:
    assert send(tmp_path / "none.toml", "a@example.net") == exits.SYSEXITS_CONFIG
    (tmp_path / "bad.toml").write_text("hostname = 1\n[submission")
    assert send(tmp_path / "bad.toml", "a@example.net") == exits.SYSEXITS_CONFIG


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-t",),
        ("-bs",),
        ("-bp",),
        ("-bd",),
        ("-q",),
        ("-f",),
        ("-W", "a@example.net"),
        ("-N", "never,delay", "a@example.net"),
    ],
)
def test_what_is_not_done(config: Path, words: tuple[str, ...]) -> None:
    assert send(config, *words, message=b"Subject: x\n\n") == exits.SYSEXITS_USAGE


@pytest.mark.parametrize("name", ["a b@example.net", "a@b@c", "a\r\nRCPT TO:<x@y.example>@example.net"])
def test_what_is_no_address(config: Path, name: str) -> None:
    assert send(config, name) == exits.SYSEXITS_DATA


def test_newaliases_has_nothing_to_do(config: Path) -> None:
    assert send(config, "-bi") == exits.SYSEXITS_OK


def test_options_that_change_nothing() -> None:
    arguments = parse_arguments(
        [
            "-v",
            "-U",
            "-oi",
            "-odb",
            "-oMrlocal",
            "-h",
            "5",
            "-X/dev/null",
            "-O",
            "A=b",
            "-bm",
            "-em",
            "-r",
            "<a@b>",
            "c",
        ]
    )
    assert arguments.recipients == ["c"] and arguments.ignore_dots and arguments.reverse_path == "a@b"


@given(st.lists(st.text(alphabet="-abtifFoqNRVC<>@x ", max_size=6), max_size=6))
def test_any_command_line_is_read_or_refused(words: list[str]) -> None:
    try:
        parse_arguments(words)
    except CommandError:
        pass


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a@b.example", ["a@b.example"]),
        ('"x, (y)" <a@b.example>, c@d.example (z, <q>)', ["a@b.example", "c@d.example"]),
        ("undisclosed-recipients:;", []),
        ("g: a@b.example, Name <c@d.example>;, e@f.example", ["a@b.example", "c@d.example", "e@f.example"]),
        ("<@r1.example,@r2.example:a@b.example>", ["a@b.example"]),
        ('"quoted local"@b.example', ['"quoted local"@b.example']),
        ("a((nested) comment)@b.example", ["a@b.example"]),
        ("root", ["root"]),
        ("", []),
        ("(" * 5000, []),
    ],
)
def test_addresses_of_a_header(text: str, addresses: list[str]) -> None:
    assert addresses_in(text) == addresses


@given(st.binary(max_size=300), st.booleans())
def test_any_input_becomes_clean_lines(octets: bytes, ignore_dots: bool) -> None:
    wire = b"".join(Message(io.BytesIO(octets), ignore_dots).octets())
    assert wire.endswith(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert b"\n" not in wire.replace(b"\r\n", b"")


@given(st.binary(max_size=200))
def test_small_reads_give_the_same(octets: bytes) -> None:
    class OneByOne(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1)

    def wire(source: io.BytesIO) -> bytes:
        return b"".join(Message(source, False).octets())

    assert wire(OneByOne(octets)) == wire(io.BytesIO(octets))


def test_a_line_without_end_is_no_message() -> None:
    with pytest.raises(CommandError):
        Message(io.BytesIO(b"a" * 2_000_000), False)


@pytest.mark.parametrize(
    ("users", "account"),
    [
        ({"root": "a@example.org", "0": "b@example.org", "*": "c@example.org"}, "a@example.org"),
        ({"0": "b@example.org", "*": "c@example.org"}, "b@example.org"),
        ({"*": "c@example.org"}, "c@example.org"),
        ({}, "root@mx.example.org"),
    ],
)
def test_the_sender_of_a_system_user(users: dict[str, str], account: str) -> None:
    assert Settings(Path("s"), "mx.example.org", users).account_of(0) == account
