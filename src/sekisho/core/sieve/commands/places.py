"""What is around the message: mailboxes (RFC 5490, RFC 8579), the environment (RFC 5183), messages seen
before (RFC 7352)."""

import hashlib

from sekisho.core.sieve.actions import SeenBefore
from sekisho.core.sieve.commands.base import ATTRIBUTE
from sekisho.core.sieve.compiler import FIELD_NAME, Compiler
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import MATCH_TAGS, Node, Spec, Tag

_DEFAULT_SECONDS = 7 * 86_400


def _mailboxexists(machine: Machine, node: Node) -> bool:
    return all(machine.situation.mailbox_exists(name) for name in machine.texts(node.arguments[0]))


def _specialuse_exists(machine: Machine, node: Node) -> bool:
    mailbox = machine.text(node.arguments[0]) if len(node.arguments) == 2 else None
    if mailbox is not None and not machine.situation.mailbox_exists(mailbox):
        return False
    return all(
        machine.situation.special_use_exists(mailbox, use) for use in machine.texts(node.arguments[-1])
    )


def _check_uses(compiler: Compiler, node: Node) -> None:
    uses = node.arguments[-1]
    for use in uses if isinstance(uses, tuple) else ():
        if isinstance(use, str) and not ATTRIBUTE.match(use):
            compiler.fault(
                node.line,
                '"{use}" is not a special use of a mailbox. Special uses begin with a backslash.',
                use=use,
            )


def _environment(machine: Machine, node: Node) -> bool:
    """RFC 5183 §4: an item that is not known is false, whatever it is compared with."""
    value = machine.situation.environment.get(machine.text(node.arguments[0]).lower())
    return value is not None and machine.matches(node.match, [value], machine.texts(node.arguments[1]))


def _duplicate(machine: Machine, node: Node) -> bool:
    """RFC 7352 §3: remembered only when the script ends well."""
    unique = machine.tag(node, "uniqueid")
    if unique is None:
        raw = machine.fields.first(machine.tag(node, "header") or "message-id")
        if raw is None:
            return False
        unique = raw.decode("utf-8", "surrogateescape")
    kind = "unique" if "uniqueid" in node.tags else "field"
    handle = machine.tag(node, "handle") or ""
    key = hashlib.sha256(f"duplicate\0{kind}\0{handle}\0{unique}".encode("utf-8", "surrogateescape")).digest()
    seconds = machine.number(node, "seconds")
    seconds = min(_DEFAULT_SECONDS if seconds is None else seconds, machine.limits.duplicate_max_seconds)
    found = machine.situation.is_duplicate(key)
    if not found or "last" in node.tags:
        seen = SeenBefore(key, seconds)
        if seen not in machine.result.seen:
            if len(machine.result.seen) >= machine.limits.actions:
                machine.fail(
                    "The script asks for duplicates more than {limit} times.", limit=machine.limits.actions
                )
            machine.result.seen.append(seen)
    return found


def _check_duplicate(compiler: Compiler, node: Node) -> None:
    name = compiler.constant(node.tags.get("header", 0))
    if name is not None and not FIELD_NAME.match(name):
        compiler.fault(node.line, '"{name}" is not the name of a header field.', name=name)


PLACES = (
    Spec(
        name="mailboxexists", is_test=True, capability="mailbox", arguments=("strings",), run=_mailboxexists
    ),
    Spec(
        name="specialuse_exists",
        is_test=True,
        capability="special-use",
        arguments=("string", "strings"),
        optional=1,
        run=_specialuse_exists,
        check=_check_uses,
    ),
    Spec(
        name="environment",
        is_test=True,
        capability="environment",
        arguments=("string", "strings"),
        tags=MATCH_TAGS,
        run=_environment,
    ),
    Spec(
        name="duplicate",
        is_test=True,
        capability="duplicate",
        tags=(
            Tag("header", "string", "id"),
            Tag("uniqueid", "string", "id"),
            Tag("handle", "string"),
            Tag("seconds", "number"),
            Tag("last"),
        ),
        run=_duplicate,
        check=_check_duplicate,
    ),
)
