"""Variables (RFC 5229), and those that scripts share (RFC 6609 §3.4)."""

from urllib.parse import quote

from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import MATCH_TAGS, Node, Spec, Tag
from sekisho.core.sieve.templates import is_variable_name

# RFC 5229 §4.1: those of higher precedence first, of one precedence only one.
MODIFIERS = (
    Tag("lower", "", "40"),
    Tag("upper", "", "40"),
    Tag("lowerfirst", "", "30"),
    Tag("upperfirst", "", "30"),
    Tag("quotewildcard", "", "20"),
    Tag("encodeurl", "", "15", "enotify"),
    Tag("length", "", "10"),
)
_QUOTED = {ord(each): "\\" + each for each in "\\*?"}


def modified(machine: Machine, node: Node, value: str) -> str:
    """RFC 5229 §4.1, RFC 5435 §6."""
    tags, limit = node.tags, machine.limits.variable_characters
    if "lower" in tags:
        value = value.lower()
    if "upper" in tags:
        value = value.upper()
    if "lowerfirst" in tags:
        value = value[:1].lower() + value[1:]
    if "upperfirst" in tags:
        value = value[:1].upper() + value[1:]
    if "quotewildcard" in tags:
        value = value.translate(_QUOTED)
        if len(value) > limit:
            value = value[:limit]
            value = value[: len(value) - (len(value) - len(value.rstrip("\\"))) % 2]
    if "encodeurl" in tags:
        value = quote(value.encode("utf-8", "surrogateescape"), safe="-._~")
        if len(value) > limit:
            cut = value.rfind("%", limit - 2, limit)
            value = value[: cut if cut >= 0 else limit]
    return str(len(value)) if "length" in tags else value


def _set(machine: Machine, node: Node) -> None:
    value = modified(machine, node, machine.text(node.arguments[1])[: machine.limits.string_octets])
    machine.set_variable(machine.text(node.arguments[0]), value)


def check_variable(compiler: Compiler, node: Node) -> None:
    """The first argument is the name of a variable that can be set."""
    name = compiler.constant(node.arguments[0])
    if name is None or not is_variable_name(name):
        compiler.fault(
            node.line,
            '"{name}" is not the name of a variable. A name has letters, digits and _, and does not '
            "begin with a digit.",
            name=str(name),
        )
    elif "." in name and not (
        name.lower().startswith("global.") and name.count(".") == 1 and "include" in compiler.required
    ):
        compiler.fault(node.line, 'The variable "{name}" cannot be set.', name=name)
    else:
        compiler.variables.add(name.lower())


def _string(machine: Machine, node: Node) -> bool:
    sources = machine.texts(node.arguments[0])
    # RFC 5229 §5: :count counts the strings that are not empty.
    count = sum(1 for source in sources if source) if node.match.kind == "count" else None
    return machine.matches(node.match, sources, machine.texts(node.arguments[1]), count=count)


def _global(machine: Machine, node: Node) -> None:
    for name in machine.texts(node.arguments[0]):
        machine.scope.shared.add(name.lower())


def _check_global(compiler: Compiler, node: Node) -> None:
    names = node.arguments[0]
    for name in names if isinstance(names, tuple) else ():
        if not isinstance(name, str) or not is_variable_name(name) or "." in name:
            compiler.fault(node.line, '"{name}" is not the name of a variable.', name=str(name))
        elif name.lower() in compiler.variables - compiler.globals:
            compiler.fault(
                node.line,
                "The variable {name} is used before it is made global. Put global first.",
                name=name,
            )  # RFC 6609 §3.4.1
        else:
            compiler.variables.add(name.lower())
            compiler.globals.add(name.lower())


VARIABLES = (
    Spec(
        name="set",
        capability="variables",
        arguments=("string", "string"),
        tags=MODIFIERS,
        run=_set,
        check=check_variable,
    ),
    Spec(
        name="string",
        is_test=True,
        capability="variables",
        arguments=("strings", "strings"),
        tags=MATCH_TAGS,
        run=_string,
    ),
    Spec(
        name="global",
        capability="include variables",
        arguments=("strings",),
        run=_global,
        check=_check_global,
    ),
)
