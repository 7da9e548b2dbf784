"""Answers to the sender: vacation (RFC 5230, RFC 6131), reject and ereject (RFC 5429)."""

import hashlib
import re

from sekisho.core.sieve.actions import Reject, Vacation
from sekisho.core.sieve.addresses import read_addresses
from sekisho.core.sieve.commands.base import bare_address
from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import Node, Spec, Tag

_DAY = 86_400
_DEFAULT_DAYS = 7
# RFC 5230 §4.6, RFC 3834 §2: robots and lists, by how they are called.
_ROBOT = re.compile(
    r"(?:mailer-daemon|listserv|majordomo|postmaster|no-?reply|do-?not-?reply|owner-.*|.*-owner|.*-request"
    r"|.*-bounces?(?:\+.*)?|bounces?[+-].*)\Z",
    re.IGNORECASE,
)
_BULK = frozenset((b"bulk", b"list", b"junk"))
_TO_FIELDS = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_LIST_FIELDS = (
    "list-id",
    "list-help",
    "list-subscribe",
    "list-unsubscribe",
    "list-post",
    "list-owner",
    "list-archive",
)


def _vacation(machine: Machine, node: Node) -> None:
    if machine.has_answered:
        machine.fail(
            "vacation may run only once. Let one test decide which answer is given."
        )  # RFC 5230 §4.7
    machine.has_answered = True
    addresses = machine.texts(node.tags["addresses"]) if "addresses" in node.tags else []
    mine = machine.situation.owner_addresses | {(bare_address(each) or each).lower() for each in addresses}
    reason, subject = machine.text(node.arguments[0]), machine.tag(node, "subject")
    sender = machine.tag(node, "from") or ""
    if sender and not bare_address(sender):
        machine.fail('"{address}" is not an address that an answer can come from.', address=sender)
    recipient = _answers_for(machine, mine)
    action = Vacation(
        to=machine.situation.reverse_path,
        recipient=recipient,
        reason=reason,
        key=_key(node, machine.situation.reverse_path),
        seconds=_seconds(machine, node),
        subject=_one_line(subject) if subject is not None else _subject(machine),
        sender=_one_line(sender),
        mime="mime" in node.tags,
        in_reply_to=_message_id(machine),
        references=_references(machine),
    )
    if recipient and may_answer(machine, mine):
        machine.do(action, cancels_keep=False)
    else:
        machine._check_conflicts(action)


def may_answer(machine: Machine, mine: frozenset[str]) -> bool:
    """RFC 5230 §4.6, RFC 3834 §2: a person wrote to us, not a list and not another robot (THREATS 34)."""
    sender, fields = machine.situation.reverse_path.lower(), machine.fields
    if not sender or not bare_address(sender) or sender in mine or _ROBOT.match(sender.rpartition("@")[0]):
        return False
    if any(fields.first(name) is not None for name in _LIST_FIELDS):
        return False
    if any(
        each.raw.partition(b";")[0].split(b"(")[0].strip().lower() != b"no"
        for each in fields.named("auto-submitted")
    ):
        return False
    if any(each.raw.strip().lower() in _BULK for each in fields.named("precedence")):
        return False
    suppress = b",".join(each.raw.lower() for each in fields.named("x-auto-response-suppress"))
    return not {each.strip() for each in suppress.split(b",")} & {b"all", b"oof", b"autoreply"}


def _answers_for(machine: Machine, mine: frozenset[str]) -> str:
    """RFC 5230 §4.5: an address of the owner's that the message was openly sent to; "" if it was to none."""
    for name in _TO_FIELDS:
        for field in machine.fields.named(name):
            machine.spend(len(field.octets) * 4)
            for address in read_addresses(field.raw.decode("utf-8", "surrogateescape")):
                if address.whole.lower() in mine:
                    return address.whole
    return ""


def _key(node: Node, sender: str) -> bytes:
    """RFC 5230 §4.2: who was answered with what; a :handle says that answers are the same. As written, so
    that ${…} makes no new answer."""
    if "handle" in node.tags:
        what = f"handle {node.tags['handle']!r}"
    else:
        what = repr([node.tags.get(name) for name in ("subject", "from", "mime")]) + repr(node.arguments[0])
    return hashlib.sha256(f"vacation\0{what}\0{sender.lower()}".encode("utf-8", "surrogateescape")).digest()


def _seconds(machine: Machine, node: Node) -> int:
    limits, days = machine.limits, machine.number(node, "days")
    seconds = machine.number(node, "seconds")
    if seconds is None:
        seconds = (
            max(days if days is not None else _DEFAULT_DAYS, 1) * _DAY
        )  # RFC 5230 §4.1: at least one day
    return min(max(seconds, limits.vacation_min_seconds), limits.vacation_max_seconds)


def _subject(machine: Machine) -> str:
    """RFC 5230 §4.3: the original subject behind "Auto: "."""
    found = machine.fields.named("subject")
    text = _one_line(found[0].text) if found else ""
    return f"Auto: {text}" if text else "Automated reply"


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text[:1000]).split())


_ID = re.compile(rb"<[^<>\s]{1,500}>")


def _message_id(machine: Machine) -> str:
    match = _ID.search(machine.fields.first("message-id") or b"")
    return match[0].decode("ascii", "replace") if match else ""


def _references(machine: Machine) -> str:
    """RFC 5322 §3.6.4: what the message referred to, then the message."""
    before = machine.fields.first("references") or machine.fields.first("in-reply-to") or b""
    ids = [each.decode("ascii", "replace") for each in _ID.findall(before[-4000:])][-20:]
    own = _message_id(machine)
    return " ".join([*ids, own] if own else [])


def _check_vacation(compiler: Compiler, node: Node) -> None:
    sender = compiler.constant(node.tags.get("from", 0))
    if sender is not None and not bare_address(sender):
        compiler.fault(
            node.line, '"{address}" is not an address that an answer can come from.', address=sender
        )
    reason = compiler.constant(node.arguments[0])
    if "mime" in node.tags and reason is not None:
        head = reason.partition("\r\n\r\n")[0]
        if not head.isascii():
            compiler.fault(
                node.line,
                "The header fields of a :mime answer must be ASCII. Put an empty line before the text.",
            )  # RFC 5230 §4.3


def _reject(machine: Machine, node: Node) -> None:
    machine.do(Reject(machine.text(node.arguments[0]), in_session=node.spec.name == "ereject"))


ANSWERS = (
    Spec(
        name="vacation",
        capability="vacation",
        arguments=("string",),
        tags=(
            Tag("days", "number", "time"),
            Tag("seconds", "number", "time", "vacation-seconds"),
            Tag("subject", "string"),
            Tag("from", "string"),
            Tag("addresses", "strings"),
            Tag("mime"),
            Tag("handle", "string"),
        ),
        run=_vacation,
        check=_check_vacation,
    ),
    Spec(name="reject", capability="reject", arguments=("string",), run=_reject),
    Spec(name="ereject", capability="ereject", arguments=("string",), run=_reject),
)
