"""Records are built by keyword, so that a new field can never slip into the place of another."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "src").rglob("*.py"))}
MANY_FIELDS, MANY_ARGUMENTS = 5, 6


def _record_kind(node: ast.ClassDef) -> str:
    """The text that makes it one: a decorator, or its bases."""
    for decorator in node.decorator_list:
        if "dataclass" in (text := ast.unparse(decorator)):
            return text
    bases = [ast.unparse(base) for base in node.bases]
    if any(base.endswith("Struct") for base in bases):
        return ", ".join([*bases, *(f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords)])
    return ""


def _fields(node: ast.ClassDef) -> int:
    return sum(
        isinstance(part, ast.AnnAssign) and "ClassVar" not in ast.unparse(part.annotation)
        for part in node.body
    )


def test_records_of_many_fields_are_built_by_keyword() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and (kind := _record_kind(node))
        and _fields(node) >= MANY_FIELDS
        and "kw_only=True" not in kind
    ]
    assert not found, "kw_only=True is missing:\n" + "\n".join(found)


def test_long_tuples_are_built_by_keyword() -> None:
    """A NamedTuple cannot forbid positions, so whoever builds one is asked."""
    tuples = {
        node.name
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base) == "NamedTuple" for base in node.bases)
        and _fields(node) >= MANY_FIELDS
    }
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func).rpartition(".")[2]) in tuples
        and len(node.args) >= MANY_FIELDS
    ]
    assert not found, "name these fields:\n" + "\n".join(found)


def _ours() -> set[str]:
    """Names of functions, methods and classes of ours that take no *arguments."""
    names, open_ended = set(), set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                (open_ended if node.args.vararg else names).add(node.name)
    return names - open_ended


def test_no_call_has_many_positional_arguments() -> None:
    ours = _ours()
    found = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and len(node.args) >= MANY_ARGUMENTS:
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in ours:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}: {len(node.args)}")
    assert not found, "name these arguments:\n" + "\n".join(found)


def test_every_insert_names_its_columns() -> None:
    bare = re.compile(r"\b(?:INSERT|REPLACE)(?: OR \w+)? INTO \w+ (?:VALUES|SELECT)\b")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {match[0]}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in bare.finditer(node.value)
    ]
    assert not found, "name the columns:\n" + "\n".join(found)


def test_no_public_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(files)}" for name, files in sorted(twice.items()))
