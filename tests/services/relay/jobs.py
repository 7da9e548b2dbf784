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


def job(
    *recipients: str,
    next_hop: str = "example.com",
    sender: str | None = "a@sender.example",
    **envelope: object,
) -> QueueJob:
    path = ReversePath(Address.from_text(sender) if sender else None)
    rows = tuple(
        QueueRecipient(
            id=number,
            recipient=Recipient(Address.from_text(text)),
            state="claimed",
            attempts=1,
            due_at_us=0,
            expires_at_us=10**18,
        )
        for number, text in enumerate(recipients or ("bob@example.com",), 7)
    )
    return QueueJob(
        message_id="m1",
        next_hop=next_hop,
        envelope=Envelope(reverse_path=path, **envelope),
        recipients=rows,
        size_octets=0,
        arrived_at_us=0,
        owner=Owner("h", 0, 1),
        epoch=1,
    )  # type: ignore[arg-type]  # test shorthand
