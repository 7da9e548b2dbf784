"""Changes to the header section (RFC 5293). Only where the caller's language allows them."""

from sekisho.core.sieve.actions import AddField
from sekisho.core.sieve.commands.parts import pick
from sekisho.core.sieve.compiler import FIELD_NAME, Compiler
from sekisho.core.sieve.fields import SeenField
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import MATCH_TAGS, Node, Spec, Tag

# RFC 5293 §6: what tells where a message came from, and what keeps robots apart.
PROTECTED = frozenset(
    ("received", "auto-submitted", "return-path", "authentication-results", "arc-authentication-results")
)
_MAX_VALUE = 2000


def _addheader(machine: Machine, node: Node) -> None:
    name = machine.text(node.arguments[0])
    if not FIELD_NAME.match(name):
        machine.fail('"{name}" is not the name of a header field.', name=name)
    if name.lower() in PROTECTED:
        machine.warn("The field {name} was not added: scripts may not change it.", name=name)
        return
    text = machine.text(node.arguments[1])[:_MAX_VALUE]
    value = " ".join("".join(each if each.isprintable() else " " for each in text).split(" ")).strip()
    _spend_edits(machine, 1)
    machine.fields.add(AddField(name, value, "last" in node.tags))


def _deleteheader(machine: Machine, node: Node) -> None:
    name = machine.text(node.arguments[0])
    if name.lower() in PROTECTED:
        machine.warn("The field {name} was not deleted: scripts may not change it.", name=name)
        return
    places = machine.fields.places(name)
    if machine.number(node, "index") is not None:
        chosen = pick([field for _, field in places], machine.number(node, "index"), last="last" in node.tags)
        places = [(place, field) for place, field in places if any(field is each for each in chosen)]
    if len(node.arguments) > 1:
        keys = machine.texts(node.arguments[1])
        places = _matching(machine, node, places, keys)
    _spend_edits(machine, len(places))
    machine.fields.delete([place for place, _ in places])


def _matching(
    machine: Machine, node: Node, places: list[tuple[int, SeenField]], keys: list[str]
) -> list[tuple[int, SeenField]]:
    """RFC 5293 §5: with :count, all of them or none."""
    if node.match.kind == "count":
        return places if machine.matches(node.match, [field.text for _, field in places], keys) else []
    # RFC 5293 §5 says nothing of match variables; other implementations set none.
    machine.is_tracking = False
    found = [(place, field) for place, field in places if machine.matches(node.match, [field.text], keys)]
    machine.is_tracking = True
    return found


def _spend_edits(machine: Machine, number: int) -> None:
    machine.spend(sum(len(field.octets) for field in machine.fields._fields) // 8)
    if len(machine.fields.edits) + number > machine.limits.header_edits:
        machine.fail(
            "The script makes more than {limit} changes to the header section.",
            limit=machine.limits.header_edits,
        )


def _check(compiler: Compiler, node: Node) -> None:
    name = compiler.constant(node.arguments[0])
    if name is not None and not FIELD_NAME.match(name):
        compiler.fault(node.line, '"{name}" is not the name of a header field.', name=name)


EDITHEADER = (
    Spec(
        name="addheader",
        capability="editheader",
        arguments=("string", "string"),
        tags=(Tag("last"),),
        run=_addheader,
        check=_check,
    ),
    Spec(
        name="deleteheader",
        capability="editheader",
        arguments=("string", "strings"),
        optional=-1,
        tags=(*MATCH_TAGS, Tag("index", "number"), Tag("last")),
        run=_deleteheader,
        check=_check,
    ),
)
