"""From what is written to what can be run: every word is checked before a message comes (RFC 5228
§2.10.3)."""

import re
from collections.abc import Callable

from sekisho.core.sieve.comparators import BUILT_IN_COMPARATORS, COMPARATORS, DEFAULT_COMPARATOR
from sekisho.core.sieve.faults import ScriptFault, SieveError
from sekisho.core.sieve.grammar import Argument, Phrase, parse
from sekisho.core.sieve.limits import DEFAULT_LIMITS, MAX_FAULTS, SieveLimits
from sekisho.core.sieve.script import Language, Match, MatchKind, Node, Script, Spec, Tag, Text, Value
from sekisho.core.sieve.templates import MAX_MATCH_VARIABLE, Template, decode_characters, read_template

FindScript = Callable[[str, str], bytes | None]  # (location, name) -> the octets of a script to include
RELATIONS = frozenset(("gt", "ge", "lt", "le", "eq", "ne"))  # RFC 5231 §4
_MATCH_KINDS: tuple[MatchKind, ...] = ("is", "contains", "matches", "value", "count")
_IMPLIED = {"vacation-seconds": "vacation"}  # RFC 6131 §2
_SHOWN = 60
FIELD_NAME = re.compile(r"[!-9;-~]{1,200}\Z")  # RFC 5322 §3.6.8


class Includes:
    """What is known while scripts include each other: where to find them, which are open, which were
    compiled."""

    def __init__(self, find: FindScript | None, *, must_exist: bool) -> None:
        self.find = find
        self.must_exist = must_exist
        self.open: list[tuple[str, str]] = []
        self.known: dict[tuple[str, str], Script | None] = {}
        self.commands = 0


def compile_script(
    octets: bytes,
    language: Language,
    limits: SieveLimits = DEFAULT_LIMITS,
    find: FindScript | None = None,
    *,
    includes_must_exist: bool = False,
) -> Script:
    """The script, ready to run. Raises `SieveError` with every fault that was found.

    `find`: gives the scripts that it includes. One that is not there is a fault only if it runs, so that
    scripts may be stored in any order (RFC 6609 §3.2), unless `includes_must_exist`.
    """
    compiler = Compiler(language, limits, Includes(find, must_exist=includes_must_exist))
    script = compiler.compile(octets)
    if compiler.faults:
        raise SieveError(sorted(compiler.faults, key=lambda fault: (fault.script, fault.line)))
    script.needs = script.required.union(
        *(each.required for each in compiler.includes.known.values() if each is not None)
    )
    return script


class Compiler:
    """Of one script. What a `check` of the language needs to know is public."""

    def __init__(
        self, language: Language, limits: SieveLimits, includes: Includes, name: str = "", location: str = ""
    ) -> None:
        self.limits = limits
        self.includes = includes
        self.faults: list[ScriptFault] = []
        self.required: set[str] = set()
        self.variables: set[str] = set()
        self.globals: set[str] = set()
        self.loops: list[str] = []
        self._language = language
        self._name = name
        self._location = location

    def fault(self, line: int, text: str, **values: object) -> None:
        if len(self.faults) < MAX_FAULTS:
            shown = {
                name: value[:_SHOWN] if isinstance(value, str) else value for name, value in values.items()
            }
            self.faults.append(ScriptFault(line, text, shown, self._name))

    def compile(self, octets: bytes) -> Script:
        parsed: list[ScriptFault] = []
        phrases, self.includes.commands = parse(octets, self.limits, parsed, self.includes.commands)
        self.faults += [ScriptFault(fault.line, fault.text, fault.values, self._name) for fault in parsed]
        nodes: list[Node] = []
        may_require = True
        for position, phrase in enumerate(phrases):
            if phrase.name == "require":
                if not may_require:
                    self.fault(
                        phrase.line,
                        "require must come before other commands. Put it at the top of the script.",
                    )  # RFC 5228 §3.2
                self._require(phrase)
                continue
            may_require = False
            self._command(phrase, phrases[position - 1] if position else None, nodes)
        if len(self.variables) > self.limits.variables:
            self.fault(1, "The script has more than {limit} variables.", limit=self.limits.variables)
        return Script(
            nodes=nodes, required=frozenset(self.required), name=self._name, location=self._location
        )

    # --- require

    def _require(self, phrase: Phrase) -> None:
        if (
            len(phrase.arguments) != 1
            or phrase.arguments[0].is_tag
            or isinstance(phrase.arguments[0].value, int)
            or phrase.tests
        ):
            self.fault(phrase.line, 'require takes one list of strings: require ["fileinto", "copy"];')
            return
        if phrase.block is not None:
            self.fault(phrase.line, "{name} takes no block. End it with a semicolon.", name=phrase.name)
        value = phrase.arguments[0].value
        for name in value if isinstance(value, tuple) else (value,):
            if self.is_capability(name):
                self.required.add(name)
                if name in _IMPLIED:
                    self.required.add(_IMPLIED[name])
            else:
                self.fault(
                    phrase.line,
                    'The capability "{name}" is not supported. Remove it from require, and what needs it.',
                    name=name,
                )

    def is_capability(self, name: str) -> bool:
        if name.startswith("comparator-"):
            return name[11:] in COMPARATORS
        return name in self._language.capabilities

    # --- commands and tests

    def block(self, phrases: list[Phrase]) -> list[Node]:
        nodes: list[Node] = []
        for position, phrase in enumerate(phrases):
            if phrase.name == "require":
                self.fault(
                    phrase.line, "require must come before other commands. Put it at the top of the script."
                )
                continue
            self._command(phrase, phrases[position - 1] if position else None, nodes)
        return nodes

    def _command(self, phrase: Phrase, before: Phrase | None, nodes: list[Node]) -> None:
        spec = self._spec(phrase, is_test=False)
        # RFC 5228 §3.1: elsif and else only behind if and elsif.
        if phrase.name in ("elsif", "else") and (before is None or before.name not in ("if", "elsif")):
            self.fault(phrase.line, "{name} must follow an if.", name=phrase.name)
        node = self._node(spec, phrase) if spec is not None else None
        if spec is None and phrase.block is not None:
            self.block(phrase.block)
        if node is not None:
            nodes.append(node)

    def _spec(self, phrase: Phrase, *, is_test: bool) -> Spec | None:
        spec = self._language.specs.get((is_test, phrase.name))
        if spec is None:
            if (not is_test, phrase.name) in self._language.specs:
                self.fault(
                    phrase.line,
                    "{name} is a command, not a test."
                    if is_test
                    else "{name} is a test, not a command. Put it behind if.",
                    name=phrase.name,
                )
            elif is_test:
                self.fault(phrase.line, "There is no test {name}. Is it spelled right?", name=phrase.name)
            else:
                self.fault(phrase.line, "There is no command {name}. Is it spelled right?", name=phrase.name)
            return None
        if spec.capability and not self._has(spec.capability):
            self.fault(
                phrase.line,
                '{name} needs require "{capability}" at the top of the script.',
                name=phrase.name,
                capability=spec.capability,
            )
            return None
        return spec

    def _has(self, capability: str) -> bool:
        return all(each in self.required for each in capability.split())

    def _node(self, spec: Spec, phrase: Phrase) -> Node | None:
        before = len(self.faults)
        node = Node(spec=spec, line=phrase.line)
        positional = self._tags(spec, phrase, node)
        if positional is not None:
            self._arguments(spec, phrase, positional, node)
        self._tests(spec, phrase, node)
        if len(self.faults) == before:
            node.match = self._match(node)
            self._check_dependants(spec, node)
            if spec.check is not None:
                spec.check(self, node)
        if spec.has_block and phrase.block is not None:
            node.block = self.block(phrase.block)
            if spec.name == "foreverypart":
                self.loops.pop()
        elif spec.has_block:
            self.fault(phrase.line, "{name} needs a block in braces.", name=phrase.name)
        elif phrase.block is not None:
            self.fault(phrase.line, "{name} takes no block. End it with a semicolon.", name=phrase.name)
        return node

    def _tags(self, spec: Spec, phrase: Phrase, node: Node) -> list[Argument] | None:
        if spec.name == "foreverypart":
            self.loops.append("")
        tags = {tag.name: tag for tag in spec.tags}
        groups: set[str] = set()
        positional: list[Argument] = []
        arguments = iter(phrase.arguments)
        for argument in arguments:
            if not argument.is_tag:
                positional.append(argument)
                continue
            if positional:
                self.fault(
                    argument.line,
                    ":{tag} must come before the other arguments.",
                    tag=argument.value,
                )  # §2.6.2
                return None
            tag = self._tag(spec, tags.get(str(argument.value)), argument, groups)
            if tag is None:
                return None
            if not tag.takes:
                node.tags[tag.name] = True
                continue
            value = next(arguments, None)
            converted = None if value is None or value.is_tag else self._converted(value, tag.takes)
            if converted is None:
                self.fault(
                    argument.line, ":{tag} must be followed by a {kind}.", tag=tag.name, kind=tag.takes
                )
                return None
            node.tags[tag.name] = converted
        return positional

    def _tag(self, spec: Spec, tag: Tag | None, argument: Argument, groups: set[str]) -> Tag | None:
        if tag is None:
            self.fault(argument.line, "{name} has no argument :{tag}.", name=spec.name, tag=argument.value)
            return None
        if tag.capability and not self._has(tag.capability):
            self.fault(
                argument.line,
                ':{tag} needs require "{capability}" at the top of the script.',
                tag=tag.name,
                capability=tag.capability,
            )
            return None
        group = tag.group or tag.name
        if group in groups:
            self.fault(
                argument.line,
                ":{tag} excludes another argument of {name}. Keep one of them.",
                tag=tag.name,
                name=spec.name,
            )
            return None
        groups.add(group)
        return tag

    def _arguments(self, spec: Spec, phrase: Phrase, positional: list[Argument], node: Node) -> None:
        missing = len(spec.arguments) - len(positional)
        if missing > abs(spec.optional):
            self.fault(
                phrase.line,
                "{name} takes {count} arguments. Some are missing.",
                name=spec.name,
                count=len(spec.arguments),
            )
            return
        if missing < 0:
            self.fault(
                phrase.line,
                "{name} takes {count} arguments. There are too many.",
                name=spec.name,
                count=len(spec.arguments),
            )
            return
        values: list[Value] = []
        kinds = spec.arguments[missing:] if spec.optional >= 0 else spec.arguments[: len(positional)]
        for place, (kind, argument) in enumerate(zip(kinds, positional, strict=True)):
            value = self._converted(argument, kind)
            if value is None:
                self.fault(
                    argument.line,
                    "Argument {place} of {name} must be a {kind}.",
                    place=place + 1,
                    name=spec.name,
                    kind=kind,
                )
                return
            values.append(value)
        node.arguments = tuple(values)

    def _tests(self, spec: Spec, phrase: Phrase, node: Node) -> None:
        if spec.tests == 0 and phrase.tests:
            self.fault(phrase.line, "{name} takes no test.", name=spec.name)
        elif spec.tests == 1 and (len(phrase.tests) != 1 or phrase.has_list):
            self.fault(phrase.line, "{name} takes one test, without parentheses.", name=spec.name)
        elif spec.tests < 0 and not phrase.has_list:
            self.fault(phrase.line, "{name} takes a list of tests in parentheses.", name=spec.name)
        for test in phrase.tests:
            inner = self._spec(test, is_test=True)
            compiled = self._node(inner, test) if inner is not None else None
            if compiled is not None:
                node.tests.append(compiled)

    def _check_dependants(self, spec: Spec, node: Node) -> None:
        """Tags that mean nothing alone (RFC 5260 §6, RFC 5703 §4)."""
        known = {tag.name for tag in spec.tags}
        if "index" in known and "last" in node.tags and "index" not in node.tags:
            self.fault(node.line, ":last needs :index.")
        for name in ("anychild", "type", "subtype", "contenttype", "param"):
            if "mime" in known and name in node.tags and "mime" not in node.tags:
                self.fault(node.line, ":{tag} needs :mime.", tag=name)

    # --- values

    def _converted(self, argument: Argument, kind: str) -> Value | None:
        value = argument.value
        if kind == "number":
            return value if isinstance(value, int) else None
        if isinstance(value, int):
            return None
        if kind == "strings":
            return tuple(
                self.text(each, argument.line) for each in (value if isinstance(value, tuple) else (value,))
            )
        return None if isinstance(value, tuple) else self.text(value, argument.line)

    def text(self, text: str, line: int) -> Text:
        if "encoded-character" in self.required:
            try:
                text = decode_characters(text)
            except ValueError:
                self.fault(line, "The character ${{unicode:…}} here is not a Unicode character.")
        if "variables" not in self.required:
            return text
        template = read_template(text)
        if isinstance(template, Template):
            for name in template.names:
                if name.isdigit() and int(name) > MAX_MATCH_VARIABLE:
                    self.fault(
                        line,
                        "The match variable {name} is too high. The highest is {limit}.",
                        name=name,
                        limit=MAX_MATCH_VARIABLE,
                    )
                elif "." in name and not self._is_namespace(name):
                    self.fault(
                        line, "The namespace of the variable {name} is not supported.", name=name
                    )  # RFC 5229 §3
        return template

    def _is_namespace(self, name: str) -> bool:
        space = name.rpartition(".")[0]
        return (
            space == "global" and "include" in self.required
        ) or f"namespace {space}" in self._language.capabilities

    def constant(self, value: Value) -> str | None:
        """The string, if it is known already."""
        return value if isinstance(value, str) else None

    def _match(self, node: Node) -> Match:
        comparator = DEFAULT_COMPARATOR
        if "comparator" in node.tags:
            name = self.constant(node.tags["comparator"])
            if name not in COMPARATORS:
                self.fault(node.line, 'The comparator "{name}" is not supported.', name=str(name))
            elif name not in BUILT_IN_COMPARATORS and f"comparator-{name}" not in self.required:
                self.fault(
                    node.line,
                    'The comparator {name} needs require "comparator-{name}" at the top of the script.',
                    name=name,
                )
            else:
                comparator = COMPARATORS[name]
        kind: MatchKind = next((each for each in _MATCH_KINDS if each in node.tags), "is")
        relation = ""
        if kind in ("value", "count"):
            relation = (self.constant(node.tags[kind]) or "").lower()
            if relation not in RELATIONS:
                self.fault(
                    node.line,
                    ':{tag} must be followed by one of "gt", "ge", "lt", "le", "eq", "ne".',
                    tag=kind,
                )
        elif kind in ("contains", "matches") and not comparator.substrings:
            self.fault(
                node.line, "The comparator {name} cannot be used with :{tag}.", name=comparator.name, tag=kind
            )  # RFC 4790 §9.1
        return Match(kind, comparator, relation)


def included_script(
    compiler: Compiler, location: str, name: str, line: int, *, optional: bool
) -> Script | None:
    """The script that an `include` names, compiled once; None if it is not there (RFC 6609 §3.2)."""
    includes, limits, key = compiler.includes, compiler.limits, (location, name)
    if key in includes.open or key == (compiler._location, compiler._name):
        compiler.fault(line, 'The script "{name}" includes itself, perhaps through others.', name=name)
        return None
    if key in includes.known:
        return includes.known[key]
    if len(includes.open) >= limits.include_depth or len(includes.known) >= limits.includes:
        compiler.fault(
            line,
            "Scripts include each other more than {depth} levels deep, or more than {count} times.",
            depth=limits.include_depth,
            count=limits.includes,
        )
        return None
    octets = includes.find(location, name) if includes.find is not None else None
    if octets is None:
        if includes.must_exist and not optional:
            compiler.fault(line, 'There is no script "{name}" to include.', name=name)
        return None
    inner = Compiler(compiler._language, limits, includes, name, location)
    includes.open.append(key)
    script = inner.compile(octets)
    includes.open.pop()
    compiler.faults += inner.faults
    includes.known[key] = script
    return script
