"""`sekisho lab` as people and machines see it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.faces.cli.conftest import Cli, FakeApp

from sekisho.config.problems import ConfigError, Problem
from sekisho.faces.cli.labview import duration
from sekisho.ports.lab import (
    Complaint,
    Fate,
    LabRates,
    Rehearsal,
    SceneInfo,
    SceneResult,
    TotalResult,
    Watcher,
)


def fate(number: int, **changes: Any) -> Fate:
    values: dict[str, Any] = {
        "number": number,
        "step": f"step-{number}",
        "actor": "shop",
        "side": "honest",
        "title": "A shop",
        "do": "mail",
        "recipient": "hanako@club.example",
        "outcome": "inbox",
        "tries": 1,
        "delay_seconds": 0.1,
        "at_us": 1,
        "reply": "250 ok",
        "rule": "",
        "because": "",
        "why": None,
        "authentication_results": "spf=pass",
        "expected": "inbox",
        "ok": True,
        "problem": None,
    }
    return Fate(**{**values, **changes})


def playing(
    *fates: Fate, ok: bool = True, totals: tuple[TotalResult, ...] = (), faults: tuple[str, ...] = ()
) -> Any:
    def play(watcher: Watcher) -> SceneResult:
        watcher.scene_begins(SceneInfo(name="door", title="The door", about="About it.", steps=2, file="x"))
        for one in fates:
            watcher.fate(one, 7_200_000_000)
        rates = LabRates(
            honest=2,
            honest_stopped=1,
            honest_junk=0,
            honest_delayed=1,
            longest_delay_seconds=300.0,
            attacks=3,
            attacks_let_in=1,
            attacks_junk=1,
        )
        result = SceneResult(
            scene="door",
            title="The door",
            seed=7,
            ok=ok,
            fates=list(fates),
            totals=list(totals),
            rates=rates,
            faults=list(faults),
            numbers={"x: logins": 3.0},
            seconds=1.25,
            lab_seconds=7200.0,
        )
        watcher.scene_ends(result)
        return result

    return play


def test_a_scene_in_a_table(cli: Cli, app: FakeApp) -> None:
    forged = fate(
        2,
        side="attack",
        title="A forger",
        outcome="refused",
        rule="dmarc-reject",
        why=Complaint("The sender is {x}.", {"x": "forged"}),
    )
    app.scenes = [playing(fate(1, step="s"), fate(3, step="s", outcome="junk", delay_seconds=400.0), forged)]
    code, out, _ = cli("lab", "door", "--seed", "7")
    assert code == 0
    assert app.calls == [
        ("lab", Rehearsal(names=("door",), files=(), seed=7, full=False, keep=None, language="en"))
    ]
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "✓ A shop 1 inbox, 1 junk 6 min 40 s spf=pass" in lines
    assert "✓ A forger refused – [dmarc-reject] The sender is forged." in lines
    assert "Honest: 2 messages, 1 wrongly stopped (50 %), 0 in Junk, 1 delayed (up to 5 min)." in lines
    assert "Attacks: 3 messages, 1 let in (33 %), 1 in Junk." in lines
    assert "All as the scene says. 2 h in the lab, 1.2 s here, seed 7." in lines


def test_what_went_wrong_is_named(cli: Cli, app: FakeApp) -> None:
    complaint = Complaint(
        "It should have ended as {wanted}, but ended as {outcome}.",
        {"wanted": "inbox", "outcome": "junk\x1b[31m"},
    )
    totals = (
        TotalResult(
            name="t",
            title="spam that arrived",
            measure="reached",
            value=51.0,
            at_most=50.0,
            at_least=None,
            ok=False,
        ),
        TotalResult(name="u", title="", measure="held", value=3.0, at_most=None, at_least=None, ok=True),
    )
    app.scenes = [
        playing(fate(1, ok=False, problem=complaint), ok=False, totals=totals, faults=("smtp: boom",))
    ]
    code, out, _ = cli("lab")
    assert code == 1
    assert (
        "✗ step-1 → hanako@club.example: It should have ended as inbox, but ended as junk\\u001b[31m." in out
    )
    assert "✗ spam that arrived: 51 (≤ 50)" in out and "✓ u: 3\n" in out
    assert "The server hit an error of its own: smtp: boom" in out and "Not as the scene says." in out


def test_japanese_and_guesses(cli: Cli, app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    app.scenes = [
        playing(fate(1, do="guess", outcome="turned-away", count=500, hits=2), fate(2, outcome="refused"))
    ]
    _, out, _ = cli("lab")
    assert (
        "推測 500 回、破られたアカウント 2 個" in out and "拒否" in out and "すべてシーンの通りです。" in out
    )
    assert cli("lab", "--list")[1] == "door\t門\n"


def test_a_terminal_gets_a_table_that_grows(cli: Cli, app: FakeApp) -> None:
    app.scenes = [playing(fate(1))]
    code, out, _ = cli("lab", on_terminal=True)
    assert code == 0 and "A shop" in out


def test_json(cli: Cli, app: FakeApp) -> None:
    app.scenes = [playing(fate(1))]
    code, out, _ = cli("lab", "--json")
    (result,) = json.loads(out)
    assert (code, result["scene"], result["fates"][0]["outcome"], result["rates"]["attacks_let_in"]) == (
        0,
        "door",
        "inbox",
        1,
    )


def test_a_broken_scene(cli: Cli, app: FakeApp, tmp_path: Path) -> None:
    def broken(watcher: Watcher) -> SceneResult:
        raise ConfigError(
            [Problem(path="step[0].to", text="This is required.", line=4)], tmp_path / "mine.toml"
        )

    app.scenes = [broken]
    code, out, err = cli("lab", "--scenario", str(tmp_path / "mine.toml"))
    assert (code, out) == (2, "")
    assert (
        f"{tmp_path}/mine.toml:4: error: step[0].to: This is required." in err and "Nothing was played" in err
    )


def test_durations() -> None:
    assert [duration(s) for s in (0.25, 5.0, 61.0, 90_061.0)] == ["0.2 s", "5 s", "1 min 1 s", "1 d 1 h"]
