#!/usr/bin/env python3
"""How the house stands: numbers about the structure of the source, for a look before and after a rebuild.

    scripts/house.py                    this checkout
    scripts/house.py --at v0.1.0        beside another commit
    scripts/house.py --json             for machines
    scripts/house.py --touched A..B     the files that a change touches, by folder (to walk a typical one)

Counts of the source tree alone; needs nothing but Python and git.
"""

import argparse
import ast
import difflib
import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANY_POSITIONAL = 6
MANY_FIELDS = 5
PACKAGE = "src/sekisho/"


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Counts over src/. `shared_lines`: lines that the two largest files of reception and submission have in
    the same order."""

    files: int
    lines: int
    longest_file: int
    classes: int
    public_names_twice: int
    many_positional_calls: int
    positional_records: int
    largest_imports: int
    exchanged_by_use: int
    shared_lines: int
    inserts_without_columns: int


Sources = dict[str, str]


def here() -> Sources:
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }


def at(revision: str) -> Sources:
    """The sources of another commit. Raises CalledProcessError for one that git does not know."""
    archive = subprocess.run(
        ["git", "archive", revision, PACKAGE], cwd=ROOT, capture_output=True, check=True
    ).stdout
    found: Sources = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            octets = tar.extractfile(member) if member.name.endswith(".py") else None
            if octets is not None:
                found[member.name] = octets.read().decode()
    return found


def measure(sources: Sources) -> Numbers:
    trees = {name: ast.parse(text, name) for name, text in sources.items()}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    public = Counter(
        node.name
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name[0] != "_"
    )
    return Numbers(
        files=len(sources),
        lines=sum(text.count("\n") for text in sources.values()),
        longest_file=max(text.count("\n") for text in sources.values()),
        classes=len(classes),
        public_names_twice=sum(1 for count in public.values() if count > 1),
        many_positional_calls=sum(1 for tree in trees.values() for _ in _crowded_calls(tree)),
        positional_records=sum(1 for node in classes if _is_positional_record(node)),
        largest_imports=max(_imports(tree) for tree in trees.values()),
        exchanged_by_use=sum(
            _uses(tree) for name, tree in trees.items() if name.startswith(f"{PACKAGE}wiring/")
        ),
        shared_lines=_shared(_largest(sources, "reception"), _largest(sources, "submission")),
        inserts_without_columns=sum(_bare_inserts(tree) for tree in trees.values()),
    )


def _crowded_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and len(node.args) >= MANY_POSITIONAL
            and not any(isinstance(a, ast.Starred) for a in node.args)
        ):
            yield node


def _is_positional_record(node: ast.ClassDef) -> bool:
    """A dataclass or Struct of many fields that may be built by position."""
    makers = [
        ast.unparse(decorator) for decorator in node.decorator_list if "dataclass" in ast.unparse(decorator)
    ]
    bases = [ast.unparse(base) for base in node.bases]
    is_struct = any(base.endswith("Struct") for base in bases)
    if not makers and not is_struct and "NamedTuple" not in bases:
        return False
    keyword_only = any("kw_only=True" in maker for maker in makers) or any(
        keyword.arg == "kw_only" for keyword in node.keywords
    )
    fields = [
        item
        for item in node.body
        if isinstance(item, ast.AnnAssign) and "ClassVar" not in ast.unparse(item.annotation)
    ]
    return len(fields) >= MANY_FIELDS and not keyword_only


def _imports(tree: ast.Module) -> int:
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)


def _uses(tree: ast.AST) -> int:
    """Calls of `x.use(…)`, by which something that lives on is given new settings."""
    return sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "use"
        for node in ast.walk(tree)
    )


def _bare_inserts(tree: ast.AST) -> int:
    texts = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    words = (" ".join(text.upper().split()) for text in texts)
    return sum(
        "INSERT" in text and " VALUES" in text and "(" not in text.partition(" VALUES")[0] for text in words
    )


def _largest(sources: Sources, service: str) -> list[str]:
    own = [text for name, text in sources.items() if name.startswith(f"{PACKAGE}services/{service}/")]
    text = max(own, key=lambda text: text.count("\n"))
    return [line.strip() for line in text.split("\n") if line.strip()]


def _shared(one: list[str], other: list[str]) -> int:
    return sum(
        block.size
        for block in difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    )


def touched(span: str) -> Counter[str]:
    """How many files of each top folder (below src/sekisho: of each layer) the commits of `span` touch."""
    names = subprocess.run(
        ["git", "diff", "--name-only", span], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split()
    return Counter(
        "/".join(Path(name).parts[:3]) if name.startswith(PACKAGE) else Path(name).parts[0] for name in names
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--at", metavar="REVISION", help="another commit to stand beside this checkout")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--touched", metavar="A..B")
    arguments = parser.parse_args()
    try:
        if arguments.touched:
            table = touched(arguments.touched)
            print(
                json.dumps(table)
                if arguments.json
                else "\n".join(f"{count:4} {name}" for name, count in sorted(table.items()))
            )
            return 0
        columns = {"now": measure(here())} | (
            {arguments.at: measure(at(arguments.at))} if arguments.at else {}
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr
        print(f"git: {said}".strip(), file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps({name: asdict(numbers) for name, numbers in columns.items()}))
        return 0
    print(f"{'':28}" + "".join(f"{name:>12}" for name in columns))
    for field in asdict(next(iter(columns.values()))):
        print(
            f"{field.replace('_', ' '):28}"
            + "".join(f"{getattr(numbers, field):12}" for numbers in columns.values())
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
