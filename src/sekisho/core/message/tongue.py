"""In which language somebody writes, as far as a notice to him must know, by the header of his message."""

import re

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.text import decode_field

_JAPANESE_CHARSET = re.compile(
    rb"(?:=\?|charset=\"?)(?:iso-2022-jp|shift_jis|euc-jp|cp932|windows-31j)", re.IGNORECASE
)
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_FIELDS = (b"subject", b"from", b"content-type")
MOST_OCTETS = 4000


def is_japanese(original: bytes) -> bool:
    """Does he write Japanese? By Content-Language, the charset, or kana in Subject or From."""
    section = HeaderSection(original)
    language = section.first(b"content-language")
    if language is not None and language.strip()[:2].lower() == b"ja":
        return True
    for name in _FIELDS:
        value = (section.first(name) or b"")[:MOST_OCTETS]
        if _JAPANESE_CHARSET.search(value) or _KANA.search(decode_field(value)):
            return True
    return False
