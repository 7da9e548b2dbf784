"""Jobs and messages for the relay's tests."""

from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.leases import Owner
from sekisho.ports.spool import QueueJob, QueueRecipient


class Octets:
    def __init__(self, content: bytes, *, broken_at: int | None = None) -> None:
        self.content = content
        self.size_octets = len(content)
        self.broken_at = broken_at

    async def read(self, offset: int, length: int) -> bytes:
        if self.broken_at is not None and offset >= self.broken_at:
            raise StoreUnavailable("test")
        return self.content[offset : offset + length]


def job(*recipients: str, next_hop: str = "example.com", sender: str | None = "a@sender.example", **envelope: object) -> QueueJob:
    path = ReversePath(Address.from_text(sender) if sender else None)
    rows = tuple(
        QueueRecipient(number, Recipient(Address.from_text(text)), "claimed", 1, 0, 10**18)
        for number, text in enumerate(recipients or ("bob@example.com",), 7)
    )
    return QueueJob("m1", next_hop, Envelope(path, **envelope), rows, 0, 0, Owner("h", 0, 1), 1)  # type: ignore[arg-type]  # test shorthand
