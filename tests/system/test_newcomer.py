"""A newcomer follows install.md and backup.md to the letter, on a fresh machine: every command stands in the
pages.

Nothing in the pages is a placeholder: mx.example.org and taro@example.org are what the machine and its first
user are called.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.machine import ROOT, Machine, fresh_machine

PASSWORD = "hana yori dango 7"
COMMANDS = re.compile(r"^```\n(.*?)^```$", re.M | re.S)
COMMENT = re.compile(r"\s+# .*")

TALK = """
import smtplib, ssl, sys
word, password = sys.argv[1:]
tls = ssl.create_default_context(cafile="/etc/letsencrypt/live/mx.example.org/chain.pem")
text = "From: <{}>\\r\\nTo: <taro@example.org>\\r\\n"
text += f"Message-ID: <{word}@{{}}>\\r\\nSubject: {word}\\r\\n\\r\\n{word}\\r\\n"
with smtplib.SMTP("127.0.0.1", 25, "host.example.net") as outside:
    outside.starttls(context=ssl._create_unverified_context())
    outside.sendmail("hanako@example.net", ["info@example.org"], text.format("hanako@example.net", "outside"))
with smtplib.SMTP_SSL("mx.example.org", 465, context=tls) as own:
    own.login("taro@example.org", password)
    own.sendmail("taro@example.org", ["taro@example.org"], text.format("taro@example.org", "own"))
"""
READ = """
import imaplib, ssl, sys
tls = ssl.create_default_context(cafile="/etc/letsencrypt/live/mx.example.org/chain.pem")
own = imaplib.IMAP4_SSL("mx.example.org", ssl_context=tls)
own.login("taro@example.org", sys.argv[1])
own.select()
for found in own.fetch("1:*", "(BODY[TEXT])")[1]:
    _, octets = found if isinstance(found, tuple) else ("", b"")
    print(octets.decode().strip())
own.logout()
"""


def page(name: str) -> dict[str, list[str]]:
    """Its commands, by the heading above them; comments are left out."""
    found: dict[str, list[str]] = {}
    heading = ""
    for part in re.split(r"^(?=#+ )", (ROOT / "docs/operating" / name).read_text("utf-8"), flags=re.M):
        heading = part.split("\n", 1)[0].strip("# ")
        lines = [COMMENT.sub("", line) for block in COMMANDS.findall(part) for line in block.splitlines()]
        if lines:
            found[heading] = lines
    return found


INSTALL, BACKUP = page("install.md"), page("backup.md")


class Newcomer:
    """Types what the pages say: as root, or, where the command is sekisho's own, as the service user."""

    def __init__(self, machine: Machine, user: str) -> None:
        self.machine, self._user = machine, user
        self.typed: list[str] = []

    def follow(self, heading: str, lines: list[str], expected: dict[str, int] | None = None) -> str:
        """Every line under the heading; `expected`: commands that the page itself says do not end well
        yet."""
        shown = ""
        for line in lines:
            self.typed.append(line)
            # setup writes below /etc, where only root may; and systemctl is root's.
            user = self._user if line.startswith("sekisho ") and " -c /etc/" not in line else "root"
            if line.startswith("sekisho account add"):
                shown += self.machine.type(line, PASSWORD, user=user).output
                continue
            done = self.machine.run(line, user=user, check=False)
            wanted = (expected or {}).get(line, 0)
            assert done.status == wanted, (
                f"{heading}: {line!r} as {user} ended with {done.status}:\n{done.output}\n"
                f"{self.machine.journal()}"
            )
            shown += done.output
        return shown

    def python(self, script: str, *arguments: str) -> str:
        return self.machine.run(f"/opt/sekisho/bin/python3 - {shlex.join(arguments)}", stdin=script).output


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("copies")
    yield folder
    shutil.rmtree(folder)


def sections(named: dict[str, list[str]], *numbers: int) -> list[tuple[str, list[str]]]:
    return [
        (heading, lines)
        for heading, lines in named.items()
        if heading[:1].isdecimal() and int(heading[0]) in numbers
    ]


def check_owners(machine: Machine) -> None:
    """Everything in the data folder belongs to the service user, and is readable by nobody else."""
    found = machine.run(
        "find /var/lib/sekisho -not -user sekisho -o -not -type s -perm /077 -not -path /var/lib/sekisho"
    ).output
    assert found == "", found
    who = machine.run(
        "ps -eo user:20,args | grep '[s]ekisho serve' | cut -d' ' -f1 | sort | uniq -c"
    ).output.split()
    assert who[0] == "1" and who[1] == "root" and who[3] == "sekisho" and int(who[2]) >= 1, who


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("user", ["root", "sekisho"])
def test_install_and_backup_to_the_letter(user: str, tmp_path: Path, copies: Path) -> None:
    with fresh_machine(tmp_path / "machine") as machine:
        newcomer = Newcomer(machine, user)
        for heading, lines in sections(INSTALL, 1, 2, 3):
            newcomer.follow(
                heading, lines, {"sekisho config check": 78}
            )  # nobody reads postmaster's mail yet: the page says so
        for heading, lines in sections(INSTALL, 4, 5):
            newcomer.follow(heading, lines)
        check_owners(machine)
        newcomer.python(TALK, "first", PASSWORD)
        assert newcomer.python(READ, PASSWORD).split() == ["first", "first"]
        _renew(newcomer)
        _back_up(newcomer)
        check_owners(machine)
        for folder in ("etc/sekisho", "backup"):
            shutil.copytree(machine.path(folder), tmp_path / folder, symlinks=True)
        if user == "root":
            _upgrade(newcomer)
        else:
            _put_elsewhere(newcomer)
        machine.run("systemctl stop sekisho")
        assert machine.run("ls -A /var/lib/sekisho/run").output == "", "sockets stayed"
    with fresh_machine(tmp_path / "new machine") as machine:
        newcomer = Newcomer(machine, user)
        for heading, lines in sections(INSTALL, 1, 2):
            newcomer.follow(heading, lines)
        for folder in ("etc/sekisho", "backup"):
            shutil.copytree(
                tmp_path / folder, machine.path(folder), symlinks=True
            )  # by root, as scp would: everything is root's
        if user != "root":
            machine.run("chown -R sekisho: /backup")
        newcomer.follow("On a new machine", BACKUP["On a new machine"])
        check_owners(machine)
        newcomer.python(TALK, "second", PASSWORD)
        assert newcomer.python(READ, PASSWORD).split() == [
            "first",
            "first",
            "second",
            "second",
        ]  # as of the backup


def _renew(newcomer: Newcomer) -> None:
    """certbot's hook reloads: the new certificate is served."""
    machine = newcomer.machine
    machine.run("certbot renew")
    served = machine.run(
        "openssl s_client -connect 127.0.0.1:465 -CAfile /etc/letsencrypt/live/mx.example.org/chain.pem "
        "</dev/null 2>&1"
    )
    assert "Verify return code: 0 (ok)" in served.output, served.output


def _back_up(newcomer: Newcomer) -> None:
    """All of backup.md but for the new machine; what was restored elsewhere is the service user's as well."""
    machine = newcomer.machine
    *lines, nightly = BACKUP["Backup"]
    newcomer.follow("Backup", lines)
    assert machine.run("find /tmp/restored -not -user sekisho -o -perm /077").output == ""
    assert machine.run("find /backup -perm /077").output == ""
    cron = re.fullmatch(r"[0-9]+ [0-9]+ \* \* \*  (\w+)  (.*)", nightly)
    assert cron is not None, nightly
    machine.run("mv /backup/2026-11-24 /backup/kept")  # it may be that day
    done = machine.run("PATH=/usr/bin:/bin\n" + cron[2].replace("\\%", "%"), user=cron[1])  # cron's own PATH
    assert done.output == ""
    assert machine.run("rm -r /backup/$(date +%F) && ls /backup").output.split() == ["kept"]
    machine.run("mv /backup/kept /backup/2026-11-24")


def _upgrade(newcomer: Newcomer) -> None:
    """The line about upgrades: the program starts anew with the sockets open, under the unit's rights."""
    text = (ROOT / "docs/operating/install.md").read_text("utf-8")
    (line,) = set(re.findall(r"`(systemctl kill [^`]*)`", text))
    machine = newcomer.machine
    machine.run(line)
    newcomer.python(TALK, "upgraded", PASSWORD)
    assert "server.upgrade" in machine.journal() and machine.journal().count("server.ready") == 2


def toml_of(name: str, table: str) -> str:
    """The block of that page which begins with this table."""
    blocks = re.findall(
        r"^```toml\n(.*?)^```$", (ROOT / "docs/operating" / name).read_text("utf-8"), flags=re.M | re.S
    )
    (found,) = [
        block
        for block in blocks
        if block.startswith(f"[{table}]") and ("local_socket" in block or table != "submission")
    ]
    return found


def _put_elsewhere(newcomer: Newcomer) -> None:
    """The log below /var/log, a socket in Postfix's folder, one for sendmail(1) in /run: what pages advise
    works under the unit."""
    machine = newcomer.machine
    machine.run(
        "(id postfix || useradd --system postfix)"
        " && install -d -o postfix -m 700 /var/spool/postfix/private && useradd web"
    )
    users = (
        toml_of("commands.md", "submission.local_users")
        .replace("admin@", "taro@")
        .replace("system@", "taro@")
        .replace("web@", "taro@")
    )
    extra = toml_of("credentials.md", "auth_socket") + toml_of("commands.md", "submission") + users
    machine.run("cat >> /etc/sekisho/sekisho.toml", stdin=extra)
    machine.run("""sed -i 's,^.log.$,&\\nfile = "/var/log/sekisho.log",' /etc/sekisho/sekisho.toml""")
    newcomer.follow("restart", ["systemctl restart sekisho", "sekisho config check"])
    told = machine.run(
        "cd / && stat -c '%U %G %a %n' /var/log/sekisho.log /var/spool/postfix/private/* /run/sekisho/*"
    ).output.splitlines()
    assert told == [
        "sekisho sekisho 600 /var/log/sekisho.log",
        "sekisho postfix 660 /var/spool/postfix/private/sekisho-auth",
        "sekisho sekisho 666 /run/sekisho/submission.sock",
    ]
    machine.run(
        "mv /var/log/sekisho.log /var/log/sekisho.log.1 && systemctl reload sekisho"
    )  # as logrotate does
    machine.run("sekisho sendmail taro@example.org", user="web", stdin="Subject: cron\n\ncron\n")
    assert newcomer.python(READ, PASSWORD).split() == ["first", "first", "cron"]
    assert '"config.reloaded"' in machine.run("cat /var/log/sekisho.log").output


def test_both_languages_have_the_same_commands() -> None:
    for name in ("install.md", "backup.md"):
        assert list(page(name).values()) == list(page(f"ja/{name}").values())


def test_the_walk_leaves_no_command_out() -> None:
    """Whoever adds a section with commands adds it to the walk."""
    assert [heading.split(".")[0] for heading in INSTALL] == ["1", "2", "3", "4", "5"]
    assert list(BACKUP) == ["Backup", "On a new machine"]
