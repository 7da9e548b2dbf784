"""The body (RFC 5173), decoded as far as a reader would see it."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from sekisho.core.message.hypertext import read_hypertext
from sekisho.core.message.structure import Kind, Part
from sekisho.core.message.text import BodyDecoder, TransferDecoder
from sekisho.core.sieve.commands.parts import structure_of
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import MATCH_TAGS, Node, Spec, Tag

_TYPE = re.compile(r"[^/\s]+(?:/[^/\s]+)?\Z")


def _body(machine: Machine, node: Node) -> bool:
    if "raw" in node.tags:
        values = [_raw(machine)]
    elif "content" in node.tags:
        wanted = [each.lower() for each in machine.texts(node.tags["content"])]
        values = list(_contents(machine, wanted, as_text=False))
    else:
        values = list(_contents(machine, ["text"], as_text=True))
    was_tracking, machine.is_tracking = machine.is_tracking, False  # RFC 5173 §6: no match variables
    try:
        return machine.matches(node.match, values, machine.texts(node.arguments[0]))
    finally:
        machine.is_tracking = was_tracking


def _raw(machine: Machine) -> str:
    """RFC 5173 §5.1: behind the header section, undecoded."""
    message = machine.situation.message
    start = message.header.body
    end = min(message.size, start + machine.limits.value_characters)
    return _once(
        machine, "raw", end - start, lambda: message.read(start, end).decode("utf-8", "surrogateescape")
    )


def _once(machine: Machine, key: object, cost: int, make: Callable[[], str]) -> str:
    if key not in machine.decoded:
        machine.spend(max(cost, 0))
        machine.decoded[key] = make()
    return machine.decoded[key]


def _contents(machine: Machine, wanted: list[str], *, as_text: bool) -> Iterator[str]:
    """RFC 5173 §5.2: a string for each part that is of a wanted type; of multiparts what stands around their
    parts, of messages their header."""
    wanted = [each for each in wanted if not each or _TYPE.match(each)]
    structure = structure_of(machine)
    for number, part in enumerate(structure.parts[: machine.limits.parts]):
        type_, subtype = part.type.decode("latin-1"), part.subtype.decode("latin-1")
        if not any(each in ("", type_, f"{type_}/{subtype}") for each in wanted):
            continue
        if part.kind is Kind.MULTIPART:
            yield from _around(machine, number, part, structure.parts)
        elif part.kind is Kind.MESSAGE:
            inner = structure.parts[part.children[0]]
            yield _once(
                machine,
                ("header", number),
                inner.body - inner.start,
                partial(_read, machine, inner.start, inner.body),
            )
        else:
            yield part_text(machine, number, part, as_text=as_text)


def _read(machine: Machine, start: int, end: int) -> str:
    end = min(end, start + machine.limits.value_characters)
    return machine.situation.message.read(start, end).decode("utf-8", "replace")


def _around(machine: Machine, number: int, part: Part, parts: list[Part]) -> Iterator[str]:
    """RFC 5173 §5.2: the prologue and the epilogue of a multipart. Delimiters are neither."""
    if not part.children:
        yield _once(
            machine, ("prologue", number), part.end - part.body, lambda: _read(machine, part.body, part.end)
        )
        return
    first, last = parts[part.children[0]], parts[part.children[-1]]
    delimiter = "--" + part.boundary.decode("latin-1")
    before = _once(
        machine, ("prologue", number), first.start - part.body, lambda: _read(machine, part.body, first.start)
    )
    yield before.rpartition(delimiter)[0]
    after = _once(
        machine, ("epilogue", number), part.end - last.end, lambda: _read(machine, last.end, part.end)
    )
    yield after.partition(delimiter + "--")[2]


def part_text(machine: Machine, number: int, part: Part, *, as_text: bool) -> str:
    """The text of a leaf. `as_text`: of HTML what a reader sees. Other types than text keep their octets."""
    return _once(
        machine,
        ("part", number, as_text),
        (part.end - part.body) * 4,
        lambda: _decoded(machine, part, as_text=as_text),
    )


def _decoded(machine: Machine, part: Part, *, as_text: bool) -> str:
    limit = machine.limits.value_characters
    octets = machine.situation.message.read(part.body, min(part.end, part.body + 2 * limit))
    if part.type != b"text":
        return (
            TransferDecoder(part.encoding).feed(octets, final=True)[:limit].decode("utf-8", "surrogateescape")
        )
    charset = part.parameter(b"charset") or b"us-ascii"
    text = BodyDecoder(part.encoding, charset).feed(octets, final=True)[:limit]
    if as_text and part.subtype == b"html":
        machine.spend(len(text) * 16)
        return read_hypertext(text).shown
    return text


BODY = (
    Spec(
        name="body",
        is_test=True,
        capability="body",
        arguments=("strings",),
        tags=(
            *MATCH_TAGS,
            Tag("raw", "", "transform"),
            Tag("content", "strings", "transform"),
            Tag("text", "", "transform"),
        ),
        run=_body,
    ),
)
