"""What was found out about whoever a message says has written it."""

from dataclasses import dataclass

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorshipFinding:
    """`problem`: why nobody can tell who wrote the message, "" if somebody can. `author`: who it is, for
    people.

    `own_shown`: domains of this server that are named in From, though not as the author's; `own_senders`:
    that Sender names; `shown`: DMARC of the others in From, as if they were the author's; `too_many_shown`:
    more than are looked at. `is_notice`: it has the null reverse path.
    """

    problem: str = ""
    author: str = ""
    own_shown: tuple[str, ...] = ()
    own_senders: tuple[str, ...] = ()
    shown: tuple[DmarcFinding, ...] = ()
    too_many_shown: bool = False
    is_notice: bool = False
