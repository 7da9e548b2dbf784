"""The house rules of DESIGN §2 that a machine can check."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_files_and_functions_keep_their_budgets() -> None:
    over = []
    for path in SOURCES:
        text = path.read_text("utf-8")
        lines = text.count("\n")
        if lines > 500:
            over.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                parameters = len(node.args.args) + len(node.args.kwonlyargs) + len(node.args.posonlyargs)
                if size > 60:
                    over.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {size} lines")
                if parameters > 8:
                    over.append(
                        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {parameters} parameters"
                    )
    assert not over, "\n".join(over)


def test_init_files_are_empty() -> None:
    assert [str(p) for p in SOURCES if p.name == "__init__.py" and p.read_text()] == []
