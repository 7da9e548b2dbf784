"""The words of ManageSieve commands (RFC 5804 §4), taken from a growing buffer one by one. Bounded before
anything is kept (THREATS 32)."""

import re
from dataclasses import dataclass

MAX_QUOTED = 1024  # RFC 5804 §4
MAX_LINE = 8192
MAX_WORDS = 5

_ATOM = re.compile(rb"[!#-'*-\[\]-z|~]{1,64}(?=[ \r])")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*+)"')
_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Word:
    """`is_string`: quoted, or a literal; else an atom or a number."""

    octets: bytes
    is_string: bool = True


class MalformedRequest(Exception):
    """The command breaks the grammar; the message says how. `is_hopeless`: where the next one begins cannot
    be told."""

    def __init__(self, text: str, *, is_hopeless: bool = False) -> None:
        super().__init__(text)
        self.is_hopeless = is_hopeless


class WordReader:
    """Collects the words of one command after the other."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.max_literal = MAX_LINE
        self._words: list[Word] = []
        self._literal: bytearray | None = None
        self._left = 0  # of the literal
        self._skips = False  # the literal is thrown away
        self._too_large = False
        self._line = 0  # octets of this command outside of literals
        self._is_spaced = False  # the space before the next word was read
        self._discards = False  # the rest of a line that could not be read

    def feed(self, octets: bytes) -> None:
        if self._skips and self._left:
            gone = min(self._left, len(octets))
            self._left -= gone
            octets = octets[gone:]
        self.buffer += octets

    @property
    def is_between(self) -> bool:
        """No command is begun."""
        return not self._words and self._literal is None and not self.buffer

    def next_command(self) -> list[Word] | None:
        """None while it is not whole. Raises Malformed, the command's line thrown away unless that is
        hopeless.

        A word that is a literal beyond the bound is read past, and the command is refused with Malformed at
        its end.
        """
        if self._discards and not self._discard():
            return None
        while True:
            if self._literal is not None and not self._finish_literal():
                return None
            if not self._take_space():
                return None
            if self.buffer.startswith(b"\r\n") and not self._is_spaced:
                del self.buffer[:2]
                return self._take_words()
            word = self._next_word()
            if word is None:
                return None
            if len(self._words) >= MAX_WORDS:
                raise self._broken("Too many arguments")
            self._is_spaced = False
            if word is not _LITERAL_BEGINS:
                self._words.append(word)

    def _discard(self) -> bool:
        """Behind the end of the line; False while it is not here."""
        end = self.buffer.find(b"\n")
        gone = len(self.buffer) if end < 0 else end + 1
        del self.buffer[:gone]
        self._line += gone
        if self._line > MAX_LINE:
            raise MalformedRequest("The command is too long", is_hopeless=True)
        if end >= 0:
            self._discards, self._line = False, 0
        return end >= 0

    def _take_words(self) -> list[Word]:
        words, too_large = self._words, self._too_large
        self._words, self._line, self._too_large = [], 0, False
        if too_large:
            raise MalformedRequest("The script is too large")
        return words

    def _take_space(self) -> bool:
        """Between two words stands a space, before the first none; False: more octets are needed."""
        if not self.buffer:
            return False
        if self._words and not self._is_spaced:
            if self.buffer.startswith(b" "):
                del self.buffer[:1]
                self._line += 1
                self._is_spaced = True
                return bool(self.buffer)
            if self.buffer[:1] != b"\r":
                raise self._broken("A space is missing")
        return self.buffer[:1] != b"\r" or len(self.buffer) > 1

    def _next_word(self) -> Word | None:
        buffer = self.buffer
        first = buffer[:1]
        pattern = _QUOTED if first == b'"' else _LITERAL if first == b"{" else _ATOM
        match = pattern.match(buffer)
        if match is None:
            longest = 2 * MAX_QUOTED if first == b'"' else 64
            if len(buffer) > longest or b"\n" in buffer:
                raise self._broken("A word is malformed")
            return None
        size = match.end()
        self._line += size
        if self._line > MAX_LINE:
            raise self._broken("The command is too long")
        octets = bytes(match[1]) if pattern is not _ATOM else bytes(match[0])
        del buffer[:size]
        if pattern is _LITERAL:
            self._begin_literal(int(octets))
            return _LITERAL_BEGINS
        if pattern is _ATOM:
            return Word(octets, is_string=False)
        octets = _ESCAPED.sub(rb"\1", octets)
        if len(octets) > MAX_QUOTED:
            raise self._broken("A quoted string may have at most 1024 octets")
        return Word(octets)

    def _begin_literal(self, size: int) -> None:
        self._skips = size > self.max_literal
        if self._skips and size > 64 * max(self.max_literal, MAX_LINE):
            raise MalformedRequest("The literal is too large", is_hopeless=True)
        self._literal, self._left = bytearray(), size

    def _finish_literal(self) -> bool:
        assert self._literal is not None
        taken = self.buffer[: self._left]
        del self.buffer[: len(taken)]
        self._left -= len(taken)
        if not self._skips:
            self._literal += taken
        if self._left:
            return False
        if self._skips:
            self._too_large = True
        self._words.append(Word(bytes(self._literal)))
        self._literal, self._skips = None, False
        return True

    def _broken(self, text: str) -> MalformedRequest:
        """The rest of the line goes with it."""
        self._words, self._line, self._too_large, self._is_spaced = [], 0, False, False
        self._discards = True
        return MalformedRequest(text)


_LITERAL_BEGINS = Word(b"")
