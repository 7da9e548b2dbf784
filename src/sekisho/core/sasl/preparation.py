"""How names and passwords are made comparable before they are compared (RFC 8265; SASLprep, RFC 4013, for
SCRAM)."""

import re
import stringprep
import unicodedata

from sekisho.core.terms.address import Address, AddressError

# RFC 8265 §3.3.1: fullwidth and halfwidth forms, as Japanese input methods produce them.
_WIDTH = re.compile("[\u3000\uff01-\uffef]")
_UNPREPARED = re.compile(r"[^ -~]")
# RFC 8264 §9.9 Controls, surrogates and unassigned code points are outside the FreeformClass.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Cn"})


class PreparationError(ValueError):
    """The text cannot be a name or a password; the message is a sentence for people."""


def prepare_password(text: str) -> str:
    """The OpaqueString profile (RFC 8265 §4.2): other spaces become U+0020, then NFC. Raises
    `PreparationError`."""
    if not text:
        raise PreparationError("The password is empty.")
    if not _UNPREPARED.search(text):
        return text
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    prepared = unicodedata.normalize("NFC", spaced)
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in prepared):
        raise PreparationError("The password holds a control character or a code point that does not exist.")
    return prepared


def prepare_scram_password(text: str) -> str:
    """SASLprep (RFC 4013 §2), which RFC 5802 §2.2 makes the client apply; raises `PreparationError`."""
    if not text:
        raise PreparationError("The password is empty.")
    if not _UNPREPARED.search(text):
        return text
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared:
        raise PreparationError("The password is empty.")
    if any(map(_is_prohibited, prepared)):
        raise PreparationError(
            "The password holds a control character or a code point that must not be in passwords."
        )
    if any(map(stringprep.in_table_d1, prepared)):  # RFC 3454 §6
        ends_right = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if not ends_right or any(map(stringprep.in_table_d2, prepared)):
            raise PreparationError("The password mixes writing directions.")
    return prepared


def _is_prohibited(character: str) -> bool:
    """RFC 4013 §2.3, and the unassigned code points of §2.5, which a stored string must not have."""
    return (
        stringprep.in_table_c12(character)
        or stringprep.in_table_c21_c22(character)
        or stringprep.in_table_c3(character)
        or stringprep.in_table_c4(character)
        or stringprep.in_table_c5(character)
        or stringprep.in_table_c6(character)
        or stringprep.in_table_c7(character)
        or stringprep.in_table_c8(character)
        or stringprep.in_table_c9(character)
        or stringprep.in_table_a1(character)
    )


def prepare_username(text: str) -> Address:
    """The account address that a login name means, canonical; raises `PreparationError`.

    As UsernameCaseMapped (RFC 8265 §3.3): width mapping, NFC, case folding; the domain as A-labels.
    """
    narrow = _WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    try:
        return Address.from_text(unicodedata.normalize("NFC", narrow)).canonical
    except AddressError as error:
        raise PreparationError(f"The login name is not an address: {error}.") from error
