"""The write side of the ledger, and what goes to the log: one entry per connection, verdict, attempt or
fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

JournalValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` is "service.what" ("reception.accepted", "relay.attempt"); `id` is what a peer was told (queue
    or session id).

    Values are raw: the writer bounds and escapes them (THREATS 25). `about`: what the ledger finds the entry
    by besides its id: addresses, message-ids, client networks, domain names, as text.
    """

    kind: str
    id: str = ""
    fields: Mapping[str, JournalValue] = field(default_factory=dict)
    about: tuple[str, ...] = ()


class Journal(Protocol):
    def record(self, entry: Entry) -> None:
        """Never blocks, never raises."""
        ...

    def fault(self, where: str, error: BaseException) -> str:
        """An own bug: the traceback goes to the log; returns the id to tell the peer."""
        ...
