"""The memory store is the oracle: what the tests of everything else stand on is the store that people use."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMORY = "sekisho.adapters.stores.memory"
# Single parts of it (a ledger, bans) may stand in where a test needs no store at all: the conformance suite
# holds each against SQLite's.
WHOLE = "MemoryStore"
MAY = {
    "tests/stores": "the conformance suite runs on it, and the model tests hold the others against it",
    "tests/services/guard/test_interrupted.py": "runs on both, and compares",
    "tests/services/queue": "counts calls of the clock, which a writer shares, and turns of the loop",
}


def _is_made(path: Path) -> bool:
    """Called, or handed to whoever calls it."""
    return any(
        isinstance(part, ast.Name) and part.id == WHOLE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        for part in (node.func, *node.args, *(keyword.value for keyword in node.keywords))
    )


def test_who_may_use_the_memory_store() -> None:
    users = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("*.py")) if _is_made(path)]
    strays = [name for name in users if not name.startswith(tuple(MAY))]
    assert not strays, "use tests.stores.opened.OpenStore:\n" + "\n".join(strays)
    idle = [place for place in MAY if not any(name.startswith(place) for name in users)]
    assert not idle, f"they no longer use it: {idle}"


def test_the_program_itself_takes_no_more_of_it_than_hints() -> None:
    used = {
        str(path.relative_to(ROOT)): node.module
        for path in sorted((ROOT / "src").rglob("*.py"))
        if "stores/memory" not in str(path)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(MEMORY)
    }
    assert set(used.values()) <= {f"{MEMORY}.changes"}, used
