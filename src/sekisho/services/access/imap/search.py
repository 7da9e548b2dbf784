"""SEARCH (RFC 3501 §6.4.4): sets where the store knows the answer, rows and contents only for what is
left."""

from collections.abc import Callable, Sequence

from sekisho.core.imap.commands import Search
from sekisho.core.imap.dates import day_of
from sekisho.core.imap.responses import DONE, No, Response
from sekisho.core.imap.search_keys import (
    AndKey,
    DateKey,
    FlagKey,
    HeaderKey,
    KeywordKey,
    MessagesKey,
    NotKey,
    OrKey,
    SearchKey,
    SizeKey,
    TextKey,
)
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.mailstore import FlagRow, MessageRow
from sekisho.services.access.imap.messages import portions, resolve
from sekisho.services.access.imap.searching import content_matches
from sekisho.services.access.imap.selected import Selected
from sekisho.services.access.imap.session import CommandFailed, ImapSession

_PORTION_ROWS = 1000
_TEXT_PORTION_ROWS = 200


async def search(session: ImapSession, command: Search) -> Response:
    selected = session.take_selected()
    if command.key is None:
        raise CommandFailed(No("This charset is not supported", "BADCHARSET (US-ASCII UTF-8)"))
    found = await _Evaluation(session, selected).find(command.key, selected.uids)
    if command.uid:
        numbers = [str(uid) for uid in found]
    else:
        numbers = [str(number) for uid in found if (number := selected.uids.number_of(uid))]
    session.send(b"* SEARCH%b\r\n" % "".join(f" {number}" for number in numbers).encode())
    return DONE


class _Evaluation:
    """One SEARCH. `find(key, among)` gives those of `among` that match; `among` shrinks on the way down.

    It recurses as deep as the parser let keys nest.
    """

    def __init__(self, session: ImapSession, selected: Selected) -> None:
        self._session = session
        self._selected = selected
        self._store = session.context.ports.store

    async def find(self, key: SearchKey, among: UidSet) -> UidSet:
        if not among:
            return among
        match key:
            case AndKey():
                flags = [inner for inner in key.keys if isinstance(inner, FlagKey) and inner.bit]
                if flags:
                    among = await self._find_flags(flags, among)
                for inner in sorted((inner for inner in key.keys if inner not in flags), key=_cost):
                    among = await self.find(inner, among)
                return among
            case OrKey():
                left, right = sorted((key.left, key.right), key=_cost)
                found = await self.find(left, among)
                return found | await self.find(right, among - found)
            case NotKey():
                return among - await self.find(key.key, among)
            case MessagesKey():
                return resolve(self._selected, key.messages, uid=key.uid) & among
            case FlagKey() if key.bit:
                return await self._find_flags([key], among)
            case FlagKey():
                recent = self._selected.recent
                return among & recent if key.is_set else among - recent
            case KeywordKey():
                return await self._find_keyword(key, among)
            case SizeKey():
                larger, octets = key.larger, key.octets
                return await self._find_rows(
                    among, lambda row: row.size_octets > octets if larger else row.size_octets < octets
                )
            case DateKey() if not key.sent:
                return await self._find_rows(among, _date_test(key))
            case DateKey() | HeaderKey() | TextKey():
                return await self._find_contents(among, key)

    async def _find_flags(self, keys: Sequence[FlagKey], among: UidSet) -> UidSet:
        """Several system flags at once: one question to the store."""
        present = absent = 0
        for key in keys:
            if key.is_set:
                present |= key.bit
            else:
                absent |= key.bit
        return among & await self._store.find(
            self._selected.mailbox_id, with_flags=present, without_flags=absent
        )

    async def _find_keyword(self, key: KeywordKey, among: UidSet) -> UidSet:
        wanted = key.keyword.lower()
        matching: list[int] = []

        def has(row: FlagRow) -> bool:
            return any(keyword.lower() == wanted for keyword in row.keywords)

        for portion in portions(among, _PORTION_ROWS):
            rows = await self._store.flag_rows(self._selected.mailbox_id, portion)
            matching.extend(row.uid for row in rows if has(row) is key.is_set)
            await self._session.breathe()
        return UidSet.of(matching)

    async def _find_rows(self, among: UidSet, test: Callable[[MessageRow], bool]) -> UidSet:
        matching: list[int] = []
        for portion in portions(among, _PORTION_ROWS):
            rows = await self._store.rows(self._selected.mailbox_id, portion)
            matching.extend(row.uid for row in rows if test(row))
            await self._session.breathe()
        return UidSet.of(matching)

    async def _find_contents(self, among: UidSet, key: DateKey | HeaderKey | TextKey) -> UidSet:
        matching: list[int] = []
        for portion in portions(among, _TEXT_PORTION_ROWS):
            rows = await self._store.rows(self._selected.mailbox_id, portion)
            matching += await content_matches(self._session, self._selected.mailbox_id, rows, key)
        return UidSet.of(matching)


def _cost(key: SearchKey) -> int:
    """Cheap keys first: sets, flag rows, rows, header fields, bodies."""
    match key:
        case MessagesKey() | FlagKey():
            return 0
        case KeywordKey():
            return 1
        case SizeKey():
            return 2
        case DateKey():
            return 3 if key.sent else 2
        case HeaderKey():
            return 3
        case TextKey():
            return 4
        case NotKey():
            return _cost(key.key)
        case OrKey():
            return max(_cost(key.left), _cost(key.right))
        case AndKey():
            return max(map(_cost, key.keys), default=0)


def _date_test(key: DateKey) -> Callable[[MessageRow], bool]:
    day = key.day
    if key.how == "before":
        return lambda row: day_of(row.internal_date_us, row.internal_offset_minutes) < day
    if key.how == "on":
        return lambda row: day_of(row.internal_date_us, row.internal_offset_minutes) == day
    return lambda row: day_of(row.internal_date_us, row.internal_offset_minutes) >= day
