"""Why a report is not taken."""

import re

MAX_TEXT = 1000
_UNPRINTABLE = re.compile(
    r"[^\x20-\x7e\u00a1-\u200a\u2010-\u2027\u2030-\u205e\u2070-\ud7ff\uf900-\ufefe\uff01-\uffef]"
)


class ReportRefused(ValueError):
    """What came is no report, or one that is made to do harm; `str()` says why."""


def tame(text: str, most: int = 255) -> str:
    """Words of a stranger on one line, without what moves a terminal's cursor or turns its direction."""
    return _UNPRINTABLE.sub("?", " ".join(text[: 4 * most].split()))[:most]
