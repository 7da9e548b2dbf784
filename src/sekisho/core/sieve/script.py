"""A script that was understood: nodes that the machine runs, and the table of what may be in one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sekisho.core.sieve.comparators import DEFAULT_COMPARATOR, Comparator
from sekisho.core.sieve.templates import Template

Text = str | Template
Value = bool | int | Text | tuple[Text, ...]
ArgumentKind = Literal["string", "strings", "number"]
MatchKind = Literal["is", "contains", "matches", "value", "count"]


class Tag(NamedTuple):
    """`takes`: the kind of its value, "" for none. Of one `group` only one may stand. `capability`: what must
    be required."""

    name: str
    takes: ArgumentKind | Literal[""] = ""
    group: str = ""
    capability: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """How values are compared with keys (RFC 5228 §2.7; RFC 5231 §4)."""

    kind: MatchKind = "is"
    comparator: Comparator = DEFAULT_COMPARATOR
    relation: str = ""


DEFAULT_MATCH = Match()


@dataclass(slots=True, kw_only=True)
class Node:
    """A command or a test. `included`: the script that an `include` found, or a compiled thing of its own
    that a command keeps."""

    spec: "Spec"
    line: int
    tags: dict[str, Value] = field(default_factory=dict)
    arguments: tuple[Value, ...] = ()
    tests: "list[Node]" = field(default_factory=list)
    block: "list[Node]" = field(default_factory=list)
    match: Match = DEFAULT_MATCH
    included: "Script | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A command or a test of the language.

    `arguments`: kinds of what stands behind the tags; the first `optional` may be left out, of a negative
    number the last. `capability`: names of what must be required. `tests`: how many it takes, -1 for a list.
    `run`: what it does; a test gives its truth. `check`: looks at the node when it is compiled.
    """

    name: str
    is_test: bool = False
    capability: str = ""
    arguments: tuple[ArgumentKind, ...] = ()
    optional: int = 0
    tags: tuple[Tag, ...] = ()
    tests: int = 0
    has_block: bool = False
    run: Callable[[Any, Node], bool | None]  # of a machine
    check: Callable[[Any, Node], None] | None = None  # of a compiler


@dataclass(frozen=True, slots=True)
class Language:
    """What scripts may say: specs by (is it a test, name), and the capabilities that `require` may name."""

    specs: Mapping[tuple[bool, str], Spec]
    capabilities: frozenset[str]

    def extended(self, specs: Iterable[Spec], capabilities: Iterable[str] = ()) -> "Language":
        more = {(spec.is_test, spec.name): spec for spec in specs}
        return Language({**self.specs, **more}, self.capabilities | frozenset(capabilities))

    def without(self, *capabilities: str) -> "Language":
        return Language(self.specs, self.capabilities - frozenset(capabilities))


@dataclass(slots=True, kw_only=True)
class Script:
    """`name`: of an included one, "" for the script itself. `required`: its capabilities; `needs`: with those
    of what it includes."""

    nodes: list[Node]
    required: frozenset[str] = frozenset()
    name: str = ""
    location: str = ""
    needs: frozenset[str] = frozenset()


COMPARATOR_TAG = Tag("comparator", "string", "comparator")
MATCH_TAGS = (
    COMPARATOR_TAG,
    Tag("is", "", "match"),
    Tag("contains", "", "match"),
    Tag("matches", "", "match"),
    Tag("value", "string", "match", "relational"),
    Tag("count", "string", "match", "relational"),
)
PART_TAGS = (
    Tag("all", "", "part"),
    Tag("localpart", "", "part"),
    Tag("domain", "", "part"),
    Tag("user", "", "part", "subaddress"),
    Tag("detail", "", "part", "subaddress"),
)
INDEX_TAGS = (Tag("index", "number", "index", "index"), Tag("last", "", "last", "index"))
MIME_TAGS = (Tag("mime", "", "mime", "mime"), Tag("anychild", "", "anychild", "mime"))
