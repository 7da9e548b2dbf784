"""The ids that refusals carry, so that whoever reads one can ask about it, and the postmaster finds what was written down.

A connection has a short id; what is refused in it is numbered: "k3q7w2ma-1". A refused message has its own id.
"""

from sekisho.core.terms.reference import SHORT_ID_OCTETS, Reference, short_id
from sekisho.core.terms.reply import Reply
from sekisho.ports.clock import Dice


class References:
    """Of one connection. Whoever refuses and writes that down takes `new` or names the id with `use`; `refer` puts it on the reply."""

    def __init__(self, dice: Dice, why_url: str) -> None:
        self.session = short_id(dice.octets(SHORT_ID_OCTETS))
        self._why_url = why_url
        self._count = 0
        self._taken = ""

    @property
    def of_session(self) -> Reference:
        return Reference.of(self.session, self._why_url)

    def new(self) -> str:
        self._count += 1
        return self.use(f"{self.session}-{self._count}")

    def use(self, id_: str) -> str:
        self._taken = id_
        return id_

    def taken(self) -> str:
        """The id of the last refusal, once; "" if nobody took one since."""
        taken, self._taken = self._taken, ""
        return taken

    def refer(self, reply: Reply, id_: str) -> Reply:
        return reply.referring(Reference.of(id_, self._why_url))
