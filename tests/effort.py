"""Bounds on work that hold on a busy machine too."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_ROUNDS = 200_000
_NOMINAL_SECONDS = 0.012  # of CPU for the rounds, on an idle core of the machines this was written on
_MARGIN = 4.0  # what is guarded against costs a hundred times more, not four times


@contextmanager
def effort(seconds: float, what: str = "") -> Iterator[None]:
    """Fail if the block needs much more than `seconds` of this process's CPU, on a machine as slow as this
    one is just now.

    A guard against quadratic work, not a measurement: those are in bench/.
    """
    before = time.process_time()
    yield
    spent = time.process_time() - before
    bound = seconds * _MARGIN
    if spent >= bound:  # only then ask how slow the machine is
        bound *= max(1.0, _reference() / _NOMINAL_SECONDS)
    assert spent < bound, (
        f"{what or 'the work'} took {spent:.2f} CPU seconds; at most {bound:.2f} were expected"
    )


def _reference() -> float:
    before, total = time.process_time(), 0
    for number in range(_ROUNDS):
        total += number
    return time.process_time() - before
