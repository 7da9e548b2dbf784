"""The memory store is the oracle: what the tests of everything else stand on is the store that people use."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMORY = "sekisho.adapters.stores.memory"
# Hints without siblings to tell, and single parts where a test needs no store at all: the conformance suite
# holds each of them against SQLite's.
PARTS = {
    f"{MEMORY}.{name}"
    for name in ("changes", "ledger", "content", "bans", "places", "lessons", "hoptls", "shaping")
}
MAY = {
    "tests/stores": "the conformance suite runs on it, and the model tests hold the others against it",
    "tests/services/guard/test_interrupted.py": "runs on both, and compares",
    "tests/services/queue": "counts calls of the clock, which a writer shares, and turns of the loop",
}


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith(MEMORY)}


def test_who_may_use_the_memory_store() -> None:
    users = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (names := _imported(path) - PARTS)
    }
    assert users, "nobody: then this test looks in the wrong place"
    strays = {name: names for name, names in users.items() if not name.startswith(tuple(MAY))}
    assert not strays, "use tests.stores.opened.OpenStore:\n" + "\n".join(map(str, strays.items()))
    idle = [place for place in MAY if not any(name.startswith(place) for name in users)]
    assert not idle, f"they no longer use it: {idle}"


def test_the_program_itself_takes_no_more_of_it_than_hints() -> None:
    used = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / "src").rglob("*.py"))
        if "stores/memory" not in str(path) and (names := _imported(path) - {f"{MEMORY}.changes"})
    }
    assert not used, used
