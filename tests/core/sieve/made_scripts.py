"""Scripts made at random out of the language's own table: most of them are understood, and do odd things."""

import random
from collections.abc import Sequence

from sekisho.core.sieve.language import WHOLE_LANGUAGE
from sekisho.core.sieve.script import Spec

_STRINGS = [
    '""',
    '"*"',
    '"a*b?"',
    '"${1}"',
    '"${a}"',
    '"${global.a}"',
    '"${hex:ff fe}"',
    '"from"',
    '"to"',
    '"subject"',
    '"content-type"',
    '"date"',
    '"received"',
    '"a@example.org"',
    '"eq"',
    '"ge"',
    '"mailto:a@example.org?subject=x"',
    '"i;octet"',
    '"i;ascii-numeric"',
    '"i;unicode-casemap"',
    '"+0900"',
    '"julian"',
    '"\\\\Seen"',
    '"ÄÖ会ß"',
    '"12"',
    '"text/plain"',
    '"a"',
]  # fmt: skip
_SPECS = list(WHOLE_LANGUAGE.specs.values())
_TESTS = [spec for spec in _SPECS if spec.is_test]
_COMMANDS = [spec for spec in _SPECS if not spec.is_test and spec.name not in ("elsif", "else")]
REQUIRE_ALL = "require [{}];\n".format(", ".join(f'"{name}"' for name in sorted(WHOLE_LANGUAGE.capabilities)))
_FIELDS = (
    b"From: A <a@example.org>", b"To: b+c@x.example, d;", b"Subject: =?utf-8?q?x=ff?= y",
    b"Date: Mon, 1 Jan 2024 10:00:00 +0100",
    b"Date: 99 Foo 1 1:1 Z", b"Received: x; Thu, 31 Dec 9999 23:59:59 -1200",
    b"Content-Type: multipart/mixed; boundary=b",
    b"X-A: \xff\xfe",
    b"Content-Type: text/html; charset=iso-2022-jp", b"Content-Type: message/rfc822", b"\x00",
    b"Content-Disposition: a; name*0*=utf-8'';",
)  # fmt: skip


class ScriptMaker:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _values(self, kind: str) -> str:
        if kind == "number":
            return self._random.choice(["0", "1", "2", "10K", "9999999999"])
        strings = [self._random.choice(_STRINGS) for _ in range(self._random.randint(1, 3))]
        return strings[0] if kind == "string" or self._random.random() < 0.5 else f"[{', '.join(strings)}]"

    def _tags(self, spec: Spec) -> str:
        chosen = {
            tag.group or tag.name: tag
            for tag in self._random.sample(spec.tags, min(len(spec.tags), self._random.randint(0, 3)))
        }
        return "".join(
            f" :{tag.name}" + (f" {self._values(tag.takes)}" if tag.takes else "") for tag in chosen.values()
        )

    def _phrase(self, spec: Spec, depth: int) -> str:
        arguments = spec.arguments
        if spec.optional and self._random.random() < 0.5:
            arguments = arguments[1:] if spec.optional > 0 else arguments[:-1]
        out = spec.name + self._tags(spec) + "".join(f" {self._values(kind)}" for kind in arguments)
        if spec.tests == 1:
            out += f" {self._test(depth - 1)}"
        elif spec.tests < 0:
            out += f" ({', '.join(self._test(depth - 1) for _ in range(self._random.randint(1, 3)))})"
        return (
            out
            if spec.is_test
            else f"{out} {{ {self.block(depth - 1)} }}\n"
            if spec.has_block
            else f"{out};\n"
        )

    def _pick(self, specs: Sequence[Spec], depth: int) -> Spec:
        return self._random.choice(
            [spec for spec in specs if depth > 0 or not (spec.has_block or spec.tests)]
        )

    def _test(self, depth: int) -> str:
        return self._phrase(self._pick(_TESTS, depth), depth)

    def block(self, depth: int = 3) -> str:
        return "".join(
            self._phrase(self._pick(_COMMANDS, depth), depth) for _ in range(self._random.randint(0, 4))
        )

    def message(self) -> bytes:
        pieces = (*_FIELDS, b"--b", b"--b--", b"", b"text", b"=E4")
        head = [self._random.choice(_FIELDS) for _ in range(self._random.randint(0, 8))]
        return b"\r\n".join(
            [*head, b"", *(self._random.choice(pieces) for _ in range(self._random.randint(0, 15)))]
        )
