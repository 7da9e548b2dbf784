"""Scripts that run in others (RFC 6609)."""

import re

from sekisho.core.sieve.compiler import Compiler, included_script
from sekisho.core.sieve.machine import Machine, Returned, Scope
from sekisho.core.sieve.script import Node, Spec, Tag

SCRIPT_NAME = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/]{1,128}\Z"
)  # RFC 5804 §1.6; no slash, so that no name is a path


def _location(node: Node) -> str:
    return "global" if "global" in node.tags else "personal"


def _include(machine: Machine, node: Node) -> None:
    key = (_location(node), str(node.arguments[0]))
    if "once" in node.tags and key in machine.once:
        return
    script = node.included
    if script is None:
        if "optional" not in node.tags:
            machine.fail('There is no script "{name}" to include.', name=key[1])  # RFC 6609 §3.2
        return
    machine.once.add(key)
    if len(machine.scripts) > machine.limits.include_depth:
        machine.fail(
            "Scripts include each other more than {depth} levels deep.", depth=machine.limits.include_depth
        )
    machine.scopes.append(Scope())
    try:
        machine.run_script(script)
    except Returned:
        pass
    finally:
        machine.scopes.pop()


def _check_include(compiler: Compiler, node: Node) -> None:
    name = compiler.constant(node.arguments[0])
    if name is None or not SCRIPT_NAME.match(name):
        compiler.fault(node.line, '"{name}" is not the name of a script.', name=str(name))
        return
    node.included = included_script(
        compiler, _location(node), name, node.line, optional="optional" in node.tags
    )


def _return(machine: Machine, node: Node) -> None:
    raise Returned


INCLUDE = (
    Spec(
        name="include",
        capability="include",
        arguments=("string",),
        tags=(Tag("personal", "", "location"), Tag("global", "", "location"), Tag("once"), Tag("optional")),
        run=_include,
        check=_check_include,
    ),
    Spec(name="return", capability="include", run=_return),
)
