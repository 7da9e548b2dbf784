"""Documents that could lie are compared with what they speak of."""

import re
import tomllib
from pathlib import Path
from typing import Literal

import pytest

from sekisho.faces.cli.main import COMMANDS
from sekisho.faces.cli.reference import configuration_reference
from sekisho.faces.i18n.catalogue import catalogue
from sekisho.ports.metrics import METRICS

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROGRAMS = ("run", "test")


@pytest.mark.parametrize(("language", "folder"), [("en", "docs/operating"), ("ja", "docs/operating/ja")])
def test_the_configuration_reference_is_current(language: Literal["en", "ja"], folder: str) -> None:
    locale = {"en": "C", "ja": "ja_JP.UTF-8"}[language]
    written = (ROOT / folder / "configuration.md").read_text("utf-8")
    assert written == configuration_reference(catalogue(language)), (
        f"LANG={locale} sekisho config reference > {folder}/configuration.md"
    )


@pytest.mark.parametrize("path", ["docs/operating/monitoring.md", "docs/operating/ja/monitoring.md"])
def test_every_metric_is_documented(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `(sekisho_\w+)` \| .*$", text, re.MULTILINE)}
    assert rows.keys() == METRICS.keys()
    for name, (kind, _, labels) in METRICS.items():
        assert rows[name].split(" | ")[1:3] == [kind, ", ".join(labels) or "–"]


@pytest.mark.parametrize("path", ["docs/operating/monitoring.md", "docs/operating/ja/monitoring.md"])
def test_every_kind_of_log_entry_is_documented(path: str) -> None:
    """Kinds are written as text where an entry is made: Entry("queue.parked", …), report("worker.died",
    …)."""
    text = (ROOT / path).read_text("utf-8")
    kinds: set[str] = set()
    for source in (ROOT / "src").rglob("*.py"):
        kinds |= set(re.findall(r'(?:Entry|report)\(\s*"([a-z_]+\.[a-z_]+)"', source.read_text("utf-8")))
    assert len(kinds) > 20
    assert sorted(kind for kind in kinds if f"`{kind}`" not in text) == []


@pytest.mark.parametrize("path", ["docs/operating/commands.md", "docs/operating/ja/commands.md"])
def test_every_command_is_documented(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    assert [name for name in COMMANDS if not re.search(rf"^\| .*`{name}\b", text, re.MULTILINE)] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_document_for_operators_exists_in_japanese() -> None:
    english = {path.name for path in (ROOT / "docs/operating").glob("*.md")}
    assert english == {path.name for path in (ROOT / "docs/operating/ja").glob("*.md")}


def test_every_runtime_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = set(
        re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs/dependencies.md").read_text("utf-8"), re.MULTILINE)
    ) - {"package"}
    assert rows == {
        re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in project["dependencies"]
    }


def test_commands_in_documents_exist() -> None:
    for path in DOCS:
        for name in re.findall(r"^(?:[$#] )?sekisho ([a-z]+)", path.read_text("utf-8"), re.MULTILINE):
            assert name in COMMANDS, f"{path}: sekisho {name}"
    assert all((ROOT / name).exists() for name in PROGRAMS)
