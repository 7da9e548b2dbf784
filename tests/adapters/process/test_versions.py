"""The version of the directory, seen over processes."""

import os

from sekisho.adapters.process.versions import SharedVersion


def test_a_change_in_another_process_is_seen_at_once() -> None:
    version = SharedVersion(2)
    version.take_slot(0)
    before = version.now()
    child = os.fork()
    if child == 0:
        version.take_slot(1)
        version.raise_()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert version.now() != before and version.now() == version.now()


def test_two_changes_at_once_are_two() -> None:
    """Each worker has a cell of its own: neither can write over the other's."""
    version = SharedVersion(3)
    seen = {version.now()}
    for slot in (0, 2, 0, 2):
        version.take_slot(slot)
        seen.add(version.now())
        version.raise_()
        seen.add(version.now())
    assert len(seen) == 9


def test_a_worker_that_takes_the_place_of_another_raises_it() -> None:
    """The one before it may have died between its commit and its word."""
    version = SharedVersion(1)
    before = version.now()
    version.take_slot(0)
    assert version.now() != before
