"""Walks through the parts of a message (RFC 5703 §3, §7)."""

from sekisho.core.sieve.commands.body import part_text
from sekisho.core.sieve.commands.parts import current_part, descendants, is_leaf, structure_of
from sekisho.core.sieve.commands.variables import MODIFIERS, check_variable, modified
from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.machine import Machine, ScriptBroken
from sekisho.core.sieve.script import Node, Spec, Tag


def _foreverypart(machine: Machine, node: Node) -> None:
    structure = structure_of(machine)
    numbers = descendants(structure, current_part(machine))
    if machine.part_stack:
        numbers = numbers[
            1:
        ]  # an inner loop goes through what is inside the part that the outer one stands at
    name = machine.tag(node, "name") or ""
    for number in numbers[: machine.limits.parts]:
        machine.spend()
        machine.part_stack.append((number, name))
        try:
            machine.run_nodes(node.block)
        except ScriptBroken as broken:
            if broken.name and broken.name != name:
                raise
            return
        finally:
            machine.part_stack.pop()


def _check_loop(compiler: Compiler, node: Node) -> None:
    name = compiler.constant(node.tags.get("name", ""))
    if name is None:
        compiler.fault(node.line, "The name of a loop must be a constant. Write it without variables.")
    else:
        compiler.loops[-1] = name


def _break(machine: Machine, node: Node) -> None:
    raise ScriptBroken(machine.tag(node, "name") or "")


def _check_break(compiler: Compiler, node: Node) -> None:
    name = compiler.constant(node.tags.get("name", ""))
    if not compiler.loops:
        compiler.fault(node.line, "break is used outside of foreverypart.")
    elif name and name not in compiler.loops:
        compiler.fault(node.line, 'There is no loop "{name}" around this break.', name=name)


def _extracttext(machine: Machine, node: Node) -> None:
    """RFC 5703 §7: the text of the part, or nothing where it is none."""
    part = structure_of(machine).parts[current_part(machine)]
    text = ""
    if is_leaf(part) and part.type == b"text":
        text = part_text(machine, current_part(machine), part, as_text=True)
    first = machine.number(node, "first")
    text = text[: machine.limits.string_octets if first is None else first]
    machine.spend(len(text))
    machine.set_variable(
        machine.text(node.arguments[0]), modified(machine, node, text[: machine.limits.string_octets])
    )


def _check_extract(compiler: Compiler, node: Node) -> None:
    check_variable(compiler, node)
    if not compiler.loops:
        compiler.fault(node.line, "extracttext is used outside of foreverypart.")


LOOPS = (
    Spec(
        name="foreverypart",
        capability="foreverypart",
        tags=(Tag("name", "string"),),
        has_block=True,
        run=_foreverypart,
        check=_check_loop,
    ),
    Spec(
        name="break", capability="foreverypart", tags=(Tag("name", "string"),), run=_break, check=_check_break
    ),
    Spec(
        name="extracttext",
        capability="extracttext variables",
        arguments=("string",),
        tags=(*MODIFIERS, Tag("first", "number")),
        run=_extracttext,
        check=_check_extract,
    ),
)
