"""Commands that are printed for people can be pasted: they exist, are complete, and are quoted."""

import re
import shlex
from pathlib import Path
from typing import Any, cast

import click
import pytest
from tests.docs.test_guide import _problem
from tests.faces.i18n.test_catalogue import all_sentences

from sekisho.faces.cli.handle import AppHandle, TryAccount, TryReady
from sekisho.faces.cli.main import build_cli
from sekisho.faces.cli.welcome import welcome
from sekisho.faces.i18n.catalogue import _COMMAND, Catalogue, catalogue

JAPANESE = catalogue("ja")
ROOT = build_cli(cast(AppHandle, None), catalogue("en"))
AWKWARD = "o'brien & sons; $HOME@example.org"
SENTENCES = sorted(text for text in all_sentences() if "sekisho " in text)


@pytest.mark.parametrize("text", SENTENCES)
def test_commands_in_sentences(text: str) -> None:
    for wording in (text, JAPANESE.messages.get(text, text)):
        for match in _COMMAND.finditer(wording):
            line = re.sub(r"\{\w+\}", "VALUE", match[0])
            if "{" in match[0] or "--" in match[0]:
                assert _problem(ROOT, line) == ""
                _complete(shlex.split(line)[1:], line)


def _complete(words: list[str], line: str) -> None:
    command: click.Command = ROOT
    context = click.Context(ROOT)
    while isinstance(command, click.Group) and words:
        child = command.get_command(context, words[0])
        assert child is not None, line
        command, words = child, words[1:]
    needed = [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Argument) and parameter.required
    ]
    given = [word for word in words if not word.startswith("-")]
    assert len(given) >= len(needed), f"{line} wants {', '.join(str(one.name) for one in needed)}"


@pytest.mark.parametrize(
    "text", [text for text in SENTENCES if any("{" in match[0] for match in _COMMAND.finditer(text))]
)
def test_values_in_commands_are_quoted(text: str) -> None:
    names = set(re.findall(r"\{(\w+)\}", text))
    for say in (Catalogue("en", {}), JAPANESE):
        wording = say.messages.get(text, text)
        said = say(text, **dict.fromkeys(names, AWKWARD))
        for match in _COMMAND.finditer(wording):
            if "{" in match[0]:
                assert re.sub(r"\{\w+\}", lambda _: shlex.quote(AWKWARD), match[0]) in said


def test_what_a_try_out_prints_works_from_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = str(tmp_path / "my mail's try")
    ports = dict.fromkeys(
        ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve"), 10025
    )
    accounts = (TryAccount("alice@example.test", "-a_b"), TryAccount("bob@example.test", "c"))
    text = welcome(
        TryReady(ready=True, ports=ports, accounts=accounts, ca_file=f"{folder}/ca.pem", dir=folder, pid=1),
        Catalogue("en", {}),
        "./sekisho",
    )
    lines = [line for line in text.replace("\\\n", " ").splitlines() if folder.split("'")[0] in line]
    assert len(lines) >= 7
    for line in lines:
        if "stops it. It lives in" in line or "trust " in line:
            continue
        command = line.partition(": ./")[2]
        words = shlex.split(f"./{command}" if command else line)
        assert f"{folder}/ca.pem" in words or f"{folder}/sekisho.toml" in words, line
    assert "./sekisho why alice@example.test -c " in text and "./sekisho serve -c " in text


def test_setup_tells_how_to_go_on(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "a folder" / "it's.toml"
    out = cli("setup", "mx.example.org", "-c", str(file))[1]
    assert out.endswith(f"sekisho config check -c {shlex.quote(str(file))}\n")
