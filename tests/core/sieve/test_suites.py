"""Suites in the language vnd.dovecot.testsuite: ours beside this file, and those of others."""

import os
from pathlib import Path

import pytest
from tests.vectors import find_vectors

from sekisho.testing.svtest import run_suite

HERE = Path(__file__).parent / "suites"
FOLDERS = [
    HERE,
    find_vectors("sieve"),
    *(Path(each) for each in os.environ.get("SEKISHO_SIEVE_SUITES", "").split(os.pathsep) if each),
]
FILES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.svtest"))]
BASE_TESTS = 79


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_suite(path: Path) -> None:
    outcomes = run_suite(path)
    assert outcomes
    assert [outcome for outcome in outcomes if outcome.failure is not None] == []


def test_the_base_language_is_whole() -> None:
    folder = find_vectors("sieve", "pigeonhole-base")
    if not folder.exists():
        pytest.skip("the vectors are not here (SEKISHO_VECTORS)")
    assert sum(len(run_suite(path)) for path in folder.rglob("*.svtest")) == BASE_TESTS
