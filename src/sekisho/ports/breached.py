"""Passwords that are known to attackers because they leaked somewhere."""

from typing import Protocol


class BreachedPasswords(Protocol):
    def count(self, password: str) -> int:
        """How often it leaked, 0 if it is not known. Reads a disk, so ask in a thread.

        Raises OSError, or ValueError for a file of another form.
        """
        ...
