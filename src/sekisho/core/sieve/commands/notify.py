"""Notices by mail (RFC 5435, RFC 5436)."""

import re
from typing import Literal, NamedTuple, cast
from urllib.parse import unquote

from sekisho.core.sieve.actions import Notify
from sekisho.core.sieve.commands.base import bare_address
from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.faults import sentence
from sekisho.core.sieve.machine import Machine
from sekisho.core.sieve.script import MATCH_TAGS, Node, Spec, Tag

_MAX_URI = 4000
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}]")
_FIELD = re.compile(r"[A-Za-z0-9\-]{1,60}\Z")
# RFC 5436 §2.7: what a stranger's URI may not decide.
_OURS = frozenset(
    (
        "from",
        "sender",
        "date",
        "message-id",
        "received",
        "return-path",
        "auto-submitted",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "mime-version",
        "resent-from",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-date",
        "resent-sender",
        "resent-message-id",
        "importance",
        "x-priority",
        "dkim-signature",
        "in-reply-to",
        "references",
        "authentication-results",
    )
)


class MailTo(NamedTuple):
    """RFC 6068 §2, taken apart."""

    recipients: tuple[str, ...]
    subject: str
    body: str
    fields: tuple[tuple[str, str], ...]


def read_mailto(uri: str, limit: int) -> MailTo | str:
    """The URI, or a sentence with the place {uri} that tells what is wrong with it."""
    match = _SCHEME.match(uri)
    if match is None:
        return sentence('"{uri}" is not a URI. Write it as "mailto:somebody@example.org".')
    if match[0].lower() != "mailto:":
        return sentence(
            'Notices can be sent by mail only, not to "{uri}". Write it as "mailto:somebody@example.org".'
        )
    rest = uri[match.end() :].partition("#")[0]
    if len(uri) > _MAX_URI or _BAD_ESCAPE.search(rest) or _UNSAFE.search(rest):
        return sentence('"{uri}" holds characters that must be written as %XX in a URI.')
    path, _, query = rest.partition("?")
    recipients = [unquote(each) for each in path.split(",") if each]
    subject, body, fields = "", "", list[tuple[str, str]]()
    for pair in filter(None, query.split("&")):
        name, equals, text = pair.partition("=")
        name, value = unquote(name).lower(), unquote(text)
        if not equals or not _FIELD.match(name):
            return sentence('"{uri}" has a part behind "?" that is not name=value.')
        if name in ("to", "cc", "bcc"):
            recipients += [each for each in value.split(",") if each.strip()]
        elif name == "subject":
            subject = value
        elif name == "body":
            body = value
        elif name not in _OURS:
            fields.append((name, value))
    addresses = tuple(dict.fromkeys(bare_address(each) for each in recipients))
    if not addresses or "" in addresses:
        return sentence('"{uri}" does not name an address to which mail can be sent.')
    if len(addresses) > limit:
        return sentence('"{uri}" names too many recipients.')
    return MailTo(addresses, subject, body, tuple(fields))


def _notify(machine: Machine, node: Node) -> None:
    uri = machine.text(node.arguments[0])
    found = read_mailto(uri, machine.limits.notify_recipients)
    if isinstance(found, str):
        machine.fail(found, uri=uri)
        return
    sender = machine.tag(node, "from") or ""
    importance = machine.tag(node, "importance") or "2"
    if importance not in ("1", "2", "3"):
        machine.fail('The importance of a notice is "1", "2" or "3".')
    if sender and not bare_address(sender):
        machine.fail('"{address}" is not an address that a notice can come from.', address=sender)
    # RFC 5436 §2.7.1: never about what is itself a notice.
    if any(
        each.raw.strip().lower().startswith(b"auto-notified")
        for each in machine.fields.named("auto-submitted")
    ):
        return
    message = machine.tag(node, "message")
    action = Notify(
        to=found.recipients,
        subject=message if message is not None else found.subject,
        body=found.body,
        sender=sender,
        importance=cast(Literal["1", "2", "3"], importance),
        fields=found.fields,
    )
    machine.do(action, cancels_keep=False)


def _check_notify(compiler: Compiler, node: Node) -> None:
    uri = compiler.constant(node.arguments[0])
    if uri is not None:
        found = read_mailto(uri, compiler.limits.notify_recipients)
        if isinstance(found, str):
            compiler.fault(node.line, found, uri=uri)
    importance = compiler.constant(node.tags.get("importance", 0))
    if importance is not None and importance not in ("1", "2", "3"):
        compiler.fault(node.line, 'The importance of a notice is "1", "2" or "3".')
    sender = compiler.constant(node.tags.get("from", 0))
    if sender and not bare_address(sender):
        compiler.fault(
            node.line, '"{address}" is not an address that a notice can come from.', address=sender
        )


def _valid_method(machine: Machine, node: Node) -> bool:
    limit = machine.limits.notify_recipients
    return all(isinstance(read_mailto(uri, limit), MailTo) for uri in machine.texts(node.arguments[0]))


def _capability(machine: Machine, node: Node) -> bool:
    """RFC 5435 §5: whether somebody is online is not known of mail."""
    if isinstance(read_mailto(machine.text(node.arguments[0]), machine.limits.notify_recipients), str):
        return False
    values = ["maybe"] if machine.text(node.arguments[1]).lower() == "online" else []
    return bool(values) and machine.matches(node.match, values, machine.texts(node.arguments[2]))


NOTIFY = (
    Spec(
        name="notify",
        capability="enotify",
        arguments=("string",),
        tags=(
            Tag("from", "string"),
            Tag("importance", "string"),
            Tag("options", "strings"),
            Tag("message", "string"),
        ),
        run=_notify,
        check=_check_notify,
    ),
    Spec(
        name="valid_notify_method",
        is_test=True,
        capability="enotify",
        arguments=("strings",),
        run=_valid_method,
    ),
    Spec(
        name="notify_method_capability",
        is_test=True,
        capability="enotify",
        arguments=("string", "string", "strings"),
        tags=MATCH_TAGS,
        run=_capability,
    ),
)
