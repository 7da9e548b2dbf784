"""Help of every command, in both languages: whole lines, an example that can be copied, nothing wider than a
terminal."""

import shlex
from collections.abc import Iterator
from typing import Any, Literal, cast

import click
import pytest

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import AppHandle
from sekisho.faces.cli.main import build_cli
from sekisho.faces.cli.wrapping import columns_of, fill, fill_paragraphs
from sekisho.faces.i18n.catalogue import catalogue

LANGUAGES: tuple[Literal["en", "ja"], ...] = ("en", "ja")
WORDS = {"en": ("Usage: ", "Example:\n", "Show this help"), "ja": ("使い方: ", "例:\n", "この説明を表示")}


def below(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from below(child, child.context_class(child, info_name=name, parent=context))


def every(language: Literal["en", "ja"], width: int) -> Iterator[tuple[click.Command, click.Context]]:
    root = build_cli(cast(AppHandle, None), catalogue(language))
    yield from below(root, root.context_class(root, info_name="sekisho", terminal_width=width))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 110])
def test_help_of_every_command(language: Literal["en", "ja"], width: int) -> None:
    usage, example, help_option = WORDS[language]
    seen = 0
    for command, context in every(language, width):
        text = command.get_help(context)
        seen += 1
        assert text.startswith(usage + context.command_path) and help_option in text
        assert "\\n" not in text and "\\b" not in text and "\b" not in text
        assert [line for line in text.splitlines() if columns_of(line) > width] == []
        if not isinstance(command, click.Group):
            (line,) = text.rpartition(example)[2].splitlines()
            assert line.startswith(f"    {context.command_path}"), "the example is a line of its own"
            _accepts(command, context, line)
    assert seen > 70


def _accepts(command: click.Command, context: click.Context, line: str) -> None:
    """Its words are taken, but for files that are not here."""
    words = shlex.split(line.partition("<")[0].partition(" > ")[0])[len(context.command_path.split()) :]
    try:
        command.make_context(context.info_name, words, parent=context.parent, resilient_parsing=False)
    except click.BadParameter as error:
        if "does not exist" not in error.message and "No such file" not in error.message:
            pytest.fail(f"{line}: {error.message}")


@pytest.mark.parametrize("words", [(), ("check",), ("account",), ("account", "credential"), ("queue",)])
def test_a_command_without_its_command_shows_the_help(cli: Any, words: tuple[str, ...]) -> None:
    code, out, err = cli(*words)
    assert (code, err) == (exits.USAGE, "")
    assert out == cli(*words, "--help")[1] and "\nCommands:\n" in out and "\\n" not in out


def test_problems_of_the_start_stand_in_lines(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ports that are taken; what comes from others begins no line."""
    from sekisho.faces.cli.handle import CommandError

    def refuse(_: object) -> int:
        raise CommandError(
            "{problem}", exits.FAILED, problem="port 25 is taken by 17\nport 465 is taken by 17"
        )

    monkeypatch.setattr(cli.app, "serve", refuse)
    assert cli("serve")[2] == "sekisho: port 25 is taken by 17\n  port 465 is taken by 17\n"
    assert cli("domain", "show", "a\nb.example")[2].count("\n") == 1


def test_japanese_is_wrapped_by_its_width() -> None:
    text = "何日分も数秒で過ぎます(例: sekisho lab door)。終わり、です。"
    for width in range(16, 60):
        lines = fill(text, width, "  ").split("\n")
        assert all(columns_of(line) <= max(width, 2 + 12) for line in lines)
        assert not any(line.strip().startswith(("。", "、", "です。"[-1:], ")")) for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_what_is_copied_is_never_broken() -> None:
    identifier = "65f1a2b3c4d5e001122334455667788"
    assert identifier in fill(f"As {identifier} it was accepted", 20).split("\n")
    assert (
        fill_paragraphs(f"One.\n\n\b\nsekisho why {identifier}\n  two", 20, "  ")
        == f"  One.\n\n  sekisho why {identifier}\n    two"
    )
