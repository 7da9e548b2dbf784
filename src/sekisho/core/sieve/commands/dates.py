"""Tests of dates (RFC 5260)."""

from datetime import UTC, datetime, timedelta, timezone

from sekisho.core.sieve.commands.parts import pick
from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.dates import DATE_PARTS, date_part, in_zone, read_date, read_zone
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import INDEX_TAGS, MATCH_TAGS, Node, Spec, Tag

_ZONE = Tag("zone", "string", "zone")


def _zone(machine: Machine, node: Node) -> timezone:
    """RFC 5260 §4.1: the local zone unless another is named."""
    text = machine.tag(node, "zone")
    local = timezone(timedelta(minutes=machine.situation.offset_minutes))
    if text is None:
        return local
    zone = read_zone(text)
    if zone is None:
        machine.fail('"{zone}" is not a time zone. Write it as "+0900".', zone=text)
    return zone or local


def _part(machine: Machine, node: Node, moment: datetime, place: int) -> bool:
    part = machine.text(node.arguments[place]).lower()
    values = [date_part(moment, part)] if part in DATE_PARTS else []
    return machine.matches(node.match, values, machine.texts(node.arguments[place + 1]))


def _date(machine: Machine, node: Node) -> bool:
    found = pick(
        machine.fields.named(machine.text(node.arguments[0])),
        machine.number(node, "index"),
        last="last" in node.tags,
    )
    part = machine.text(node.arguments[1]).lower()
    values: list[str] = []
    for field in found[: machine.limits.parts]:
        machine.spend(len(field.octets))
        # RFC 5260 §4: of Received, what stands behind the last semicolon.
        moment = read_date(field.raw.rpartition(b";")[2].decode("latin-1"))
        if moment is not None and part in DATE_PARTS:
            moment = moment if "originalzone" in node.tags else in_zone(moment, _zone(machine, node))
            values.append(date_part(moment, part))
    return machine.matches(node.match, values, machine.texts(node.arguments[2]))


def _currentdate(machine: Machine, node: Node) -> bool:
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=machine.situation.now_us)
    return _part(machine, node, in_zone(now, _zone(machine, node)), 0)


def _check(compiler: Compiler, node: Node) -> None:
    part = compiler.constant(node.arguments[-2])
    if part is not None and part.lower() not in DATE_PARTS:
        compiler.fault(
            node.line,
            '"{part}" is not a part of a date. The parts are {parts}.',
            part=part,
            parts=", ".join(sorted(DATE_PARTS)),
        )
    zone = compiler.constant(node.tags.get("zone", 0))
    if zone is not None and read_zone(zone) is None:
        compiler.fault(node.line, '"{zone}" is not a time zone. Write it as "+0900".', zone=zone)


DATES = (
    Spec(
        name="date",
        is_test=True,
        capability="date",
        arguments=("string", "string", "strings"),
        tags=(*MATCH_TAGS, *INDEX_TAGS, _ZONE, Tag("originalzone", "", "zone")),
        run=_date,
        check=_check,
    ),
    Spec(
        name="currentdate",
        is_test=True,
        capability="date",
        arguments=("string", "strings"),
        tags=(*MATCH_TAGS, _ZONE),
        run=_currentdate,
        check=_check,
    ),
)
