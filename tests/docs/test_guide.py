"""The guide (docs/en, docs/ja) says only what the program has: commands, options, settings, scenes; in both
languages the same."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import pytest
from pydantic import BaseModel

from sekisho.config.schema import Config
from sekisho.core.policy.door.judge import RULES
from sekisho.faces.cli.handle import AppHandle
from sekisho.faces.cli.main import build_cli
from sekisho.faces.cli.reference import table_in
from sekisho.faces.i18n.catalogue import catalogue
from sekisho.lab.rehearse import scene_name, shipped_scenes

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = ("en", "ja")
NAMES = sorted({path.name for language in LANGUAGES for path in (DOCS / language).glob("*.md")})
PAGES = sorted(path for language in LANGUAGES for path in (DOCS / language).glob("*.md"))
OPERATING = sorted([*(DOCS / "operating").rglob("*.md"), *(DOCS / "lab").rglob("*.md")])
SECTIONS = 6  # what it is, told wrongly, right today, here, the lab, check it
# What may stand behind a command: what it does, other programs.
_END = re.compile(r"\s{3,}.*|\s+#\s.*|\s+[|>&].*|;.*|…")


def _text(path: Path) -> str:
    return path.read_text("utf-8")


def _code(text: str) -> Iterator[str]:
    """Lines of fenced blocks, then what stands between backticks elsewhere."""
    outside = []
    for number, part in enumerate(re.split(r"^ *```.*\n", text, flags=re.MULTILINE)):
        if number % 2:
            yield from part.splitlines()
        else:
            outside.append(part)
    yield from re.findall(r"`([^`\n]+)`", "\n".join(outside))


def _commands(text: str) -> list[str]:
    found = (re.match(r"(?:[$#] )?(sekisho [a-z].*)", line.strip()) for line in _code(text))
    return [_END.sub("", match[1]).strip() for match in found if match]


def _settings(text: str) -> list[str]:
    """`door.dmarc`, `[door]`, `[[door.blocklists]]`, also with a value behind it."""
    spans = re.findall(r"`\[{0,2}([a-z_]+(?:\.[a-z0-9_]+)*)\]{0,2}(?: = [^`]*)?`", text)
    kinds = set(
        re.findall(r"`([a-z_]+\.[a-z_…]+)`", _text(DOCS / "operating" / "monitoring.md"))
    )  # of log entries, such as queue.parked
    known = {span for span in spans if span.split(".")[0] in Config.model_fields and "." in span}
    return sorted(span for span in known if span not in kinds and not span.endswith((".md", ".db")))


def _problem(root: click.Command, line: str) -> str:
    """Why the command line cannot be, or ""."""
    command, words = root, shlex.split(line)[1:]
    context = click.Context(root)
    while words and isinstance(command, click.Group):
        word = words.pop(0).rstrip(",:.")
        child = command.get_command(context, word)
        if child is None:
            return f"{line}: no command {word}"
        command = child
    options = {
        name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"-h", "--help"}
    unknown = [
        word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options
    ]
    if command.name == "lab":
        scenes = {scene_name(file) for file in shipped_scenes()}
        unknown += [word for word in _arguments(command, words) if word not in scenes]
    return f"{line}: {', '.join(unknown)}" if unknown else ""


def _arguments(command: click.Command, words: list[str]) -> Iterator[str]:
    takes_value = {
        name for p in command.params if isinstance(p, click.Option) and not p.is_flag for name in p.opts
    }
    before = ""
    for word in words:
        if re.fullmatch(r"[a-z][a-z-]+", word) and before not in takes_value:
            yield word
        before = word


@pytest.fixture(scope="module")
def root() -> click.Command:
    return build_cli(cast(AppHandle, None), catalogue("en"))


@pytest.mark.parametrize("path", [*PAGES, *OPERATING], ids=lambda path: str(path.relative_to(DOCS)))
def test_every_command_and_scene_exists(root: click.Command, path: Path) -> None:
    assert [problem for line in _commands(_text(path)) if (problem := _problem(root, line))] == []


@pytest.mark.parametrize("folder", ["operating", "operating/ja"])
def test_every_command_below_a_command_is_documented(root: click.Command, folder: str) -> None:
    rows = re.findall(r"^\| (`.*)$", _text(DOCS / folder / "commands.md"), re.MULTILINE)
    assert isinstance(root, click.Group)
    for name in root.list_commands(context := click.Context(root)):
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            text = " ".join(row.split(" | ")[0] for row in rows if row.startswith(f"`{name} "))
            assert [below for below in command.commands if not re.search(rf"[` ]{below}`", text)] == [], (
                f"the row of {name}"
            )


def test_a_wrong_command_is_noticed(root: click.Command) -> None:
    right = "`sekisho lab door --keep tmp`, `$ sekisho why x`"
    wrong = (
        "`sekisho account ad x`\n\n```\n$ sekisho lab dor --seed 3 # what\nsekisho why x --sinse 2d\n```\n"
    )
    assert [_problem(root, line) for line in _commands(right)] == ["", ""]
    assert [bool(_problem(root, line)) for line in _commands(wrong)] == [True, True, True]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_what_is_quoted_of_the_lab_happens_there(path: Path) -> None:
    for name, quoted in re.findall(
        r"^\$ sekisho lab ([a-z-]+)\n(.*?)^```", _text(path), re.DOTALL | re.MULTILINE
    ):
        (scene,) = [
            tomllib.loads(file.read_text("utf-8")) for file in shipped_scenes() if scene_name(file) == name
        ]
        told = [
            table.get(key, "")
            for kind in ("actor", "step", "total")
            for table in scene.get(kind, [])
            for key in ("title", "title_ja")
        ]
        rows = re.findall(r"^ *✓ +(.+?)(?:\s{2,}|: \d|$)", quoted, re.MULTILINE)
        assert rows
        assert [row for row in rows if not any(title.startswith(row) for title in told)] == []


@pytest.mark.parametrize("path", [*PAGES, *OPERATING], ids=lambda path: str(path.relative_to(DOCS)))
def test_every_setting_exists(path: Path) -> None:
    assert [name for name in _settings(_text(path)) if not _is_setting(name)] == []


def _is_setting(name: str) -> bool:
    model: type[BaseModel] | None = Config
    for part in name.split("."):
        if model is None or part not in model.model_fields:
            return False
        model = table_in(model.model_fields[part].annotation)
    return True


def test_a_wrong_setting_is_noticed() -> None:
    found = _settings(
        '`door.dmark`, `[door]`, `door.dmarc = "observe"`, `[[door.blocklists]]`, `queue.parked`'
    )
    assert {name: _is_setting(name) for name in found} == {
        "door.blocklists": True,
        "door.dmarc": True,
        "door.dmark": False,
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_every_piece_of_configuration_is_valid(path: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", _text(path), re.DOTALL | re.MULTILINE):
        written: dict[str, Any] = tomllib.loads(block)
        for name, table in written.items():
            model = table_in(Config.model_fields[name].annotation)
            assert model is not None
            for one in table if isinstance(table, list) else [table]:
                model.model_validate(one, context={"folder": DOCS})


@pytest.mark.parametrize("name", NAMES)
def test_sisters_say_the_same(name: str) -> None:
    """The same sections, standards, commands, settings, rules; each leads to the other."""
    english, japanese = (_text(DOCS / language / name) for language in LANGUAGES)
    assert f"](../ja/{name})" in english
    assert f"](../en/{name})" in japanese
    for what in (r"^(##) ", r"RFC (\d+)", r"§([\d.]*\d)"):
        assert sorted(set(re.findall(what, english, re.MULTILINE))) == sorted(
            set(re.findall(what, japanese, re.MULTILINE))
        )
    assert sorted(set(_commands(english))) == sorted(set(_commands(japanese)))
    assert sorted(set(_settings(english))) == sorted(set(_settings(japanese)))
    rules = {rule.name for rule in RULES}
    assert {rule for rule in rules if f"`{rule}`" in english} == {
        rule for rule in rules if f"`{rule}`" in japanese
    }


@pytest.mark.parametrize(
    "name", sorted(path.name for path in (DOCS / "operating").glob("*.md") if path.stem != "configuration")
)
def test_pages_for_operators_lead_to_their_sisters(name: str) -> None:
    assert f"[日本語](ja/{name})" in _text(DOCS / "operating" / name)
    assert f"[English](../{name})" in _text(DOCS / "operating" / "ja" / name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "README.md"])
def test_every_technique_has_its_sections_and_stands_on_the_map(name: str) -> None:
    for language in LANGUAGES:
        assert len(re.findall(r"^## ", _text(DOCS / language / name), re.MULTILINE)) == SECTIONS
        assert f"]({name})" in _text(DOCS / language / "README.md")
