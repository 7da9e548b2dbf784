"""The scenes that come with the program, against the real server, as a person plays them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_readme import EN, quoted_totals
from tests.system.server import ENVIRONMENT

from sekisho.lab.rehearse import scene_name, shipped_scenes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NAMES = [scene_name(file) for file in shipped_scenes()]
WRONG = """
format = 1
title = "x"

[[actor]]
name = "shop"
address = "198.51.100.10"
domain = "shop.example"

[[actor]]
name = "local"
address = "127.9.9.9"
domain = "local.example"

[[step]]
actor = "shop"
to = "hanako"
expect = "refused"

[[step]]
actor = "local"
to = "hanako"
expect = "inbox"
"""


def lab(*arguments: str, **environment: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "sekisho.app", "lab", *arguments]
    done = subprocess.run(
        command, capture_output=True, env={**ENVIRONMENT, **environment}, timeout=280, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def wrong_in(results: list[dict[str, Any]]) -> list[Any]:
    return [fate for result in results for fate in result["fates"] if not fate["ok"]] + [
        total for result in results for total in result["totals"] if not total["ok"]
    ]


@pytest.mark.parametrize("seed", ["1", "2"])
@pytest.mark.parametrize("name", NAMES)
def test_every_scene_ends_as_it_says(name: str, seed: str) -> None:
    code, out, err = lab(name, "--seed", seed, "--json")
    assert out, err
    results = json.loads(out)
    assert (code, wrong_in(results), [result["faults"] for result in results]) == (0, [], [[]]), err

    if (name, seed) == ("hijack", "1"):
        _readme_agrees(results[0])


def _readme_agrees(result: dict[str, Any]) -> None:
    """What README quotes of the run with this seed: none where it says none, else about as many."""
    told = quoted_totals(EN)
    found = {total["title"]: total["value"] for total in result["totals"]}
    assert len(told) >= 6 and told.keys() <= found.keys()
    for title, number in told.items():
        assert found[title] == pytest.approx(number, abs=10 if number else 0), title
    rates = result["rates"]
    assert f"Honest: {rates['honest']} messages, {rates['honest_stopped']} wrongly stopped" in EN
    assert (
        f"Attacks: {rates['attacks']} messages" in EN
        and abs(rates["attacks_let_in"] - sum(told.values())) <= 20
    )


def test_what_does_not_end_as_the_scene_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(WRONG)
    code, out, err = lab(
        "--scenario", str(tmp_path / "wrong.toml"), "--keep", str(tmp_path / "kept"), LC_ALL="C.UTF-8"
    )
    assert code == 1, err
    assert "It should have ended as refused, but ended as inbox." in out and "Not as the scene says." in out
    assert "Honest: 2 messages, 0 wrongly stopped" in out
    journal = (tmp_path / "kept" / "wrong" / "journal.log").read_text()
    assert '"client":"198.51.100.10"' in journal and '"client":"127.9.9.9"' in journal
    code, out, _ = lab("--scenario", str(tmp_path / "wrong.toml"), LC_ALL="ja_JP.UTF-8")
    assert code == 1 and "シーンの通りではありません。" in out


def test_a_broken_scene_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(WRONG.replace('name = "shop"', 'nome = "shop"'))
    code, out, err = lab("--scenario", str(tmp_path / "broken.toml"))
    assert (code, out) == (2, "")
    assert f"{tmp_path}/broken.toml:6: error: actor[0].nome: There is no such setting." in err
