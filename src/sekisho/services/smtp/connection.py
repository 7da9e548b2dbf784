"""One SMTP connection, as its session, its decider and its journal entries know it."""

from dataclasses import dataclass
from typing import Literal

from sekisho.core.smtp.events import Hello
from sekisho.core.terms.reference import SHORT_ID_OCTETS, short_id
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Journal
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import Shutdown, Stream

Role = Literal["reception", "submission"]
NO_HELLO = Hello(False, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTools:
    """`why_url`: the page that explains a refusal's id, "" without one (config: ledger.why_url). `subjects`:
    entries may name them."""

    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown
    why_url: str = ""
    subjects: bool = False


class Connection:
    """`session`: the short id that it is found by. `client`: its address; `about_client`: that, and the
    network it is in. `hello`: what it called itself since the handshake. `account`: who is logged in, "" as
    long as nobody is. `counts`: what came of its messages. `errors`: of its client, once it is over.
    `is_told`: an entry of the last minute tells of it already, and it gets none of its own."""

    __slots__ = (
        "about_client",
        "account",
        "client",
        "counts",
        "errors",
        "hello",
        "is_told",
        "role",
        "session",
        "stream",
    )

    def __init__(self, role: Role, stream: Stream, dice: Dice) -> None:
        self.role = role
        self.stream = stream
        self.session = short_id(dice.octets(SHORT_ID_OCTETS))
        self.about_client = client_keys(stream.peer.address)
        self.client = self.about_client[0]
        self.hello = NO_HELLO
        self.account = ""
        self.counts = {"accepted": 0, "refused": 0}
        if role == "reception":
            self.counts["recipients_refused"] = 0
        self.errors = 0
        self.is_told = False
