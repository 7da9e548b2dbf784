"""README says only what is so, in both languages the same: commands, ports, rows of the lab, links,
numbers."""

import re
import tomllib
from pathlib import Path
from typing import cast

import click
import pytest
from tests.docs.test_guide import _problem

from sekisho.adapters.tryout import DEFAULT_BASE_PORT, DOMAIN, LOCAL_PARTS
from sekisho.config.write import USUAL_PORTS
from sekisho.faces.cli.handle import AppHandle
from sekisho.faces.cli.main import build_cli
from sekisho.faces.i18n.catalogue import catalogue
from sekisho.lab.rehearse import scene_name, shipped_scenes

ROOT = Path(__file__).parents[2]
NAMES = ("README.md", "README.ja.md")
EN, JA = ((ROOT / name).read_text("utf-8") for name in NAMES)


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """Without comments, which are in each language."""
    return [
        line
        for block in blocks(text)
        if "✓" not in block
        for line in block.splitlines()
        if line and not line.startswith("#")
    ]


def test_both_languages_have_the_same_parts() -> None:
    for pattern in (r"^#+ ", r"^\|", r"^- ", r"^ ✓ ", r"^✓ "):
        assert len(re.findall(pattern, EN, re.MULTILINE)) == len(re.findall(pattern, JA, re.MULTILINE)), (
            pattern
        )
    assert commands(EN) == commands(JA)


def test_both_languages_link_to_the_same_pages() -> None:
    def links(text: str) -> set[str]:
        found = set(re.findall(r"\]\(([^)]+)\)", text)) - set(NAMES)
        return {link.replace("/ja/", "/").replace("docs/en/", "docs/") for link in found}

    # "docs/en/" is told from "docs/ja/" by its language only.
    assert links(EN) == links(JA)


def test_both_languages_give_the_same_numbers() -> None:
    def numbers(text: str) -> list[str]:
        quoted = "\n".join(block for block in blocks(text) if "✓" in block)
        return sorted(
            re.findall(r"(?<![\w.])\d[\d,.]*(?!\w*example)", re.sub(r"192\.0\.2\.0/24", "", quoted))
        )

    assert numbers(EN) == numbers(JA)
    for number in ("100,000", "5,000", "1,644", "0.19"):
        assert number in EN and number in JA and number in (ROOT / "bench/README.md").read_text("utf-8")


@pytest.mark.parametrize("text", [EN, JA], ids=NAMES)
def test_every_command_exists(text: str) -> None:
    root: click.Command = build_cli(cast(AppHandle, None), catalogue("en"))
    told = [line for line in commands(text) if line.startswith("./sekisho")] + re.findall(
        r"`((?:\./)?sekisho [a-z][^`]*)`", text
    )
    assert len(told) >= 8
    assert [problem for line in told if (problem := _problem(root, line.removeprefix("./")))] == []
    for name in re.findall(r"(?:^|`)\./(\w+)", text, re.MULTILINE):
        assert (ROOT / name).stat().st_mode & 0o111, name


@pytest.mark.parametrize("text", [EN, JA], ids=NAMES)
def test_the_try_out_is_what_is_told(text: str) -> None:
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}
    assert ports <= {DEFAULT_BASE_PORT + usual for usual in USUAL_PORTS.values()} and len(ports) == 3
    assert set(re.findall(r"--user \"(\w+)@", text)) == set(LOCAL_PARTS) and f"`{DOMAIN}`" in text
    rows = {
        int(port)
        for row in re.findall(r"^\| ([\d, 、]+) \|", text, re.MULTILINE)
        for port in re.findall(r"\d+", row)
    }
    assert rows == set(USUAL_PORTS.values())


@pytest.mark.parametrize(("text", "key"), [(EN, "title"), (JA, "title_ja")], ids=NAMES)
def test_the_rows_of_the_lab_are_those_of_the_scene(text: str, key: str) -> None:
    (scene,) = [
        tomllib.loads(file.read_text("utf-8")) for file in shipped_scenes() if scene_name(file) == "hijack"
    ]
    titles = [table.get(key, "") for kind in ("actor", "step", "total") for table in scene[kind]]
    (block,) = [block for block in blocks(text) if "✓" in block]
    rows = re.findall(r"^ ?✓ +(.+?)(?:\s{2,}|: \d|$)", block, re.MULTILINE)
    assert len(rows) >= 10
    assert [
        row
        for row in rows
        if not any(title.replace("\n", " ").startswith(row.rstrip("、")) for title in titles)
    ] == []


def quoted_totals(text: str) -> dict[str, int]:
    """Title of a total -> the number that README gives."""
    return {
        name: int(value) for name, value in re.findall(r"^✓ (.+): (\d+)(?: \(.*\))?$", text, re.MULTILINE)
    }


def test_what_is_bounded_can_be_missed() -> None:
    """README's claims rest on scenes whose bounds an undefended server would break."""
    (stuffing,) = [
        tomllib.loads(file.read_text("utf-8")) for file in shipped_scenes() if scene_name(file) == "stuffing"
    ]
    weak = [account for account in stuffing["account"] if "password" in account]
    (opened,) = [total for total in stuffing["total"] if total["name"] == "opened"]
    (guessing,) = [step for step in stuffing["step"] if step["do"] == "guess"]
    accounts = sum(account.get("count", 1) for account in stuffing["account"])
    tries_of_each = guessing["count"] / (accounts * len(guessing["passwords"]))
    assert (
        opened["at_most"] < len(weak) and tries_of_each > 2
    )  # of each password at each account, if nobody counted
