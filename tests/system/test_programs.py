"""./run and ./sekisho as shell scripts: which program they start, where, with which configuration."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAMP = "(pwd; cat requirements-dev.txt pyproject.toml) | cksum"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder with a space, whose environment holds a program that tells how it was called."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in (
        "run",
        "sekisho",
        "requirements-dev.txt",
        "requirements.txt",
        "requirements-build.txt",
        "pyproject.toml",
    ):
        shutil.copy2(ROOT / name, folder)
    program = folder / ".venv" / "bin" / "sekisho"
    program.write_text(
        '#!/bin/sh\nprintf "%s|" "$PWD" "${SEKISHO_CONFIG:-}" "${SEKISHO_PROGRAM:-}" "$@"\nexit 7\n'
    )
    program.chmod(0o755)
    stamp = subprocess.run(
        ["sh", "-c", STAMP], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / ".venv" / ".sekisho-stamp").write_text(f"{stamp} requirements-dev.txt")
    return folder


def called(program: Path, *words: str, cwd: Path, **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEKISHO_")}
    done = subprocess.run(
        [program, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        env=kept | environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
    return done.stdout.split("|")[:-1]


def test_the_wrapper_knows_the_try_out(checkout: Path, tmp_path: Path) -> None:
    wrapper = checkout / "sekisho"
    assert called(wrapper, "why", "a b", cwd=tmp_path) == [str(tmp_path), "", str(wrapper), "why", "a b"]
    made = checkout / "sekisho-try" / "sekisho.toml"
    made.parent.mkdir()
    made.touch()
    assert called(wrapper, "domain", "list", cwd=tmp_path)[:2] == [str(tmp_path), str(made)]
    assert called(wrapper, "domain", "list", cwd=tmp_path, SEKISHO_CONFIG="x.toml")[1] == "x.toml"
    link = tmp_path / "sekisho"
    link.symlink_to(wrapper)
    assert called(link, "--version", cwd=tmp_path)[1] == str(made)


def test_run_says_how_it_was_called(checkout: Path, tmp_path: Path) -> None:
    assert called(checkout / "run", "--base-port", "0", cwd=tmp_path) == [
        str(checkout),
        "",
        "./sekisho",
        "try",
        "--base-port",
        "0",
    ]


def test_what_is_made_in_the_checkout_is_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/sekisho-try/" in ignored and "/.venv" in ignored
