"""The language of RFC 5228, with :copy (RFC 3894), and what other extensions add to its commands and
tests."""

import re

from sekisho.core.sieve.actions import Discard, FileInto, Keep, Redirect, Reject
from sekisho.core.sieve.addresses import MailAddress, read_addresses, read_path
from sekisho.core.sieve.commands.flags import FLAGS_TAG, flags_of
from sekisho.core.sieve.commands.parts import chosen_fields, field_values
from sekisho.core.sieve.compiler import Compiler
from sekisho.core.sieve.faults import sentence
from sekisho.core.sieve.machine import Machine, Stopped
from sekisho.core.sieve.script import INDEX_TAGS, MATCH_TAGS, MIME_TAGS, PART_TAGS, Node, Spec, Tag

# RFC 5228 §5.1: only fields that hold addresses.
ADDRESS_FIELDS = frozenset(
    (
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "resent-from",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-sender",
        "resent-reply-to",
        "return-path",
        "delivered-to",
        "envelope-to",
        "envelope-from",
        "x-original-to",
        "x-envelope-to",
        "x-envelope-from",
        "apparently-to",
        "errors-to",
        "return-receipt-to",
        "disposition-notification-to",
        "mail-followup-to",
        "mail-reply-to",
        "list-post",
        "list-owner",
        "original-recipient",
    )
)
_COPY = Tag("copy", "", "copy", "copy")
_CREATE = Tag("create", "", "create", "mailbox")
_SPECIAL_USE = Tag("specialuse", "string", "specialuse", "special-use")
_ADDRESS = re.compile(r"[^\s@<>,;:()\[\]\\\"\x00-\x1f\x7f]{1,64}@[^\s@<>,;:()\\\"\x00-\x1f\x7f]{1,255}\Z")
_QUOTED_ADDRESS = re.compile(r"\"(?:[^\"\\\r\n\x00]|\\[ -~])*\"@[^\s@<>,;:()\\\"\x00-\x1f\x7f]{1,255}\Z")
MAX_MAILBOX_OCTETS = 1000
ATTRIBUTE = re.compile(r"\\[A-Za-z][A-Za-z0-9\-]{0,60}\Z")  # RFC 6154 §6


def is_address(text: str) -> bool:
    """One that mail can be sent to, without a display name."""
    if not (_ADDRESS.match(text) or _QUOTED_ADDRESS.match(text)) or len(text) > 320:
        return False
    local, _, domain = text.rpartition("@")
    plain = local if not local.startswith('"') else ""
    return not (
        plain.startswith(".")
        or plain.endswith(".")
        or ".." in plain
        or "." in (domain[0], domain[-1])
        or ".." in domain
    )


def bare_address(text: str) -> str:
    """The address of `Name <address>` or of `address`; "" if there is not exactly one."""
    found = read_addresses(text)
    return found[0].whole if len(found) == 1 and is_address(found[0].whole) else ""


# --- controls


def _nothing(machine: Machine, node: Node) -> None:
    """Commands that `run_nodes` does itself."""


def _stop(machine: Machine, node: Node) -> None:
    raise Stopped


# --- actions


def _keep(machine: Machine, node: Node) -> None:
    machine.do(Keep(flags=flags_of(machine, node), edits=tuple(machine.fields.edits)))


def _discard(machine: Machine, node: Node) -> None:
    if not machine.result.having(Reject):
        machine.do(Discard())
    machine.keeps = False


def _fileinto(machine: Machine, node: Node) -> None:
    mailbox = machine.text(node.arguments[0])
    fault = mailbox_fault(mailbox)
    if fault:
        machine.fail(fault, mailbox=mailbox)
    use = machine.tag(node, "specialuse") or ""
    if use and not ATTRIBUTE.match(use):
        machine.fail(
            '"{use}" is not a special use of a mailbox. Special uses begin with a backslash.', use=use
        )
    action = FileInto(
        mailbox=mailbox,
        flags=flags_of(machine, node),
        create="create" in node.tags,
        special_use=use,
        edits=tuple(machine.fields.edits),
    )
    machine.do(action, cancels_keep="copy" not in node.tags)


def mailbox_fault(mailbox: str) -> str:
    """What is wrong with a name, "" for nothing."""
    if not mailbox:
        return sentence("The name of a mailbox is empty.")
    if len(mailbox.encode("utf-8", "surrogateescape")) > MAX_MAILBOX_OCTETS:
        return sentence('The name of a mailbox "{mailbox}" is too long.')
    if any(not each.isprintable() for each in mailbox):
        return sentence('The name of a mailbox "{mailbox}" holds characters that no name may hold.')
    return ""


def _check_fileinto(compiler: Compiler, node: Node) -> None:
    mailbox = compiler.constant(node.arguments[0])
    if mailbox is not None and (fault := mailbox_fault(mailbox)):
        compiler.fault(node.line, fault, mailbox=mailbox)


def _redirect(machine: Machine, node: Node) -> None:
    text = machine.text(node.arguments[0])
    address = bare_address(text)
    if not address:
        machine.fail('"{address}" is not an address to which mail can be redirected.', address=text)
    machine.do(
        Redirect(address=address, edits=tuple(machine.fields.edits)), cancels_keep="copy" not in node.tags
    )


def _check_redirect(compiler: Compiler, node: Node) -> None:
    address = compiler.constant(node.arguments[0])
    if address is not None and not bare_address(address):
        compiler.fault(
            node.line, '"{address}" is not an address to which mail can be redirected.', address=address
        )


# --- tests


def _true(machine: Machine, node: Node) -> bool:
    return True


def _false(machine: Machine, node: Node) -> bool:
    return False


def _not(machine: Machine, node: Node) -> bool:
    return not machine.test(node.tests[0])


def _anyof(machine: Machine, node: Node) -> bool:
    return any(machine.test(each) for each in node.tests)


def _allof(machine: Machine, node: Node) -> bool:
    return all(machine.test(each) for each in node.tests)


def address_parts(machine: Machine, node: Node, addresses: list[MailAddress]) -> list[str]:
    """RFC 5228 §2.7.4, RFC 5233 §4: what the test compares of each. What is no address has no parts but the
    whole."""
    if "localpart" in node.tags:
        return [each.local for each in addresses if each.domain]
    if "domain" in node.tags:
        return [each.domain for each in addresses if each.domain]
    if "user" in node.tags:
        return [each.taken_apart(machine.situation.separators)[0] for each in addresses if each.domain]
    if "detail" in node.tags:
        details = [each.taken_apart(machine.situation.separators)[1] for each in addresses if each.domain]
        return [detail for detail in details if detail is not None]
    return [each.whole for each in addresses]


def _address(machine: Machine, node: Node) -> bool:
    addresses: list[MailAddress] = []
    for name in machine.texts(node.arguments[0]):
        if name.lower() in ADDRESS_FIELDS:
            for each in chosen_fields(machine, node, name):
                machine.spend(len(each.octets) * 4)
                addresses += read_addresses(each.raw.decode("utf-8", "surrogateescape"))
    return machine.matches(
        node.match, address_parts(machine, node, addresses), machine.texts(node.arguments[1])
    )


def _check_address(compiler: Compiler, node: Node) -> None:
    names = node.arguments[0]
    for name in names if isinstance(names, tuple) else ():
        if isinstance(name, str) and name.lower() not in ADDRESS_FIELDS:
            compiler.fault(
                node.line, 'The field "{name}" holds no addresses. Use the test header for it.', name=name
            )


_ENVELOPE_PARTS = ("from", "to", "orig_to", "auth")


def _envelope(machine: Machine, node: Node) -> bool:
    situation = machine.situation
    values = {
        "from": situation.reverse_path,
        "to": situation.recipient,
        "orig_to": situation.original_recipient,
        "auth": situation.auth,
    }
    found: list[str] = []
    for name in machine.texts(node.arguments[0]):
        value = values.get(name.lower())
        if value is None:
            continue
        if name.lower() == "auth":
            found += [value] if "domain" not in node.tags and "detail" not in node.tags else []
        elif not value:
            # RFC 5228 §5.4: the null path is the empty string, whatever part is asked for; RFC 5233 §4: it
            # has no detail.
            found += [""] if "detail" not in node.tags else []
        else:
            found += address_parts(machine, node, [read_path(value)])
    return machine.matches(node.match, found, machine.texts(node.arguments[1]))


def _check_envelope(compiler: Compiler, node: Node) -> None:
    names = node.arguments[0]
    for name in names if isinstance(names, tuple) else ():
        if isinstance(name, str) and name.lower() not in _ENVELOPE_PARTS:
            compiler.fault(node.line, 'The envelope has no part "{name}". It has "from" and "to".', name=name)


def _exists(machine: Machine, node: Node) -> bool:
    return all(chosen_fields(machine, node, name) for name in machine.texts(node.arguments[0]))


def _header(machine: Machine, node: Node) -> bool:
    values: list[str] = []
    for name in machine.texts(node.arguments[0]):
        for each in chosen_fields(machine, node, name):
            machine.spend(len(each.octets) * 2)
            values += field_values(machine, node, name, each)
    return machine.matches(node.match, values, machine.texts(node.arguments[1]))


def _size(machine: Machine, node: Node) -> bool:
    size, limit = machine.situation.message.size, node.arguments[0]
    assert isinstance(limit, int)
    return size > limit if "over" in node.tags else size < limit


def _check_size(compiler: Compiler, node: Node) -> None:
    if not node.tags:
        compiler.fault(node.line, "size must be followed by :over or :under.")


BASE = (
    Spec(name="if", tests=1, has_block=True, run=_nothing),
    Spec(name="elsif", tests=1, has_block=True, run=_nothing),
    Spec(name="else", has_block=True, run=_nothing),
    Spec(name="stop", run=_stop),
    Spec(name="keep", tags=(FLAGS_TAG,), run=_keep),
    Spec(name="discard", run=_discard),
    Spec(
        name="fileinto",
        capability="fileinto",
        arguments=("string",),
        tags=(_COPY, FLAGS_TAG, _CREATE, _SPECIAL_USE),
        run=_fileinto,
        check=_check_fileinto,
    ),
    Spec(name="redirect", arguments=("string",), tags=(_COPY,), run=_redirect, check=_check_redirect),
    Spec(name="true", is_test=True, run=_true),
    Spec(name="false", is_test=True, run=_false),
    Spec(name="not", is_test=True, tests=1, run=_not),
    Spec(name="anyof", is_test=True, tests=-1, run=_anyof),
    Spec(name="allof", is_test=True, tests=-1, run=_allof),
    Spec(
        name="address",
        is_test=True,
        arguments=("strings", "strings"),
        tags=MATCH_TAGS + PART_TAGS + INDEX_TAGS + MIME_TAGS,
        run=_address,
        check=_check_address,
    ),
    Spec(
        name="envelope",
        is_test=True,
        capability="envelope",
        arguments=("strings", "strings"),
        tags=MATCH_TAGS + PART_TAGS,
        run=_envelope,
        check=_check_envelope,
    ),
    Spec(name="exists", is_test=True, arguments=("strings",), tags=MIME_TAGS, run=_exists),
    Spec(
        name="header",
        is_test=True,
        arguments=("strings", "strings"),
        tags=(
            *MATCH_TAGS,
            *INDEX_TAGS,
            *MIME_TAGS,
            Tag("type", "", "mimeopt", "mime"),
            Tag("subtype", "", "mimeopt", "mime"),
            Tag("contenttype", "", "mimeopt", "mime"),
            Tag("param", "strings", "mimeopt", "mime"),
        ),
        run=_header,
    ),
    Spec(
        name="size",
        is_test=True,
        arguments=("number",),
        tags=(Tag("over", "", "size"), Tag("under", "", "size")),
        run=_size,
        check=_check_size,
    ),
)
