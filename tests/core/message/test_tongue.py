"""Who is told in Japanese."""

import pytest

from sekisho.core.message.tongue import is_japanese


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Content-Language: ja-JP\r\n", True),
        (b"Subject: =?iso-2022-jp?B?GyRCMnE1RBsoQg==?=\r\n", True),
        (b'Content-Type: text/plain; charset="ISO-2022-JP"\r\n', True),
        (b"Subject: =?utf-8?B?44GK55+l44KJ44Gb?=\r\n", True),
        ("From: たろう <a@example.org>\r\n".encode(), True),
        (b"Subject: =?utf-8?B?5Lya6K2w?=\r\n", False),  # 会議 is written so in China too
        (b"Subject: hello\r\nContent-Type: text/plain; charset=utf-8\r\n", False),
        (b"", False),
    ],
)
def test_the_header_tells_the_language(header: bytes, expected: bool) -> None:
    assert is_japanese(header + b"\r\n" + "ほんぶん".encode()) is expected
