"""What a remote host's reply tells about our own mail: a recipient that never was, or spam."""

import re

from sekisho.core.terms.reply import EnhancedStatus, Reply

# The providers' own words (STANDARDS R-02): rate by reputation, blocked for spam. Greylisting and plain rate
# limits are not among them.
_COMPLAINT = re.compile(
    r"\b4\.7\.28\b|\b4\.7\.65[01]\b|\bS3150\b|\bS3140\b|\bTSS0[4-9]\b|\bCS01\b|\bBL2[13]\b|\bspam(?!haus)|u"
    r"nsolicited|\bjunk mail\b"
    r"|likely suspicious|low reputation",
    re.IGNORECASE,
)
# RFC 3463 §3.2: bad destination mailbox, system or address; RFC 7505 §4.2: 5.1.10, no mail is accepted there.
_NO_SUCH = frozenset({1, 2, 3, 6, 10})


def is_bounce(reply: Reply | None) -> bool:
    """Does the address not exist?"""
    if reply is None or not 500 <= reply.code <= 599:
        return False
    status: EnhancedStatus | None = reply.enhanced
    if status is not None and (status.subject, status.detail) != (0, 0):
        return status.subject == 1 and status.detail in _NO_SUCH
    return reply.code in (550, 551, 553) and not is_complaint(reply)


def is_complaint(reply: Reply | None) -> bool:
    return reply is not None and reply.code >= 400 and bool(_COMPLAINT.search(str(reply)))
