"""Names in letters that look like Latin ones: what the eye reads is not what the DNS is asked for."""

import unicodedata

from sekisho.core.terms.address import AddressError, parse_domain

# Only letters that nobody can tell apart: an accent, or a sign of its own, is seen. Cyrillic, Greek,
# Armenian, phonetic.
_AS_LATIN = str.maketrans(
    "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u043a\u04cf\u043e\u0440\u051b\u0455\u0475\u051d\u0445\u0443"
    "\u04af"
    "\u03b1\u03bf\u03bd\u03c1\u03b9\u03ba\u03c5\u03c4\u03c7\u03b3\u03f2"
    "\u0585\u0578\u057d\u0570\u0581\u0566"
    "\u0251\u0261\u0131\u0269\u1d04\u1d0f\u1d20\u1d21\u1d22\ua731",
    "acdehijklopqsvwxyyaovpikutxycounhgqagiicovwzs",
)


def read_as_latin(domain: str) -> str:
    """What people read who see this domain (A-labels) on the screen, if all of it looks like Latin letters;
    else ""."""
    if "xn--" not in domain:
        return ""
    try:
        shown = ".".join(_unicode_label(label) for label in domain.split("."))
        read = unicodedata.normalize("NFKC", shown).lower().translate(_AS_LATIN)
        return parse_domain(read, literals=False) if read.isascii() and "xn--" not in read else ""
    except (AddressError, UnicodeError):
        return ""


def _unicode_label(label: str) -> str:
    return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label
