"""The selected mailbox as one client knows it, and how it learns what happened."""

from collections.abc import Iterable, Mapping, Sequence

from sekisho.core.imap import formatting
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.mailstore import FlagRow, MailboxChanges, MessageRow, NoSuchMailbox, View
from sekisho.services.access.imap.context import ImapContext

_NOTHING: Mapping[int, int] = {}


class MailboxGone(Exception):
    """The selected mailbox was deleted by somebody else (RFC 2180 §3)."""


class FlagTexts:
    """The inside of FLAGS lists, each combination formatted once."""

    __slots__ = ("_known", "_recent")

    def __init__(self, recent: UidSet) -> None:
        self._known: dict[tuple[int, tuple[str, ...]], bytes] = {}
        self._recent = recent

    def of(self, row: FlagRow | MessageRow) -> bytes:
        key = (row.flags, row.keywords)
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = formatting.flags(row.flags, row.keywords)
        if self._recent and row.uid in self._recent:
            return text + b" \\Recent" if text else b"\\Recent"
        return text


class Selected:
    """`uids` is what the client counts by: it may still hold messages that `latest`, the store's truth, has
    lost."""

    __slots__ = (
        "account_id",
        "checked_at",
        "is_stale",
        "keywords",
        "latest",
        "mailbox_id",
        "modseq",
        "name",
        "read_only",
        "recent",
        "special_use",
        "uids",
        "uidvalidity",
    )

    def __init__(self, view: View, uids: UidSet, *, read_only: bool, now: float) -> None:
        """`now`: the monotonic time at which `view` was read."""
        self.account_id = view.info.account_id
        self.mailbox_id = view.info.id
        self.uidvalidity = view.info.uidvalidity
        self.name = view.info.name
        self.special_use = view.info.special_use
        self.read_only = read_only
        self.modseq = view.info.highestmodseq
        self.uids = self.latest = uids
        self.recent = view.recent
        self.keywords = view.keywords
        self.checked_at = now
        self.is_stale = False  # a hint came: look at the store before the next answer

    def expunge_responses(self, gone: UidSet) -> list[bytes]:
        """EXPUNGE for each of `gone`, the last first: so each number is right when it is read (RFC 3501
        §7.4.1)."""
        lines: list[bytes] = []
        for first, last in reversed(gone.runs):
            number = self.uids.number_of(first)
            if number is not None:
                lines.extend(b"* %d EXPUNGE\r\n" % n for n in range(number + last - first, number - 1, -1))
        return lines

    def numbers_of(self, rows: Sequence[FlagRow | MessageRow]) -> Iterable[int]:
        """Sequence numbers of ascending rows that all stand in `uids`."""
        if not rows:
            return ()
        first, last = self.uids.number_of(rows[0].uid), self.uids.number_of(rows[-1].uid)
        if first is not None and last is not None and last - first + 1 == len(rows):
            return range(first, last + 1)
        return [self.uids.number_of(row.uid) or 0 for row in rows]

    def flag_responses(self, rows: list[FlagRow]) -> list[bytes]:
        """FETCH with UID and FLAGS. Rows that the client does not know yet are left out."""
        uids = self.uids
        if rows and (rows[-1].uid > uids.last or len(rows) > len(uids)):
            rows = [row for row in rows if row.uid in uids]
        texts = FlagTexts(self.recent)
        return [
            b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (number, row.uid, texts.of(row))
            for number, row in zip(self.numbers_of(rows), rows, strict=True)
            if number
        ]

    def keyword_responses(self, rows: list[FlagRow]) -> list[bytes]:
        """A new FLAGS response when keywords appear that the client has not heard of (RFC 3501 §7.2.6)."""
        known = {keyword.lower() for keyword in self.keywords}
        new = {
            keyword.lower(): keyword
            for row in rows
            for keyword in row.keywords
            if keyword.lower() not in known
        }
        if not new:
            return []
        self.keywords = (*self.keywords, *new.values())
        return flags_response(self.keywords, read_only=self.read_only)

    async def catch_up(
        self, context: ImapContext, *, may_expunge: bool, told: Mapping[int, int] = _NOTHING
    ) -> list[bytes]:
        """Look at the store and return the untagged responses that are due.

        `may_expunge`: RFC 3501 §7.4.1 forbids EXPUNGE in answers to FETCH, STORE and SEARCH by number.
        `told`: UID → modseq of flags that the client was just told. Raises MailboxGone.
        """
        try:
            changes = await context.ports.store.changes_since(self.mailbox_id, self.modseq)
        except NoSuchMailbox as error:
            raise MailboxGone(self.name) from error
        self.is_stale = False
        self.checked_at = context.ports.clock.monotonic()
        if (
            changes.info.highestmodseq == self.modseq
            and self.uids is self.latest
            and changes.uids == self.latest
        ):
            return []
        latest = (
            self.latest if changes.uids == self.latest else context.views.share(self.mailbox_id, changes.uids)
        )
        new = latest - self.uids
        lines: list[bytes] = []
        known = self.uids
        if may_expunge:
            lines += self.expunge_responses(self.uids - latest)
            self.uids = latest
        elif new:
            self.uids = self.uids | new
        self.latest = latest
        self.modseq = changes.info.highestmodseq
        if new:
            await self._claim_recent(context, changes, new)
            lines.append(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(self.uids), len(self.recent & self.uids)))
        if changes.changed:
            rows = [row for row in changes.changed if row.uid in known and told.get(row.uid) != row.modseq]
            lines += self.keyword_responses(changes.changed)
            lines += self.flag_responses(rows)
        return lines

    async def _claim_recent(self, context: ImapContext, changes: MailboxChanges, new: UidSet) -> None:
        """Which of the new messages are \\Recent here (RFC 3501 §2.3.2): a session that only EXAMINEs claims
        nothing."""
        unclaimed = (
            UidSet(((changes.info.first_recent_uid, max(changes.info.first_recent_uid, new.last)),)) & new
        )
        if not unclaimed:
            return
        if self.read_only:
            self.recent = self.recent | unclaimed
            return
        try:
            view = await context.ports.store.view(self.account_id, self.name, claim_recent=True)
        except NoSuchMailbox:
            return  # renamed meanwhile: nobody is owed \Recent
        if view.info.id == self.mailbox_id:
            self.recent = self.recent | view.recent


def flags_response(keywords: tuple[str, ...], *, read_only: bool) -> list[bytes]:
    """FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6, §7.1)."""
    names = formatting.flags(31, keywords)
    permanent = b"" if read_only else names + b" \\*"
    return [b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] Flags that stay\r\n" % (names, permanent)]
