"""Plays tests/dialogs/smtp against the services over the memory store."""

import re
from pathlib import Path

import pytest
from tests.services.smtp_world import World
from tests.vectors import find_vectors

from sekisho.config.schema import Limits
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Domain
from sekisho.testing.dialog import Dialog, Player, Step, load_dialogs

FOLDER = Path(__file__).parents[1] / "dialogs" / "smtp"
DIALOGS = load_dialogs(FOLDER)


@pytest.mark.parametrize("dialog", DIALOGS, ids=lambda dialog: dialog.name)
async def test_dialog(dialog: Dialog) -> None:
    world = await World().fill()
    await Player(world.connect(dialog.options["port"])).play(dialog)
    assert world.journal.faults == []


VECTORS = find_vectors("smtp", "chasquid-dialogs")

# Where we answer otherwise, and why: (script, line) -> our code.
OTHERWISE = {
    # RFC 4954 §4: 504 for a mechanism that is not offered; 534 means too weak.
    ("auth_multi_dialog", "AUTH SOMETHINGELSE"): 504,
    # Port 25 knows no AUTH at all.
    ("auth_not_tls", "AUTH PLAIN"): 502,
    # Broken base64 never was a guess: ten of them end the session, three wrong passwords do.
    ("auth_too_many_failures", "AUTH PLAIN something"): 501,
    # A line that is no field makes a message odd, not unreadable: reception takes it as it is.
    ("bad_data", "."): 250,
    # The command is known, its argument is not (RFC 5321 §4.2.2).
    ("bad_mail_from", "MAIL LALA: <>"): 501,
    ("bad_mail_from", "MAIL FROM:"): 501,
    ("bad_rcpt_to", "RCPT LALA: <>"): 501,
    ("bad_rcpt_to", "RCPT TO:"): 501,
    # RFC 6531 §3.5: 553 without SMTPUTF8.
    ("bad_rcpt_to", "RCPT TO:<henryⅣ@testserver>"): 553,
    # Our lines may be longer (RFC 5321 §4.5.3.1.4 and its extensions); as a host name it is still refused.
    ("line_too_long", "HELO"): 501,
}
END_OF_BAD_CONTENT = 550  # where chasquid says 521 and closes, as we do


def from_chamuyero(text: str, name: str) -> list[Dialog]:
    """The subset of the script language that these dialogs use; one Dialog per connection, reply codes
    only."""
    dialogs: list[Dialog] = []
    steps: list[Step] = []
    sent = ""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"c (\S+) ?(.*)", line)
        if not match:
            continue
        verb, rest = match[1], match[2]
        if verb.endswith("_connect"):
            steps, sent = [], ""
            port = "submissions" if verb == "tls_connect" else "smtp"
            dialogs.append(Dialog(f"{name}-{number}", (), {"port": port}))
        elif verb == "->":
            sent = rest
            steps.append(Step(number, "C:", _brackets(rest)))
        elif verb == "~>":
            octets = eval(rest, {"__builtins__": {}})  # noqa: S307 (a literal from the vectors, no names)
            steps.append(
                Step(number, "C!", octets.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n"))
            )
        elif verb in ("<-", "<~"):
            code = next(
                (
                    c
                    for (n, s), c in OTHERWISE.items()
                    if n == name and (sent == s or (s == "HELO" and sent.startswith(s)))
                ),
                None,
            )
            wanted = END_OF_BAD_CONTENT if rest.startswith("521") else code or int(rest[:3])
            steps.append(Step(number, "S:", f"{wanted}*"))
        elif verb == "<...":
            steps += [Step(number, "S:", "..."), Step(number, "S:", "250 HELP")]
        if dialogs:
            dialogs[-1] = Dialog(dialogs[-1].name, tuple(steps), dialogs[-1].options)
    return dialogs


def _brackets(line: str) -> str:
    """`RCPT TO: user@x` is no path: given brackets, so that the rest of the dialog can be compared."""
    return re.sub(r"^(RCPT TO:) ([^<\s]+)$", r"\1<\2>", line)


CHASQUID = [
    dialog for path in sorted(VECTORS.glob("*.cmy")) for dialog in from_chamuyero(path.read_text("utf-8"),
    path.stem)
]  # fmt: skip


@pytest.mark.skipif(not CHASQUID, reason="the vectors are not here (SEKISHO_VECTORS)")
@pytest.mark.parametrize("dialog", CHASQUID, ids=lambda dialog: dialog.name)
async def test_chasquid_dialogs(dialog: Dialog) -> None:
    world = await World(Limits(message_octets=1_048_576)).fill()
    await world.store.directory.add_domain(Domain("testserver", 0))
    await world.store.directory.add_account(Address.from_text("user@testserver"), "x", "")
    world.authenticator.passwords.add("secretpassword")
    await Player(world.connect(dialog.options["port"])).play(dialog)
    assert world.journal.faults == []
