"""When what waits in the queue is really tried: a next hop that failed rests, and with it all that is due for
it."""

from collections.abc import Mapping

from msgspec.structs import replace

from sekisho.ports.spool import QueuedMessage, Spool


async def rests(spool: Spool) -> dict[str, int]:
    """Next hop -> until when it is left alone, in µs."""
    return {state.next_hop: state.not_before_us for state in await spool.destinations()}


def as_it_will_be(message: QueuedMessage, resting: Mapping[str, int]) -> QueuedMessage:
    """`due_at_us` of each recipient as its next attempt; 0 where none is to come by itself: held, parked, or
    under way."""
    rows = tuple(
        replace(row, due_at_us=max(row.due_at_us, resting.get(next_hop, 0)) if row.state == "waiting" else 0)
        for row, next_hop in zip(message.recipients, message.next_hops, strict=True)
    )
    return replace(message, recipients=rows)
