"""What every store decides the same way: names, keywords, ids, windows. Pure functions; the stores only
differ in where things lie."""

import re
import unicodedata
from collections.abc import Container, Iterable
from typing import Literal

from sekisho.core.terms.address import Address, AddressError, parse_domain
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.credentials import Credential, StoredCredential, kind_of
from sekisho.ports.directory import DirectoryError
from sekisho.ports.mailstore import HIERARCHY_SEPARATOR, MailboxRefused, SpecialUse
from sekisho.ports.spool import RecipientState

INBOX = "INBOX"
# What a new account finds (RFC 6154 §2); all of them are subscribed.
FIRST_MAILBOXES: tuple[tuple[str, SpecialUse | None], ...] = (
    (INBOX, None),
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
)
MAX_NAME_OCTETS = 1000
MAX_LEVELS = 50
MAX_KEYWORDS = 1000  # in one mailbox
MAX_REFERENCES = 20  # that are looked at to find a thread
CRASHES_UNTIL_PARKED = 3
QUEUED_STATES: tuple[RecipientState, ...] = ("waiting", "claimed", "held", "parked")
CLOCKS_DIFFER_US = 300_000_000  # by so much the clocks of honest hosts may differ
INLINE_OCTETS = 16_384  # contents up to here live in memory and in the row (DESIGN §4 Message)
MAX_UID = 4_294_967_295

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029%*]")


def canonical_name(name: str) -> str:
    """What mailbox names are compared and stored by: NFC, and INBOX in any case (RFC 9051 §5.1)."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    first, separator, rest = name.partition(HIERARCHY_SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else name


def new_name(name: str) -> str:
    """The canonical form of a name that is about to be made; raises MailboxRefused with a sentence for the
    client."""
    # RFC 9051 §6.3.4: a trailing separator only announces inferiors.
    name = canonical_name(name.removesuffix(HIERARCHY_SEPARATOR))
    levels = name.split(HIERARCHY_SEPARATOR)
    if "" in levels:
        raise MailboxRefused("A mailbox name must not be empty, nor have an empty level.")
    if len(levels) > MAX_LEVELS or len(name.encode("utf-8", "replace")) > MAX_NAME_OCTETS:
        raise MailboxRefused(
            f"A mailbox name may have {MAX_NAME_OCTETS} octets and {MAX_LEVELS} levels at most."
        )
    if _UNFIT.search(name) or any("\ud800" <= c <= "\udfff" for c in name):
        raise MailboxRefused("A mailbox name must not contain control characters, % or *.")
    return name


def superiors(name: str) -> list[str]:
    """`a/b/c` → ["a", "a/b"]."""
    levels = name.split(HIERARCHY_SEPARATOR)
    return [HIERARCHY_SEPARATOR.join(levels[:n]) for n in range(1, len(levels))]


def moved_name(name: str, old: str, new: str) -> str:
    """What `name`, which is `old` or below it, is called once `old` is called `new`."""
    return new + name[len(old) :]


def merged_keywords(known: tuple[str, ...], wanted: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(`wanted` in the mailbox's own spelling, sorted and without doubles; the mailbox's keywords
    afterwards).

    Keywords are compared without regard to case (RFC 9051 §2.3.2); the spelling that came first stays. A
    mailbox that has MAX_KEYWORDS takes no new ones: they are left out.
    """
    spelling = {keyword.lower(): keyword for keyword in known}
    named = set()
    for keyword in wanted:
        if keyword.lower() in spelling or len(spelling) < MAX_KEYWORDS:
            named.add(spelling.setdefault(keyword.lower(), keyword))
    return tuple(sorted(named)), tuple(spelling.values())


def relays_id(message_id: str) -> str:
    """What is remembered, as of a delivery, about the relays of a message that may be accepted again."""
    return f"{message_id}/relays"


def object_id(clock: Clock, dice: Dice) -> str:
    """32 hex digits: 48 bits of milliseconds, so that rows made together lie together, and 80 random ones."""
    return f"{clock.now_us() // 1000 & 0xFFFFFFFFFFFF:012x}{dice.octets(10).hex()}"


def next_uidvalidity(last: int, now_us: int) -> int:
    """Greater than every earlier one of the account (RFC 9051 §2.3.1.1)."""
    return max(last + 1, now_us // 1_000_000 & 0x7FFFFFFF)


def thread_keys(message_id: str, references: tuple[str, ...]) -> list[str]:
    """The message-ids that may name this message's thread, most telling first, bounded."""
    near = references[-MAX_REFERENCES:]
    keys = [key for key in (message_id, *reversed(near), *references[:1]) if key]
    return list(dict.fromkeys(keys))


def window_total(now_us: int, window_seconds: int, start: int, current: int, previous: int) -> int:
    """The sum of a sliding window: this one, and the previous one as far as it still reaches in.

    `start` is the number of the window that `current` counts.
    """
    window_us = window_seconds * 1_000_000
    number, inside_us = divmod(now_us, window_us)
    if number == start + 1:
        current, previous = 0, current
    elif number != start:
        return 0
    return current + previous * (window_us - inside_us) // window_us


def window_added(
    now_us: int, window_seconds: int, row: tuple[int, int, int] | None, amount: int
) -> tuple[int, int, int]:
    """(start, current, previous) after adding; `row` is the same before, None at first."""
    number = now_us // (window_seconds * 1_000_000)
    start, current, previous = row or (number, 0, 0)
    if number == start + 1:
        current, previous = 0, current
    elif number != start:
        current, previous = 0, 0
    return number, current + amount, previous


def lacks_one(groups: Iterable[frozenset[int]], delivered: Container[int]) -> bool:
    """Is there a group of accounts of which none got a copy (`Acceptance.one_of_each`)?"""
    return not all(any(account_id in delivered for account_id in group) for group in groups)


def canonical_address(address: Address) -> str:
    """The text that accounts and aliases are keyed by."""
    return str(address.canonical)


def checked_domain(name: str) -> str:
    """`name` if it is a domain in lower-case A-labels; raises DirectoryError."""
    try:
        if parse_domain(name, literals=False) == name:
            return name
    except AddressError:
        pass
    raise DirectoryError(f"{name!r} is not a domain name in lower-case A-labels.")


def changed_flags(
    how: Literal["add", "remove", "replace"],
    old: tuple[int, tuple[str, ...]],
    change: tuple[int, tuple[str, ...]],
) -> tuple[int, tuple[str, ...]]:
    """(flags, keywords) after a STORE; the keywords of both sides are already in the mailbox's spelling."""
    if how == "replace":
        return change
    if how == "add":
        return old[0] | change[0], tuple(sorted({*old[1], *change[1]}))
    return old[0] & ~change[0], tuple(keyword for keyword in old[1] if keyword not in change[1])


def implied_credential(account_id: int, credential_id: str) -> StoredCredential:
    """What is written down about a credential that has no secret here (the password, tokens, a certificate);
    raises DirectoryError."""
    kind = kind_of(credential_id)
    if kind is None or kind in ("app", "service"):
        raise DirectoryError(f"There is no credential {credential_id}.")
    return StoredCredential(Credential(account_id=account_id, id=credential_id, kind=kind), b"", "")
