"""What a script wants done with a message, as data; who asked carries it out (RFC 5228 §2.10)."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sekisho.core.sieve.faults import ScriptFault


@dataclass(frozen=True, slots=True)
class AddField:
    """RFC 5293 §4. `value` is folded where it was long; `at_end`: below the others."""

    name: str
    value: str
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class DeleteField:
    """RFC 5293 §5: the field at this place among those of the message as it stands then, from 0."""

    place: int


HeaderEdit = AddField | DeleteField


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Into the inbox (RFC 5228 §4.3). `is_implicit`: nothing else was said. `edits`: changes to the header
    section made before."""

    flags: tuple[str, ...] = ()
    is_implicit: bool = False
    edits: tuple[HeaderEdit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInto:
    """RFC 5228 §4.1. `mailbox` in UTF-8. `create`: make it if it is not there (RFC 5490 §3.2); else the inbox
    takes the message.

    `special_use`: an attribute such as `\\Junk`; a mailbox that has it goes before the name (RFC 8579 §4.1).
    """

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False
    special_use: str = ""
    edits: tuple[HeaderEdit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """RFC 5228 §4.2."""

    address: str
    edits: tuple[HeaderEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class Discard:
    """RFC 5228 §4.4: nobody gets it, and nobody is told."""


@dataclass(frozen=True, slots=True)
class Reject:
    """RFC 5429 §2. `in_session`: as a refusal of the SMTP transaction (ereject); reject may do that too."""

    reason: str
    in_session: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacation:
    """An answer to `to` that passed every check of RFC 5230 §4, but for who was answered already: `key`
    within `seconds`.

    `sender`: the From field, "" for `recipient`, the address of the owner's that the message was for. `mime`:
    `reason` is a whole entity.
    """

    to: str
    recipient: str
    reason: str
    key: bytes
    seconds: int
    subject: str = ""
    sender: str = ""
    mime: bool = False
    in_reply_to: str = ""
    references: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """RFC 5435 §3 by mail (RFC 5436 §2). `to`: recipients; `fields`: subject, body and others out of the
    URI."""

    to: tuple[str, ...]
    subject: str = ""
    body: str = ""
    sender: str = ""
    importance: Literal["1", "2", "3"] = "2"
    fields: tuple[tuple[str, str], ...] = ()


Action = Keep | FileInto | Redirect | Discard | Reject | Vacation | Notify


@dataclass(frozen=True, slots=True)
class SeenBefore:
    """Remember for `seconds` that a message with this key was here (RFC 7352 §3)."""

    key: bytes
    seconds: int


@dataclass(slots=True, kw_only=True)
class Result:
    """`actions` in order, the implicit keep included. `error`: why the script stopped; then the message is
    kept, and the owner told.

    `warnings`: what the script asked for in vain. `work`: what it cost, in the units of `SieveLimits.work`.
    """

    actions: list[Action] = field(default_factory=list)
    seen: list[SeenBefore] = field(default_factory=list)
    error: ScriptFault | None = None
    warnings: list[ScriptFault] = field(default_factory=list)
    work: int = 0

    def having(self, kind: type[Action]) -> list[Action]:
        return [action for action in self.actions if isinstance(action, kind)]


def with_flags(action: Keep | FileInto, flags: tuple[str, ...]) -> Keep | FileInto:
    return replace(action, flags=flags)
