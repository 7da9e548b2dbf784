"""Text as the words it is made of, for statistics: lower-case words where a script has spaces, pairs of
characters where it has none.

Linear in the text and bounded: `text` is cut before anything else is done, so a hostile one costs what an
ordinary one does.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

MAX_CHARACTERS = 32_768
MAX_WORDS = 5000
MAX_WORD = 20  # longer ones are told apart by their length alone: names of files, base64, keys

_WORD = re.compile(r"[\w$][\w$'\-.]{0,60}[\w$!]|[\w$]|!!+")
# Kana, Han, Hangul, and the scripts of South-East Asia: written without spaces, or inflected by suffixes.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# Full-width and half-width forms are one letter to a reader, and a way round filters.
_WIDTHS = re.compile("[\uff01-\uffee]+")
_RUN = re.compile(f"[{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """In order, repeated ones too. 会議室 gives 会議 and 議室; a number gives `#` and its length."""
    text = text[:MAX_CHARACTERS]
    found: list[str] = []
    if not text.isascii():
        text = _WIDTHS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
        for run in _RUN.findall(text):
            found += pairs(run)
        if found:
            text = _RUN.sub(" ", text)
    spaced = _WORD.findall(text.lower())[: MAX_WORDS - min(len(found), MAX_WORDS)]
    reduced = {word: _reduced(word) for word in set(spaced)}
    found += [reduced[word] for word in spaced]
    return found[:MAX_WORDS]


def pairs(run: str) -> Iterator[str]:
    """Neighbouring characters two by two; a single one alone."""
    return map("".join, pairwise(run)) if len(run) > 1 else iter(run)


def _reduced(word: str) -> str:
    if word.isdigit():
        return f"#{len(word)}"
    return word if len(word) <= MAX_WORD else f"~{len(word).bit_length()}"
