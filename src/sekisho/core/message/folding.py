"""Text in header fields: lines cut at spaces, and encoded words where it is not ASCII."""

import base64

_PIECE = 14  # characters of an encoded word: at most 75 octets, whatever they are (RFC 2047 §2)


def encoded_words(text: str) -> str:
    """RFC 2047 §2: each word at most 75 characters, cut between characters."""
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return "\r\n ".join(
        f"=?utf-8?B?{base64.b64encode(piece.encode('utf-8', 'replace')).decode('ascii')}?="
        for piece in pieces
    )
