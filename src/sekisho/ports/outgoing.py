"""What comes back from the acceptance of a submitted message for the watch over hijacked accounts."""

from msgspec import Struct

from sekisho.core.policy.takeover.verdict import Verdict

# Stands for a next hop where a copy for a mailbox here is held; never one, as it has no dot.
MAILBOX_HOP = "mailbox"


class Decision(Struct, frozen=True):
    """`case_id`: the open case that holds the message, 0 if none does."""

    verdict: Verdict
    case_id: int = 0
