"""Refusing a connection because there are too many: the client gets an id, and the journal one entry a minute
for each client."""

from collections import OrderedDict

from sekisho.core.terms.reference import SHORT_ID_OCTETS, Reference, short_id
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import client_keys
from sekisho.ports.stream import IpAddress

MOST_CLIENTS = 1000
SAME_SECONDS = 60.0


class CapRefusals:
    """A flood must not flood the log: for a minute a client is told the same id."""

    def __init__(self, journal: Journal, clock: Clock, dice: Dice, why_url: str) -> None:
        self._journal, self._clock, self._dice = journal, clock, dice
        self.why_url = why_url
        self._told: OrderedDict[tuple[str, IpAddress], tuple[str, float]] = OrderedDict()

    def reference(self, listener: str, client: IpAddress, cap: str) -> Reference:
        """Writes the refusal down, if that was not done just now."""
        now = self._clock.monotonic()
        id_, until = self._told.get((listener, client), ("", 0.0))
        if now >= until:
            id_ = short_id(self._dice.octets(SHORT_ID_OCTETS))
            self._told[listener, client] = (id_, now + SAME_SECONDS)
            if len(self._told) > MOST_CLIENTS:
                self._told.popitem(last=False)
            fields = {"listener": listener, "client": str(client), "cap": cap}
            self._journal.record(Entry("listener.refused", id_, fields, client_keys(client)))
        return Reference.of(id_, self.why_url)
