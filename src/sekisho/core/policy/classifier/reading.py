"""From a message's header section, parts and texts to its tokens."""

from collections.abc import Iterable

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.hops import Hop
from sekisho.core.message.structure import Kind, Structure, scan
from sekisho.core.policy.classifier.bodytokens import TextBody, body_tokens
from sekisho.core.policy.classifier.features import Tokens
from sekisho.core.policy.classifier.headtokens import header_tokens

MAX_TEXT_OCTETS = 65_536  # of a message's text are looked at
MAX_TEXT_PARTS = 20


def text_ranges(structure: Structure) -> list[tuple[int, int, int]]:
    """(index of the part, offset, length) of the text that is looked at."""
    found: list[tuple[int, int, int]] = []
    left = MAX_TEXT_OCTETS
    for index, part in enumerate(structure.parts):
        if part.kind is Kind.LEAF and part.type == b"text" and part.end > part.body and left > 0:
            length = min(part.end - part.body, left)
            found.append((index, part.body, length))
            left -= length
            if len(found) >= MAX_TEXT_PARTS:
                break
    return found


def read_tokens(
    header: HeaderSection,
    structure: Structure,
    size: int,
    bodies: Iterable[TextBody],
    client: Hop | None = None,
) -> Tokens:
    """`size`: octets of the message; `bodies`: what stands at `text_ranges`; `client` as in
    `header_tokens`."""
    build: dict[str, None] = {}
    words: dict[str, None] = {}
    author = header_tokens(header, build.setdefault, client)
    body_tokens(
        parts=structure.parts,
        size=size,
        bodies=bodies,
        author=author,
        add=build.setdefault,
        add_word=words.setdefault,
    )
    return Tokens(tuple(build), tuple(words))


def read_message(octets: bytes) -> Tokens:
    """Of a message in memory, whichever its line ends."""
    structure = scan(octets)
    bodies = [
        TextBody(structure.parts[index], octets[begin : begin + length])
        for index, begin, length in text_ranges(structure)
    ]
    return read_tokens(HeaderSection(octets), structure, len(octets), bodies)


def client_hop(hello: str, name: str, address: str) -> Hop:
    """The host that handed a message to us. `name`: its verified reverse name or ""."""
    return Hop(hello=hello.strip("[]").lower(), name=name.lower(), address=address)
