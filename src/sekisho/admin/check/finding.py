"""What a check found: one sentence each, and what to do about it. Text is English with `{name}` places;
faces/i18n has the Japanese."""

from typing import Literal

from msgspec import Struct

# good: as it should be; hint: it works, and could be better; unknown: the DNS did not say; bad: receivers
# will mind.
Level = Literal["good", "hint", "unknown", "bad"]
Value = str | int


class Finding(Struct, frozen=True, kw_only=True):
    """`topic` is the protocol's usual name ("SPF"); `values` fill both texts; `remedy` is "" if nothing is to
    be done."""

    level: Level
    topic: str
    text: str
    remedy: str = ""
    values: dict[str, Value] = {}

    @classmethod
    def good(cls, topic: str, text: str, /, **values: Value) -> "Finding":
        return cls(level="good", topic=topic, text=text, remedy="", values=values)

    @classmethod
    def hint(cls, topic: str, text: str, remedy: str, /, **values: Value) -> "Finding":
        return cls(level="hint", topic=topic, text=text, remedy=remedy, values=values)

    @classmethod
    def bad(cls, topic: str, text: str, remedy: str, /, **values: Value) -> "Finding":
        return cls(level="bad", topic=topic, text=text, remedy=remedy, values=values)

    @classmethod
    def unknown(cls, topic: str, text: str, /, **values: Value) -> "Finding":
        """The remedy is always the same: ask later, or look at the resolver."""
        return cls(level="unknown", topic=topic, text=text, remedy="", values=values)


def sentence(text: str) -> str:
    """Marks a text that is used elsewhere as one for people, so that it gets its Japanese wording."""
    return text
