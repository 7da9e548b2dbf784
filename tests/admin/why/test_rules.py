"""Every rule that refuses, defers or sets apart, wherever it is, can be explained: why, and what to do, in
both languages.

Rules are found in the source by the word `rule`: what is given for a parameter or a field of that name, or
under that key of a record.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pytest

from sekisho.admin.why import question
from sekisho.admin.why.sentences import BANS, LOGIN_CAUSES, RULES, STATUSES, Wording
from sekisho.core.policy.takeover.signals import SIGNALS
from sekisho.core.policy.takeover.wording import REASONS_JA
from sekisho.faces.i18n.catalogue import catalogue

SOURCE = Path(question.__file__).parents[2]
# Beside the name of a rule these stand for "by the reply's status".
NO_RULES = frozenset(("", "content"))
MUST_BE_FOUND = frozenset(
    (
        "no-such-recipient",
        "relay-denied",
        "own-domain",
        "dmarc-reject",
        "dnsbl-listed",
        "virus",
        "sending-held",
        "not-your-address",
    )
)


class Module(NamedTuple):
    path: Path
    tree: ast.Module
    constants: dict[str, str]


@cache
def modules() -> tuple[Module, ...]:
    trees = [
        (path, ast.parse(path.read_text("utf-8")))
        for path in sorted(SOURCE.rglob("*.py"))
        if "lab" not in path.parts
    ]
    own: dict[str, dict[str, str]] = {}
    for path, tree in trees:
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        own[name] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                own[name] |= _texts_by_name(node.targets[0], node.value)
    return tuple(
        Module(path, tree, _imported(tree, own) | its)
        for (path, tree), its in zip(trees, own.values(), strict=True)
    )


def _imported(tree: ast.Module, own: dict[str, dict[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            there = own.get(node.module or "", {})
            found |= {
                alias.asname or alias.name: there[alias.name] for alias in node.names if alias.name in there
            }
    return found


def _texts_by_name(target: ast.expr, value: ast.expr) -> dict[str, str]:
    """`A = "x"` and `A, B = "x", "y"`."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        found: dict[str, str] = {}
        for one, its in zip(target.elts, value.elts, strict=False):
            found |= _texts_by_name(one, its)
        return found
    if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
        return {target.id: value.value}
    return {}


@cache
def places_of_rules() -> dict[str, int]:
    """Functions and classes with a parameter or field `rule` -> its place among the positional arguments of a
    call."""
    places: dict[str, int] = {}
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
                if "rule" in names:
                    places[node.name] = names.index("rule")
            elif isinstance(node, ast.ClassDef):
                fields = [
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                ]
                if "rule" in fields:
                    places[node.name] = fields.index("rule")
    return places


def _texts(node: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield constants[node.id]
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, constants)
        yield from _texts(node.orelse, constants)


def _given(node: ast.AST) -> Iterator[ast.expr]:
    """What the node gives for a rule."""
    if isinstance(node, ast.Dict):
        yield from (
            value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and key.value == "rule"
        )
    elif isinstance(node, ast.Call):
        name = (
            node.func.id
            if isinstance(node.func, ast.Name)
            else node.func.attr
            if isinstance(node.func, ast.Attribute)
            else ""
        )
        place = places_of_rules().get(name)
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "rule")
        if place is not None and place < len(node.args):
            yield node.args[place]


@cache
def rules() -> dict[str, str]:
    """Name -> where it is given."""
    found: dict[str, str] = {}
    for path, tree, constants in modules():
        for node in ast.walk(tree):
            for value in _given(node):
                for name in _texts(value, constants):
                    if name not in NO_RULES:
                        found.setdefault(name, str(path.relative_to(SOURCE)))
    return found


def test_the_search_finds_the_rules() -> None:
    assert rules().keys() >= MUST_BE_FOUND, sorted(MUST_BE_FOUND - rules().keys())


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_rule_has_a_sentence_and_a_remedy(name: str) -> None:
    assert name in RULES, f"{name} of {rules()[name]} wants its sentence in admin/why/sentences.py"
    assert RULES[name].remedy, f"what can somebody do about {name}?"


WORDINGS: dict[str, Wording] = {
    f"{title} {name}": wording
    for title, table in (("rule", RULES), ("status", STATUSES), ("login", LOGIN_CAUSES), ("ban", BANS))
    for name, wording in table.items()
}


@pytest.mark.parametrize("name", sorted(WORDINGS))
def test_each_is_told_in_japanese_too(name: str) -> None:
    known = catalogue("ja").messages
    untold = [text for text in WORDINGS[name] if _has_words(text) and text not in known]
    assert untold == []


def _has_words(text: str) -> bool:
    return any(character.isalpha() for literal, *_ in Formatter().parse(text) for character in literal)


def test_every_reason_of_the_guard_is_told_in_japanese_too() -> None:
    tree = ast.parse((SOURCE / "core/policy/takeover/signals.py").read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    nodes = [node for function in functions for statement in function.body for node in ast.walk(statement)]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    reasons = {text for text in texts if text.endswith(".") and len(text.split()) > 3} - {
        ast.get_docstring(each) for each in functions
    }
    assert len(reasons) >= len(SIGNALS)
    assert sorted(text for text in reasons if text not in REASONS_JA) == []
