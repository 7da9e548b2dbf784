"""What travels with the acceptance of a submitted message for the watch over hijacked accounts, and what
comes back."""

from msgspec import Struct

from sekisho.core.policy.takeover.sending import Sending
from sekisho.core.policy.takeover.verdict import Verdict
from sekisho.core.terms.envelope import Recipient

# Stands for a next hop where a copy for a mailbox here is held; never one, as it has no dot.
MAILBOX_HOP = "mailbox"


class Outgoing(Struct, frozen=True):
    """What the acceptance of a submitted message debits. `strange`: keys of the recipients elsewhere and of
    their domains.

    `locals`: recipients whose mailboxes are here; they wait as rows with MAILBOX_HOP where the message is
    held. `answered`: the Message-ID that it answers, or "".
    """

    sending: Sending
    elsewhere: tuple[tuple[int, int], ...] = ()
    locals: tuple[Recipient, ...] = ()
    answered: str = ""


class Decision(Struct, frozen=True):
    """`case_id`: the open case that holds the message, 0 if none does."""

    verdict: Verdict
    case_id: int = 0
