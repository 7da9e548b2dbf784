"""Line ends, in all short octets."""

from itertools import product

import pytest

from sekisho.core.smtp.content import ContentCheck, ContentFault


@pytest.mark.parametrize("length", range(8))
def test_only_crlf_ends_a_line(length: int) -> None:
    """As the counts of CR, LF and their pairs say it."""
    for letters in product(b"\r\na\x0b", repeat=length):
        octets = bytes(letters)
        check = ContentCheck(100)
        check.take(octets)
        is_well = octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
        assert (check.fault is not ContentFault.BARE) == is_well, octets
