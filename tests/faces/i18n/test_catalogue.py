"""Everything that the command line can say has a Japanese wording with the same places to fill."""

import ast
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import click
import pytest
from pydantic import BaseModel

from sekisho.admin.why.story import Ended
from sekisho.config import explain
from sekisho.config.schema import Config
from sekisho.core.terms.address import AddressError
from sekisho.faces.cli import main, reference
from sekisho.faces.cli.commands import bans, door, guard, reputation
from sekisho.faces.cli.commands.account import state_word
from sekisho.faces.cli.main import COMMANDS, build_cli
from sekisho.faces.cli.translate import paragraphs
from sekisho.faces.i18n.catalogue import Catalogue, catalogue, language_of, read_po
from sekisho.faces.sendmail import arguments
from sekisho.lab.reader import SCENE_TEXTS
from sekisho.lab.scene import Outcome
from sekisho.ports.directory import AccountState
from sekisho.ports.spool import RecipientState

SOURCE = Path(main.__file__).parents[2]
# Callable -> which of its arguments are sentences.
SPEAKERS = {
    "say": (0,),
    "AdminRefused": (0,),
    "CommandError": (0,),
    "WeakPassword": (0,),
    "HashRefused": (0,),
    "PreparationError": (0,),
    "TryOutRefused": (0,),
    "Problem": (1, 2),
    "report": (2,),
    "AddressError": (0,),
    "self.fail": (0,),
    "ScriptFault": (1,),
    "ScriptsRefused": (0,),
    "self._fail": (1,),
    "self.fault": (1,),
    "compiler.fault": (1,),
    "machine.fail": (0,),
    "machine.warn": (0,),
    "RehearsalFailed": (0,),
    "Complaint": (0,),
    "Told": (1,),
    "Wording": (0, 1),
    "SignatureWording": (0, 1),
    "Finding": (2, 3),
    "Finding.good": (1,),
    "Finding.hint": (1, 2),
    "Finding.unknown": (1,),
    "Finding.bad": (1, 2),
    "sentence": (0,),
    "Rule": (1,),
}
# Records that are built by keyword -> which of their fields are sentences.
SPEAKING_FIELDS = {
    "Problem": ("text", "advice"),
    "Told": ("what",),
    "Wording": ("why", "remedy"),
    "SignatureWording": ("why", "remedy"),
    "Finding": ("text", "remedy"),
    "Rule": ("says",),
}
# Where a sentence goes to a peer, or to nobody but a developer.
SILENT = (
    "core/smtp",
    "core/imap",
    "core/pop3",
    "services/access",
    "services/reception",
    "services/submission",
    "services/relay",
    "testing",
)


def sentences_in_source() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("*.py")):
        if str(path.relative_to(SOURCE)).startswith(SILENT):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                for position in SPEAKERS.get(name, SPEAKERS.get(name.rpartition(".")[2], ())):
                    yield from constants(node.args[position]) if position < len(node.args) else ()
                named = SPEAKING_FIELDS.get(name.rpartition(".")[2], ())
                for keyword in node.keywords:
                    yield from constants(keyword.value) if keyword.arg in named else ()


def constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def sentences_of_help() -> Iterator[str]:
    yield from (text for _, text in COMMANDS.values())
    root = build_cli(typing.cast(typing.Any, None), Catalogue("en", {}))
    pending: list[click.Command] = [root]
    while pending:
        command = pending.pop()
        yield paragraphs(command.help or "")
        assert (command.epilog or "\bExample:").lstrip("\b\n").startswith("Example:")
        yield from (
            parameter.help
            for parameter in command.params
            if isinstance(parameter, click.Option) and parameter.help
        )
        if isinstance(command, click.Group):
            context = click.Context(command)
            pending += [
                child
                for name in command.list_commands(context)
                if (child := command.get_command(context, name))
            ]


def sentences_of_the_schema() -> Iterator[str]:
    pending: list[type[BaseModel]] = [Config]
    while pending:
        model = pending.pop()
        if model is not Config and model.__doc__:
            yield " ".join(model.__doc__.split())
        for field in model.model_fields.values():
            inner = reference.table_in(field.annotation)
            if inner is not None:
                pending.append(inner)
            else:
                yield field.description or ""
                yield reference.type_word(field.annotation)


def all_sentences() -> set[str]:
    found = {*sentences_in_source(), *sentences_of_help(), *sentences_of_the_schema()}
    found |= {text for pair in (*explain.TEXTS.values(), *SCENE_TEXTS.values()) for text in pair}
    found |= set(typing.get_args(Outcome))
    found |= set(arguments.REFUSED_MODES.values())
    found |= {state_word(state) for state in typing.get_args(AccountState)} | set(
        typing.get_args(RecipientState)
    )
    found |= set(typing.get_args(Ended)) | {*guard.WORDS, *door.WORDS, *reputation.WORDS, *bans.WORDS}
    found |= {"Usage", "Options", "Commands", "Example", "messages", "octets"}
    found |= {"the local part must have 1 to 64 octets", "the domain must have 1 to 255 octets"}
    found = {
        text for text in found if not text.startswith('"') or text.startswith('"{')
    }  # possible values, written as they are
    return {text for text in found if re.search(r"[A-Za-z]{2}", re.sub(r"\{\w+\}", "", text))} - {
        "postmaster",
        "abuse",
    }


JAPANESE = catalogue("ja")


def test_every_sentence_has_a_japanese_wording() -> None:
    missing = sorted(text for text in all_sentences() if text not in JAPANESE.messages)
    assert not missing, "add to faces/i18n/ja.po:\n" + "\n".join(
        f"msgid {quoted(text)}\nmsgstr " for text in missing
    )


def quoted(text: str) -> str:
    return (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\b", "\\b") + '"'
    )


def test_nothing_stale_is_kept() -> None:
    assert sorted(set(JAPANESE.messages) - all_sentences()) == []


@pytest.mark.parametrize("text", sorted(JAPANESE.messages), ids=lambda text: text[:30])
def test_places_are_the_same(text: str) -> None:
    def places(wording: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(wording)} - {None}

    wording = JAPANESE.messages[text]
    assert "{}" not in text
    if "{" in text:
        assert places(wording) == places(text)
    assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", wording) or text in ("PEM",), wording


def test_what_is_not_translated_comes_out_in_english() -> None:
    assert JAPANESE("No such sentence {x}.", x=1) == "No such sentence 1."


def test_reasons_are_translated_too() -> None:
    sentence = JAPANESE(
        "{text} is not an address: {reason}.", text="x", reason=str(AddressError("no @ in the address"))
    )
    assert "no @" not in sentence and "x" in sentence


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, None),
        ({"LANG": "C.UTF-8"}, None),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, None),
        ({"LANG": "C", "LC_MESSAGES": "ja"}, "ja"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "en_GB", "LANG": "ja_JP"}, "en"),
        ({"LC_ALL": "", "LANG": "ja_JP"}, "ja"),
    ],
)
def test_the_environment_chooses(environment: dict[str, str], language: str | None) -> None:
    assert language_of(environment) == language


def test_po_files() -> None:
    text = (
        '# comment\nmsgid ""\nmsgstr "header\\n"\n\nmsgid "a \\"b\\"\\n"\n"c"\nmsgstr "あ"\n"い\\n"\n\n'
        'msgid "empty"\nmsgstr ""\n'
    )
    assert read_po(text) == {'a "b"\nc': "あい\n"}
