"""English sentences in the code are the keys; `ja.po` beside this file holds the Japanese ones.

The PO file is read as it is, only when Japanese is asked for (a few milliseconds), so there is nothing to
compile and any translator's tool can edit it.
"""

import json
import re
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "ja"]

_FIELD = re.compile(r'^(msgid|msgstr)[ \t]+((?:"(?:[^"\\\n]|\\.)*"\s*)+)', re.MULTILINE)
# `sekisho account add {address}`, as far as words can be of a command: plain ones, options, ARGUMENTS,
# places.
_COMMAND = re.compile(r"\bsekisho(?: (?:--?[a-z][a-z-]*|[a-z][a-z-]*(?![a-z])|[A-Z][A-Z-]*|\{\w+\}))+")
_QUOTED = "quoted_"
_PART = re.compile(r'"(?:[^"\\\n]|\\.)*"')


class Catalogue:
    """Calling it gives the sentence in its language, with the `{name}` places filled: `say("There is no
    domain {name}.", name=…)`."""

    def __init__(self, language: Language, messages: Mapping[str, str]) -> None:
        self.language = language
        self.messages = messages

    def __call__(self, text: str, /, **values: object) -> str:
        """What has no translation comes out in English."""
        wording = self.messages.get(text, text)
        if not values:
            return wording
        # A reason is a sentence too: "no @ in the address".
        if isinstance(reason := values.get("reason"), str):
            values["reason"] = self.messages.get(reason, reason)
        return _with_commands_quoted(wording).format(
            **values, **{f"{_QUOTED}{name}": _Quoted(value) for name, value in values.items()}
        )


class _Quoted:
    """A value as one word of a shell's line, made only if it is asked for."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        return shlex.quote(format(self._value, spec))


@lru_cache(maxsize=1024)
def _with_commands_quoted(wording: str) -> str:
    """Places within commands become names of quoted values: a command is there to be pasted, whatever a
    folder or an address is called."""
    return _COMMAND.sub(lambda command: command[0].replace("{", "{" + _QUOTED), wording)


def catalogue(language: Language) -> Catalogue:
    return Catalogue(
        language, read_po(Path(__file__).with_name("ja.po").read_text("utf-8")) if language == "ja" else {}
    )


def read_po(text: str) -> dict[str, str]:
    """msgid -> msgstr; the header (empty msgid) and untranslated entries are left out."""
    messages: dict[str, str] = {}
    msgid = ""
    for kind, parts in _FIELD.findall(text):
        wording = "".join(json.loads(part) for part in _PART.findall(parts))
        if kind == "msgid":
            msgid = wording
        elif msgid and wording:
            messages[msgid] = wording
    return messages


def language_of(environment: Mapping[str, str]) -> Language | None:
    """What LC_ALL, LC_MESSAGES, LANG ask for; None when they do not say (unset, C, POSIX)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name, "")
        if value:
            if value.split(".")[0] in ("C", "POSIX"):
                return None
            return "ja" if value.lower().startswith("ja") else "en"
    return None
