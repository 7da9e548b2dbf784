"""The fields that a test looks at, with :index, :last (RFC 5260 §6) and :mime, :anychild (RFC 5703 §4)."""

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.mimefields import Parameters, forms_of, parse_content_type, parse_disposition
from sekisho.core.message.structure import Kind, Part, Structure
from sekisho.core.message.text import charset_codec, decode_field
from sekisho.core.sieve.fields import FieldList, SeenField
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import Node

_MAX_HEADER = 65_536  # of a part are looked at


def chosen_fields(machine: Machine, node: Node, name: str) -> list[SeenField]:
    """The fields of that name that the test is about."""
    if "mime" not in node.tags:
        found = machine.fields.named(name)
    else:
        found = []
        for fields in _part_headers(machine, anychild="anychild" in node.tags):
            found += fields.named(name)
    return pick(found, machine.number(node, "index"), last="last" in node.tags)


def pick(found: list[SeenField], index: int | None, *, last: bool) -> list[SeenField]:
    """RFC 5260 §6: the field at `index`, counted from 1 from the top, or from the bottom with :last; all of
    them without an index."""
    if index is None:
        return found
    if not 1 <= index <= len(found):
        return []
    return [found[-index] if last else found[index - 1]]


def structure_of(machine: Machine) -> Structure:
    limit = machine.limits.body_octets
    if "structure" not in machine.decoded:
        machine.decoded["structure"] = ""
        machine.spend(min(machine.situation.message.size, limit) // 4)
    return machine.situation.message.structure(limit)


def current_part(machine: Machine) -> int:
    """The part that the innermost loop stands at; 0, the message, outside of loops."""
    return machine.part_stack[-1][0] if machine.part_stack else 0


def descendants(structure: Structure, start: int) -> list[int]:
    """The part itself, then those inside it, in order."""
    found, pending = list[int](), [start]
    while pending:
        number = pending.pop()
        found.append(number)
        pending += reversed(structure.parts[number].children)
    return found


def _part_headers(machine: Machine, *, anychild: bool) -> list[FieldList]:
    start = current_part(machine)
    if start == 0 and not anychild:
        return [machine.fields]
    structure = structure_of(machine)
    numbers = descendants(structure, start)[: machine.limits.parts] if anychild else [start]
    return [
        machine.fields if number == 0 else FieldList(part_header(machine, structure.parts[number]))
        for number in numbers
    ]


def part_header(machine: Machine, part: Part) -> HeaderSection:
    size = min(part.body - part.start, _MAX_HEADER)
    machine.spend(size)
    return HeaderSection(machine.situation.message.read(part.start, part.start + size), max_fields=200)


def field_values(machine: Machine, node: Node, name: str, field: SeenField) -> list[str]:
    """What `header` compares of a field: its text, or what :type, :subtype, :contenttype and :param take out
    of it (RFC 5703 §4.1)."""
    if not {"type", "subtype", "contenttype", "param"} & node.tags.keys():
        return [field.text]
    name = name.lower()
    main, parameters = _taken_apart(name, field.raw)
    if "param" in node.tags:
        wanted = machine.texts(node.tags["param"])
        return [text for each in wanted for text in _parameter(parameters, each.lower())]
    if "type" in node.tags:
        return [main.partition("/")[0]] if main else []
    if "subtype" in node.tags:
        return [main.partition("/")[2]] if "/" in main else []
    return [main] if main else []


def _taken_apart(name: str, raw: bytes) -> tuple[str, Parameters]:
    if name == "content-type":
        found = parse_content_type(raw)
        return (f"{found[0].decode('latin-1')}/{found[1].decode('latin-1')}", found[2]) if found else ("", ())
    # RFC 5703 §4.1: other fields have a type and parameters, no subtype.
    disposition = parse_disposition(raw)
    return (disposition[0].decode("latin-1").lower(), disposition[1]) if disposition else ("", ())


def _parameter(parameters: Parameters, name: str) -> list[str]:
    found: list[str] = []
    for form in forms_of(parameters, name.encode("utf-8", "replace"))[:1]:
        found.append(
            decode_field(form.octets)
            if form.charset is None
            else form.octets.decode(charset_codec(form.charset or b"utf-8"), "replace")
        )
    return found


def is_leaf(part: Part) -> bool:
    return part.kind is Kind.LEAF
