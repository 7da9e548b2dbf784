"""The UIDs of a mailbox: an open run at the end, which an append lengthens by moving `uidnext`, and chunk
rows of runs before it."""

import itertools
import struct

from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.core.terms.uidset import Run, UidSet

MAX_RUNS = 256  # in one chunk


def encode(runs: tuple[Run, ...]) -> bytes:
    return struct.pack(f">{2 * len(runs)}I", *(number for run in runs for number in run))


def decode(octets: bytes) -> tuple[Run, ...]:
    numbers = struct.unpack(f">{len(octets) // 4}I", octets)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def read(db: Database, mailbox_id: int, tail_uid: int, uidnext: int) -> UidSet:
    """All UIDs of the mailbox, inside the caller's transaction."""
    chunks = db.execute("SELECT runs FROM uid_chunk WHERE mailbox_id = ? ORDER BY first_uid", (mailbox_id,))
    runs = [run for (octets,) in chunks for run in decode(octets)]
    if uidnext > tail_uid:
        if runs and runs[-1][1] + 1 == tail_uid:
            tail_uid = runs.pop()[0]
        runs.append((tail_uid, uidnext - 1))
    # Neighbouring chunks may touch each other.
    return UidSet(tuple(runs)) if _is_proper(runs) else UidSet.from_runs(runs)


def _is_proper(runs: list[Run]) -> bool:
    return all(before[1] + 1 < after[0] for before, after in itertools.pairwise(runs))


def remove(tx: WriteTransaction, mailbox_id: int, gone: UidSet) -> None:
    """Take UIDs out; touches only the chunks they lie in."""
    ((tail_uid, uidnext),) = tx.execute("SELECT tail_uid, uidnext FROM mailbox WHERE id = ?", (mailbox_id,))
    if gone.last >= tail_uid:
        _close_tail(tx, mailbox_id, tail_uid, uidnext)
    first = gone.runs[0][0]
    chunks = tx.execute(
        "SELECT first_uid, runs FROM uid_chunk WHERE mailbox_id = ?1 AND first_uid <= ?3 AND first_uid >= "
        "coalesce((SELECT max(first_uid) FROM uid_chunk WHERE mailbox_id = ?1 AND first_uid <= ?2), 0)",
        (mailbox_id, first, gone.last),
    ).fetchall()
    for first_uid, octets in chunks:
        runs = decode(octets)
        left = (UidSet(runs) - gone).runs
        if left != runs:
            tx.execute(
                "DELETE FROM uid_chunk WHERE mailbox_id = ? AND first_uid = ?", (mailbox_id, first_uid)
            )
            _insert(tx, mailbox_id, left)


def _insert(tx: WriteTransaction, mailbox_id: int, runs: tuple[Run, ...]) -> None:
    for start in range(0, len(runs), MAX_RUNS):
        part = runs[start : start + MAX_RUNS]
        tx.execute(
            "INSERT INTO uid_chunk (mailbox_id, first_uid, runs) VALUES (?, ?, ?)",
            (mailbox_id, part[0][0], encode(part)),
        )


def _close_tail(tx: WriteTransaction, mailbox_id: int, tail_uid: int, uidnext: int) -> None:
    """Write the open run into the last chunk, or into a new one when that is full."""
    tx.execute("UPDATE mailbox SET tail_uid = uidnext WHERE id = ?", (mailbox_id,))
    run = (tail_uid, uidnext - 1)
    last = tx.execute(
        "SELECT first_uid, runs FROM uid_chunk WHERE mailbox_id = ? ORDER BY first_uid DESC LIMIT 1",
        (mailbox_id,),
    ).fetchall()
    if last:
        first_uid, octets = last[0]
        runs = decode(octets)
        if runs[-1][1] + 1 == tail_uid:
            runs = (*runs[:-1], (runs[-1][0], run[1]))
        else:
            runs = (*runs, run)
        if len(runs) <= MAX_RUNS:
            tx.execute(
                "UPDATE uid_chunk SET runs = ? WHERE mailbox_id = ? AND first_uid = ?",
                (encode(runs), mailbox_id, first_uid),
            )
            return
    _insert(tx, mailbox_id, (run,))
