"""Links of the author and links in what is quoted."""

import pytest

from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.takeover.content import look_at_content


@pytest.mark.parametrize(
    ("body", "links"),
    [
        ("see https://new.example/x\r\n", {"new.example": False}),
        ("Thank you!\r\n> my site: https://friend.example/\r\n", {"friend.example": True}),
        ("> https://both.example/\r\nyes, https://both.example/\r\n", {"both.example": False}),
        ("I agree.\r\n-----Original Message-----\r\nhttps://friend.example\r\n", {"friend.example": True}),
        (
            '<a href="http://mine.example">x</a><blockquote type="cite"><a href="http://theirs.example">',
            {"mine.example": False, "theirs.example": True},
        ),
    ],
)  # fmt: skip
def test_what_others_wrote_is_told_apart(body: str, links: dict[str, bool]) -> None:
    octets = b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + body.encode()
    assert {link.host: link.quoted for link in look_at_content(HeaderSection(octets), octets).links} == links
