"""The shape of a script (RFC 5228 §8.2): commands with arguments, tests and blocks. What they mean is the
compiler's."""

from dataclasses import dataclass, field

from sekisho.core.sieve.faults import ScriptFault, SieveError
from sekisho.core.sieve.lexer import Lexeme, read_lexemes
from sekisho.core.sieve.limits import MAX_FAULTS, SieveLimits


@dataclass(frozen=True, slots=True)
class Argument:
    """`value`: a tag's name, a number, a string, or a tuple of strings."""

    value: str | int | tuple[str, ...]
    line: int
    is_tag: bool = False


@dataclass(slots=True, kw_only=True)
class Phrase:
    """A command or a test as it was written. `has_list`: its tests stood in parentheses; `block` None: it has
    none."""

    name: str
    line: int
    arguments: list[Argument] = field(default_factory=list)
    tests: "list[Phrase]" = field(default_factory=list)
    has_list: bool = False
    block: "list[Phrase] | None" = None


class _Skip(Exception):
    """This command cannot be read."""


def parse(
    octets: bytes, limits: SieveLimits, faults: list[ScriptFault], before: int = 0
) -> tuple[list[Phrase], int]:
    """The commands of the script, and how many commands and tests were read with the `before` of scripts
    around it; what is wrong is appended to `faults`, and reading goes on behind it."""
    try:
        lexemes = read_lexemes(octets, limits)
    except SieveError as error:
        faults.extend(error.faults)
        return [], before
    parser = _Parser(lexemes, limits, faults, before)
    return parser.commands(), parser.count


class _Parser:
    def __init__(
        self, lexemes: list[Lexeme], limits: SieveLimits, faults: list[ScriptFault], before: int
    ) -> None:
        self._lexemes = lexemes
        self._next = 0
        self._limits = limits
        self._faults = faults
        self._depth = 0
        self.count = before

    def _peek(self) -> Lexeme:
        return self._lexemes[self._next]

    def _take(self) -> Lexeme:
        lexeme = self._lexemes[self._next]
        if lexeme.kind != "end":
            self._next += 1
        return lexeme

    def _is(self, special: str) -> bool:
        lexeme = self._peek()
        return lexeme.kind == "special" and lexeme.text == special

    def _fail(self, line: int, text: str, **values: object) -> _Skip:
        self._faults.append(ScriptFault(line, text, values))
        return _Skip()

    def _shown(self) -> str:
        lexeme = self._peek()
        if lexeme.kind == "end":
            return "the end of the script"
        return (
            f'"{lexeme.text[:40]}"'
            if lexeme.kind == "string"
            else f":{lexeme.text}"
            if lexeme.kind == "tag"
            else lexeme.text
        )

    def commands(self) -> list[Phrase]:
        found: list[Phrase] = []
        while self._peek().kind != "end" and len(self._faults) < MAX_FAULTS:
            if self._is("}"):
                self._faults.append(
                    ScriptFault(
                        self._take().line, "This }} closes no block. Remove it, or open the block with {{."
                    )
                )
                continue
            self._statement(found)
        return found

    def _statement(self, found: list[Phrase]) -> None:
        depth = self._depth
        try:
            found.append(self._command())
        except _Skip:
            self._depth = depth
            self._recover()

    def _recover(self) -> None:
        """Behind the command that could not be read: its semicolon, or its block."""
        depth = 0
        while (lexeme := self._peek()).kind != "end":
            if lexeme.kind == "special":
                if lexeme.text == "}" and depth == 0:
                    return
                depth += (lexeme.text == "{") - (lexeme.text == "}")
                if depth == 0 and lexeme.text in ";}":
                    self._take()
                    return
            self._take()

    def _enter(self, line: int) -> None:
        self._depth += 1
        if self._depth > self._limits.nesting:
            raise self._fail(
                line,
                "Blocks or tests are nested deeper than {limit}. Make them flatter.",
                limit=self._limits.nesting,
            )

    def _command(self) -> Phrase:
        phrase = self._phrase()
        if self._is(";"):
            self._take()
            return phrase
        if not self._is("{"):
            raise self._fail(
                phrase.line,
                "After {name} a semicolon or a block is expected, not {found}.",
                name=phrase.name,
                found=self._shown(),
            )
        line = self._take().line
        self._enter(line)
        block = phrase.block = list[Phrase]()
        while not self._is("}"):
            if self._peek().kind == "end":
                raise self._fail(line, "The block that begins here is never closed. End it with }}.")
            if len(self._faults) >= MAX_FAULTS:
                break
            self._statement(block)
        self._take()
        self._depth -= 1
        return phrase

    def _phrase(self, *, is_test: bool = False) -> Phrase:
        lexeme = self._peek()
        if lexeme.kind != "identifier":
            raise self._fail(
                lexeme.line,
                "A test is expected here, not {found}."
                if is_test
                else "A command is expected here, not {found}.",
                found=self._shown(),
            )
        self._take()
        self.count += 1
        if self.count > self._limits.commands:
            self._next = len(self._lexemes) - 1
            raise self._fail(
                lexeme.line,
                "The script has more than {limit} commands and tests.",
                limit=self._limits.commands,
            )
        phrase = Phrase(name=lexeme.text, line=lexeme.line)
        while (argument := self._argument()) is not None:
            phrase.arguments.append(argument)
        if self._peek().kind == "identifier":
            self._enter(lexeme.line)
            phrase.tests.append(self._phrase(is_test=True))
        elif self._is("("):
            self._enter(lexeme.line)
            self._test_list(phrase)
        else:
            return phrase
        self._depth -= 1
        return phrase

    def _test_list(self, phrase: Phrase) -> None:
        phrase.has_list = True
        self._take()
        while True:
            phrase.tests.append(self._phrase(is_test=True))
            lexeme = self._peek()
            if self._is(","):
                self._take()
            elif self._is(")"):
                self._take()
                return
            else:
                raise self._fail(
                    lexeme.line,
                    "A comma or ) is expected in a list of tests, not {found}.",
                    found=self._shown(),
                )

    def _argument(self) -> Argument | None:
        lexeme = self._peek()
        if lexeme.kind == "tag":
            self._take()
            return Argument(lexeme.text, lexeme.line, is_tag=True)
        if lexeme.kind == "number":
            self._take()
            return Argument(lexeme.number, lexeme.line)
        if lexeme.kind == "string":
            self._take()
            return Argument(lexeme.text, lexeme.line)
        if self._is("["):
            self._take()
            return Argument(self._strings(), lexeme.line)
        return None

    def _strings(self) -> tuple[str, ...]:
        found: list[str] = []
        while True:
            lexeme = self._peek()
            if lexeme.kind != "string":
                raise self._fail(
                    lexeme.line,
                    "A string is expected in a list of strings, not {found}.",
                    found=self._shown(),
                )
            found.append(self._take().text)
            if self._is("]"):
                self._take()
                return tuple(found)
            if not self._is(","):
                raise self._fail(
                    lexeme.line,
                    "A comma or ] is expected in a list of strings, not {found}.",
                    found=self._shown(),
                )
            self._take()
