"""Base64 as protocols carry it: strict, bounded, one spelling per value (THREATS 11)."""

import binascii


class Base64Error(ValueError):
    """The text is not canonical base64, or longer than allowed."""


def decode_base64(text: bytes, max_octets: int = 12_288) -> bytes:
    """The octets that `text` spells; raises `Base64Error`.

    Refused: white space, other alphabets, missing or surplus padding, stray bits before the padding (RFC 4648
    §3.3, §3.5), and more than `max_octets` octets of result.
    """
    if len(text) > (max_octets + 2) // 3 * 4:
        raise Base64Error("the base64 text is too long")
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Base64Error("the text is not base64") from error
    if len(octets) > max_octets:
        raise Base64Error("the base64 text is too long")
    # Only the encoder's own spelling is taken, so that what was compared or cached once cannot come back in
    # another shape.
    if binascii.b2a_base64(octets, newline=False) != text:
        raise Base64Error("the text is not canonical base64")
    return octets


def encode_base64(octets: bytes) -> bytes:
    """One line, padded, without a line end."""
    return binascii.b2a_base64(octets, newline=False)
