"""FETCH (RFC 3501 §6.4.5): rows in portions, answers prepared, octets in ranges."""

from collections.abc import Callable, Sequence
from typing import Any

from sekisho.core.imap.commands import Fetch
from sekisho.core.imap.dates import format_date_time
from sekisho.core.imap.digest import CACHED_FIELDS, Digest
from sekisho.core.imap.fetch_items import FetchItem, Section
from sekisho.core.imap.formatting import literal
from sekisho.core.imap.responses import DONE, Response
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.mailstore import SEEN, FlagRow, MessageRow
from sekisho.services.access.imap.contents import digests_of
from sekisho.services.access.imap.messages import EXPUNGE_ISSUED, portions, resolve
from sekisho.services.access.imap.sections import send_section
from sekisho.services.access.imap.selected import FlagTexts, Selected
from sekisho.services.access.imap.session import ImapSession

PORTION_ROWS = 1000
DIGEST_PORTION_ROWS = 200
OCTETS_PORTION_ROWS = 50

_FROM_FLAG_ROW = frozenset(("UID", "FLAGS"))
_FROM_ROW = frozenset(("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE"))
Getter = Callable[[Any, Digest | None], Any]


class _Plan:
    """How the items of one FETCH are answered. Most items fill one template per row; `slow` ones need the
    message's octets."""

    def __init__(
        self, selected: Selected, items: Sequence[FetchItem], *, use_cached_fields: bool = True
    ) -> None:
        self.sets_seen = not selected.read_only and any(
            isinstance(item, Section) and not item.peek for item in items
        )
        if self.sets_seen and "FLAGS" not in items:
            items = ("FLAGS", *items)  # the change is told in the same answer (RFC 3501 §6.4.5)
        self.items = items
        self.texts = FlagTexts(selected.recent)
        self.slow = [
            item
            for item in items
            if isinstance(item, Section) and not (use_cached_fields and _is_cached(item))
        ]
        self.names = [item for item in items if item not in self.slow]
        self.uses_fields = any(isinstance(item, Section) for item in self.names)
        self.uses_digest = any(
            section.part or section.kind for section in self.slow
        ) or not _FROM_ROW.issuperset(self.names)
        self.uses_rows = bool(self.slow) or self.uses_digest or not _FROM_FLAG_ROW.issuperset(self.names)
        self.getters = [self._getter(item) for item in self.names]
        labels = [
            item.label.replace(b"%", b"%%") if isinstance(item, Section) else item.encode()
            for item in self.names
        ]
        pieces = [
            label + b" " + _DIRECTIVE.get(item, b"%b") for label, item in zip(labels, self.names, strict=True)
        ]
        self.head = b"* %d FETCH (" + b" ".join(pieces)
        self.template = self.head + b")\r\n"

    def _getter(self, item: FetchItem) -> Getter:
        if isinstance(item, Section):
            return _cached_section(item)
        if item == "FLAGS":
            of = self.texts.of
            return lambda row, digest: b"(" + of(row) + b")"
        return _GETTERS[item]

    @property
    def portion_rows(self) -> int:
        return OCTETS_PORTION_ROWS if self.slow else DIGEST_PORTION_ROWS if self.uses_digest else PORTION_ROWS


_DIRECTIVE: dict[object, bytes] = {"UID": b"%d", "RFC822.SIZE": b"%d"}
_GETTERS: dict[str, Getter] = {
    "UID": lambda row, digest: row.uid,
    "INTERNALDATE": lambda row, digest: format_date_time(row.internal_date_us, row.internal_offset_minutes),
    "RFC822.SIZE": lambda row, digest: row.size_octets,
    "ENVELOPE": lambda row, digest: digest.envelope,  # type: ignore[union-attr]  # such plans have a digest
    "BODY": lambda row, digest: digest.body,  # type: ignore[union-attr]  # was asked for
    "BODYSTRUCTURE": lambda row, digest: digest.bodystructure,  # type: ignore[union-attr]  # the same
}


def _is_cached(section: Section) -> bool:
    """Can the digest's fields answer it?"""
    return (
        section.kind == "HEADER.FIELDS"
        and not section.part
        and section.partial is None
        and section.names <= CACHED_FIELDS
    )


def _cached_section(section: Section) -> Getter:
    names = section.names

    def get(row: MessageRow, digest: Digest | None) -> bytes:
        fields = digest.fields if digest is not None else None
        return literal(b"".join([field for name, field in fields or () if name in names]) + b"\r\n")

    return get


async def fetch(session: ImapSession, command: Fetch) -> Response:
    selected = session.take_selected()
    uids = resolve(selected, command.messages, uid=command.uid)
    plan = _Plan(selected, command.items)
    answered = 0
    for portion in portions(uids, plan.portion_rows):
        if plan.sets_seen:
            await _set_seen(session, selected, portion)
        answered += await _answer_portion(session, selected, plan, portion)
        await session.breathe()
    return DONE if answered == len(uids) else EXPUNGE_ISSUED


async def _set_seen(session: ImapSession, selected: Selected, portion: UidSet) -> None:
    """BODY[] without PEEK sets \\Seen where it is not yet set (RFC 3501 §6.4.5)."""
    store = session.context.ports.store
    unseen = portion & await store.find(selected.mailbox_id, without_flags=SEEN)
    if unseen:
        result = await store.store_flags(selected.mailbox_id, unseen, "add", SEEN, ())
        if (
            result.highestmodseq == selected.modseq + 1
        ):  # nobody else was in between, and the answer tells the flags
            selected.modseq = result.highestmodseq


async def _answer_portion(session: ImapSession, selected: Selected, plan: _Plan, portion: UidSet) -> int:
    store = session.context.ports.store
    if not plan.uses_rows:
        flag_rows = await store.flag_rows(selected.mailbox_id, portion)
        session.send(_flag_answers(selected, plan, flag_rows))
        return len(flag_rows)
    rows = await store.rows(selected.mailbox_id, portion)
    digests = await digests_of(session, selected.mailbox_id, rows) if plan.uses_digest else {}
    if plan.uses_digest:
        rows = [row for row in rows if row.content_id in digests]
    numbered = zip(selected.numbers_of(rows), rows, strict=True)
    getters, template = plan.getters, plan.template
    answered = 0
    for number, row in numbered:
        digest = digests.get(row.content_id)
        if plan.slow:
            answered += await _answer_slowly(session, selected, plan, (number, row, digest))
        elif plan.uses_fields and digest is not None and digest.fields is None:
            slow_plan = _Plan(selected, plan.items, use_cached_fields=False)
            answered += await _answer_slowly(session, selected, slow_plan, (number, row, digest))
        else:
            session.send(template % (number, *[get(row, digest) for get in getters]))
            answered += 1
    return answered


def _flag_answers(selected: Selected, plan: _Plan, rows: list[FlagRow]) -> bytes:
    """The hot path: FLAGS and UID of many rows."""
    numbers, of = selected.numbers_of(rows), plan.texts.of
    names = plan.names
    if names == ["UID", "FLAGS"]:
        return b"".join(
            [
                b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (n, row.uid, of(row))
                for n, row in zip(numbers, rows, strict=True)
            ]
        )
    if names == ["FLAGS", "UID"]:
        return b"".join(
            [
                b"* %d FETCH (FLAGS (%b) UID %d)\r\n" % (n, of(row), row.uid)
                for n, row in zip(numbers, rows, strict=True)
            ]
        )
    template, getters = plan.template, plan.getters
    return b"".join(
        [template % (n, *[get(row, None) for get in getters]) for n, row in zip(numbers, rows, strict=True)]
    )


async def _answer_slowly(
    session: ImapSession, selected: Selected, plan: _Plan, message: tuple[int, MessageRow, Digest | None]
) -> int:
    """One message whose octets are asked for: 1 if it was still there."""
    number, row, digest = message
    octets = await session.context.ports.store.open(selected.mailbox_id, row.uid)
    if octets is None:
        return 0
    session.send(plan.head % (number, *[get(row, digest) for get in plan.getters]))
    between = b" " if plan.getters else b""
    for section in plan.slow:
        session.send(between + section.label + b" ")
        await send_section(session, section, octets, digest, row.prefix_octets)
        between = b" "
    session.send(b")\r\n")
    await session.breathe()
    return 1
