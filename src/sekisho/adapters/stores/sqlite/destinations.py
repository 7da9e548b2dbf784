"""The rows of `destination`: when each next hop has something ready."""

from sekisho.adapters.stores.sqlite.writer import WriteTransaction


def announce(tx: WriteTransaction, next_hop: str, due_at_us: int) -> None:
    """A recipient for `next_hop` waits for `due_at_us`: its destination is ready then, or earlier as
    before."""
    tx.execute(
        "INSERT INTO destination (next_hop, ready_at_us, not_before_us, failures, last_error) "
        "VALUES (?1, ?2, 0, 0, '') ON CONFLICT (next_hop) DO UPDATE "
        "SET ready_at_us = min(coalesce(ready_at_us, max(?2, not_before_us)), max(?2, not_before_us))",
        (next_hop, due_at_us),
    )


def refresh(tx: WriteTransaction, next_hop: str) -> None:
    """Work out anew when the destination is ready; without waiting recipients and back-off its row goes."""
    tx.execute(
        "INSERT INTO destination (next_hop, ready_at_us, not_before_us, failures, last_error) "
        "VALUES (?, NULL, 0, 0, '') ON CONFLICT (next_hop) DO NOTHING",
        (next_hop,),
    )
    tx.execute(
        "UPDATE destination SET ready_at_us = (SELECT max(min(due_at_us), destination.not_before_us) FROM "
        "queue_recipient "
        "WHERE queue_recipient.next_hop = destination.next_hop AND state = 'waiting') WHERE next_hop = ?",
        (next_hop,),
    )
    tx.execute(
        "DELETE FROM destination WHERE next_hop = ? AND ready_at_us IS NULL AND failures = 0", (next_hop,)
    )
