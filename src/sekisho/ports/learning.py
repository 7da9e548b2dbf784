"""What people say about their mail by moving it into Junk and out of it, and who learns from that."""

from typing import Literal, Protocol

from msgspec import Struct

from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import MessageOctets
from sekisho.ports.mailstore import SpecialUse

# In the IANA registry of IMAP keywords.
JUNK_KEYWORD = "$Junk"
NOT_JUNK_KEYWORD = "$NotJunk"

# "first": nobody of this account judged the message before; "changed": judged the other way before; "again":
# this very way.
Standing = Literal["first", "changed", "again"]


class JudgedMessage(Struct, frozen=True, kw_only=True):
    """One message that one account's user called junk, or not junk.

    The first `prefix_octets` of `octets` are what this server put on top (Return-Path, its
    Authentication-Results, its Received), and nothing else; 0 when the message came by APPEND, so that
    nothing in it is this server's word. `content_id` is the same for all copies of a message. `was_other`:
    the same account said the opposite before.
    """

    account_id: int
    content_id: str
    is_junk: bool
    was_other: bool
    octets: MessageOctets
    prefix_octets: int


class Learner(Protocol):
    async def judged(self, message: JudgedMessage) -> None:
        """Once per account, message and direction, in the background, one after the other; what it raises is
        written down.

        Long work yields (`asyncio.sleep(0)`) every few ms.
        """
        ...


class JunkWatch(Protocol):
    """What IMAP tells. Synchronous, never blocks, never raises; under a flood it forgets."""

    def moved(self, account_id: int, source: SpecialUse | None, target: str, uids: UidSet) -> None:
        """MOVE, COPY or APPEND brought messages into the mailbox called `target`, where they have `uids`;
        `source`: the use of the mailbox they came from."""
        ...

    def marked(self, account_id: int, mailbox_id: int, uids: UidSet, *, is_junk: bool) -> None:
        """These got $Junk or $NotJunk."""
        ...


class Judgements(Protocol):
    """Who judged which message how: so that none counts twice. Kept in hints.db or memory; raises
    StoreUnavailable."""

    async def note(self, account_id: int, content_id: str, *, is_junk: bool) -> Standing: ...

    async def trim(self, keep: int) -> None:
        """Forget all but the newest `keep`."""
        ...
