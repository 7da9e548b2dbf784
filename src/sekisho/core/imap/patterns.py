"""LIST patterns: `*` matches anything, `%` anything within one level (RFC 3501 §6.3.8)."""

import re

_RUNS = re.compile(r"[%*]{2,}")


class ListPattern:
    """One pattern, matched in time linear in the name whatever the wildcards (THREATS 39).

    Positions in the pattern are bits of an integer: all possible readings advance together.
    """

    __slots__ = ("_any", "_last", "_level", "_literal", "_start", "_text")

    def __init__(self, text: str) -> None:
        text = _RUNS.sub(lambda run: "*" if "*" in run[0] else "%", text)
        self._text = text
        self._any = self._level = 0
        self._literal: dict[str, int] = {}
        for position, character in enumerate(text):
            if character == "*":
                self._any |= 1 << position
            elif character == "%":
                self._level |= 1 << position
            else:
                self._literal[character] = self._literal.get(character, 0) | 1 << position
        self._last = 1 << len(text)
        self._start = 1 | (1 & (self._any | self._level)) << 1

    def matches(self, name: str) -> bool:
        """Is it the whole name?"""
        if not self._any and not self._level:
            return name == self._text
        if self._text == "*":
            return True
        if self._text == "%":
            return "/" not in name
        wild = self._any | self._level
        active = self._start
        for character in name:
            stays = active & (self._any if character == "/" else wild)
            active = (active & self._literal.get(character, 0)) << 1 | stays
            active |= (active & wild) << 1
            if not active:
                return False
        return bool(active & self._last)
