"""Flags of messages (RFC 5232)."""

import re
from collections.abc import Callable, Iterable

from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import MATCH_TAGS, Node, Spec, Tag
from sekisho.core.sieve.templates import is_variable_name

FLAGS_TAG = Tag("flags", "strings", "flags", "imap4flags")
_SYSTEM = {each.lower(): each for each in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~\[}]{1,100}\Z")  # RFC 3501 §9 flag-keyword: an atom


def read_flags(texts: Iterable[str], limit: int) -> tuple[str, ...]:
    """RFC 5232 §2: a string may hold several; each once, whatever its case; what cannot be a flag is left
    out."""
    found: dict[str, str] = {}
    for text in texts:
        for flag in text.split():
            key = flag.lower()
            if key in _SYSTEM:
                found.setdefault(key, _SYSTEM[key])
            elif _KEYWORD.match(flag):
                found.setdefault(key, flag)
            if len(found) >= limit:
                return tuple(found.values())
    return tuple(found.values())


def flags_of(machine: Machine, node: Node) -> tuple[str, ...]:
    """What :flags says, or the internal variable (RFC 5232 §4)."""
    if "flags" in node.tags:
        return read_flags(machine.texts(node.tags["flags"]), machine.limits.flags)
    return machine.flags


def _get(machine: Machine, name: str | None) -> tuple[str, ...]:
    return (
        machine.flags if name is None else read_flags([machine.variable(name.lower())], machine.limits.flags)
    )


def _set(machine: Machine, name: str | None, flags: tuple[str, ...]) -> None:
    if name is None:
        machine.flags = flags
    else:
        machine.set_variable(name, " ".join(flags))


def _operands(machine: Machine, node: Node) -> tuple[str | None, tuple[str, ...]]:
    name = machine.text(node.arguments[0]) if len(node.arguments) == 2 else None
    return name, read_flags(machine.texts(node.arguments[-1]), machine.limits.flags)


def _setflag(machine: Machine, node: Node) -> None:
    name, flags = _operands(machine, node)
    _set(machine, name, flags)


def _addflag(machine: Machine, node: Node) -> None:
    name, flags = _operands(machine, node)
    _set(machine, name, read_flags([*_get(machine, name), *flags], machine.limits.flags))


def _removeflag(machine: Machine, node: Node) -> None:
    name, flags = _operands(machine, node)
    gone = {flag.lower() for flag in flags}
    _set(machine, name, tuple(flag for flag in _get(machine, name) if flag.lower() not in gone))


def _hasflag(machine: Machine, node: Node) -> bool:
    """RFC 5232 §5: each flag of the variables is a value; several flags in a key are several keys."""
    flags: list[str] = list(machine.flags)
    if len(node.arguments) == 2:
        flags = [flag for name in machine.texts(node.arguments[0]) for flag in _get(machine, name)]
    keys = machine.texts(node.arguments[-1])
    if node.match.kind not in ("count", "value"):
        keys = [
            each for key in keys for each in (key.split() or ([""] if node.match.kind == "contains" else []))
        ]
    return machine.matches(node.match, flags, keys)


def _check_variable(compiler: Compiler, node: Node) -> None:
    if len(node.arguments) < 2:
        return
    if "variables" not in compiler.required:
        compiler.fault(
            node.line,
            '{name} with a variable needs require "variables" at the top of the script.',
            name=node.spec.name,
        )
        return
    names = node.arguments[0]
    for name in names if isinstance(names, tuple) else (names,):
        if isinstance(name, str):
            if not is_variable_name(name):
                compiler.fault(node.line, '"{name}" is not the name of a variable.', name=name)
            elif not node.spec.is_test:
                compiler.variables.add(name.lower())


def _command(name: str, run: Callable[[Machine, Node], None]) -> Spec:
    return Spec(
        name=name,
        capability="imap4flags",
        arguments=("string", "strings"),
        optional=1,
        run=run,
        check=_check_variable,
    )


FLAGS = (
    _command("setflag", _setflag),
    _command("addflag", _addflag),
    _command("removeflag", _removeflag),
    Spec(
        name="hasflag",
        is_test=True,
        capability="imap4flags",
        arguments=("strings", "strings"),
        optional=1,
        tags=MATCH_TAGS,
        run=_hasflag,
        check=_check_variable,
    ),
)
