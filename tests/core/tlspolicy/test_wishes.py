"""What a message asks of its way: REQUIRETLS and the field TLS-Required."""

import pytest

from sekisho.core.tlspolicy.wishes import TlsWishes, wishes_of

NOTHING, WAIVES = TlsWishes(), TlsWishes(waives=True)


@pytest.mark.parametrize(
    ("head", "wishes"),
    [
        (b"TLS-Required: No\r\n\r\nx", WAIVES),
        (b"Subject: x\r\ntls-REQUIRED:no \r\n\r\nx", WAIVES),
        (b"Subject: x\r\nTLS-Required:\r\n No\r\n\r\nx", WAIVES),
        (b"Subject: x\r\nTLS-Required: No\r\n", WAIVES),  # without a body
        (b"Subject: x\r\nTLS-Required: Maybe\r\n\r\nx", NOTHING),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n\r\nx", NOTHING),  # RFC 8689 §3: once
        (b"TLS-Required: No\r\nTLS-Required: Yes\r\n\r\nx", NOTHING),
        (b"TLS-Required-X: No\r\n\r\nx", NOTHING),
        (b"Subject: x\r\n TLS-Required: No\r\n\r\nx", NOTHING),  # a folded Subject
        (b"Subject: x\r\n\r\nTLS-Required: No\r\n", NOTHING),
        (b"", NOTHING),
    ],
)
def test_the_field(head: bytes, wishes: TlsWishes) -> None:
    assert wishes_of(head, requiretls=False) == wishes
    assert wishes_of(head, requiretls=True) == TlsWishes(requires=True)  # RFC 8689 §5
