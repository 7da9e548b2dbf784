"""Runs a script over a message within its budgets, and gives actions (RFC 5228 §2.10). Nothing is done
here."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from sekisho.core.sieve.actions import (
    Action,
    Discard,
    FileInto,
    Keep,
    Notify,
    Redirect,
    Reject,
    Result,
    Vacation,
)
from sekisho.core.sieve.comparators import Comparator
from sekisho.core.sieve.faults import ScriptFault, SieveRunError
from sekisho.core.sieve.fields import FieldList
from sekisho.core.sieve.limits import DEFAULT_LIMITS, SieveLimits
from sekisho.core.sieve.patterns import cost_of, fit, read_pattern, search_cost, taken
from sekisho.core.sieve.script import Match, Node, Script, Value
from sekisho.core.sieve.situation import Situation
from sekisho.core.sieve.templates import MAX_MATCH_VARIABLE, Template

T = TypeVar("T")
_CHARACTERS_PER_UNIT = 1024
_LONG = 4096
_FOLDS = 16


class Stopped(Exception):
    """`stop` (RFC 5228 §3.3)."""


class Returned(Exception):
    """`return` out of an included script (RFC 6609 §3.3)."""


class ScriptBroken(Exception):
    """`break` out of a loop (RFC 5703 §3.2). `name` "": the innermost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Scope:
    """The variables of one script; those in `shared` are the same in all (RFC 6609 §3.4)."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.shared: set[str] = set()


def run_script(script: Script, situation: Situation, limits: SieveLimits = DEFAULT_LIMITS) -> Result:
    """Never raises for what a script or a message holds: a script that fails keeps the message, and `error`
    tells why."""
    return Machine(situation, limits).run(script)


class Machine:
    """The state of one run. Commands and tests of the language act on it."""

    def __init__(self, situation: Situation, limits: SieveLimits = DEFAULT_LIMITS) -> None:
        self.situation = situation
        self.limits = limits
        self.result = Result()
        self.fields = FieldList(situation.message.header)
        self.keeps = True  # the implicit keep was not cancelled
        self.is_tracking = True  # whether :matches sets match variables
        self.flags: tuple[str, ...] = ()
        self.scopes = [Scope()]
        self.shared: dict[str, str] = {}
        self.matched: list[str] = []
        self.part_stack: list[tuple[int, str]] = []  # parts that loops stand at, with the names of the loops
        self.once: set[tuple[str, str]] = set()
        self.scripts: list[Script] = []
        self.namespaces: dict[str, Callable[[str], str]] = {"global": self._shared_value}
        self.line = 0
        self.decoded: dict[object, str] = {}  # texts of bodies, which are dear
        self.has_answered = False  # vacation ran
        self._folds: dict[tuple[str, str], str] = {}

    # --- running

    def run(self, script: Script) -> Result:
        try:
            self.run_script(script)
        except (Stopped, Returned):
            pass
        except SieveRunError as error:
            self.result.error = error.fault
        return self.finish()

    def run_script(self, script: Script) -> None:
        self.scripts.append(script)
        try:
            self.run_nodes(script.nodes)
        finally:
            self.scripts.pop()

    def finish(self) -> Result:
        """RFC 5228 §2.10.6: where a script fails, the message is kept, and nothing else done."""
        result = self.result
        if result.error is not None:
            result.actions = [Keep(is_implicit=True)]
            result.seen.clear()
        elif self.keeps:
            self._insert_keep(Keep(flags=self.flags, is_implicit=True, edits=tuple(self.fields.edits)))
        return result

    def _insert_keep(self, keep: Keep) -> None:
        if not any(isinstance(action, Keep) for action in self.result.actions):
            self.result.actions.append(keep)

    def run_nodes(self, nodes: list[Node]) -> None:
        chosen = False
        for node in nodes:
            self.line = node.line
            name = node.spec.name
            if name in ("if", "elsif", "else"):
                # RFC 5228 §3.1: the first branch whose test holds.
                if name == "if":
                    chosen = False
                if not chosen and (name == "else" or self.test(node.tests[0])):
                    chosen = True
                    self.run_nodes(node.block)
                continue
            self.spend()
            node.spec.run(self, node)

    def test(self, node: Node) -> bool:
        self.spend()
        self.line = node.line
        return bool(node.spec.run(self, node))

    # --- budgets and troubles

    def spend(self, characters: int = 0) -> None:
        self.result.work += 1 + characters // _CHARACTERS_PER_UNIT
        if self.result.work > self.limits.work:
            self.fail("The script exceeded the work allowed for one run. Make it shorter, or compare less.")

    def fail(self, text: str, **values: object) -> None:
        """Stop the script here (RFC 5228 §2.10.6)."""
        raise SieveRunError(self._fault(text, values))

    def warn(self, text: str, **values: object) -> None:
        if len(self.result.warnings) < self.limits.actions:
            self.result.warnings.append(self._fault(text, values))

    def _fault(self, text: str, values: dict[str, object]) -> ScriptFault:
        shown = {name: value[:60] if isinstance(value, str) else value for name, value in values.items()}
        return ScriptFault(self.line, text, shown, self.scripts[-1].name if self.scripts else "")

    # --- values

    def text(self, value: Value) -> str:
        if isinstance(value, Template):
            filled = value.fill(self.variable, self.limits.string_octets)
            self.spend(len(filled))
            return filled
        return str(value)

    def texts(self, value: Value) -> list[str]:
        return [self.text(each) for each in value] if isinstance(value, tuple) else [self.text(value)]

    def tag(self, node: Node, name: str) -> str | None:
        """A tag's string."""
        value = node.tags.get(name)
        return None if value is None or isinstance(value, bool) else self.text(value)

    def number(self, node: Node, name: str) -> int | None:
        value = node.tags.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    def variable(self, name: str) -> str:
        """RFC 5229 §3: what was never set is empty."""
        if name.isdigit():
            number = int(name)
            return self.matched[number] if number < len(self.matched) else ""
        space, _, last = name.rpartition(".")
        if space:
            return self.namespaces[space](last) if space in self.namespaces else ""
        return self._shared_value(name) if name in self.scope.shared else self.scope.values.get(name, "")

    def _shared_value(self, name: str) -> str:
        return self.shared.get(name, "")

    def set_variable(self, name: str, value: str) -> None:
        name = name.lower()
        space, _, last = name.rpartition(".")
        shared = space == "global" or name in self.scope.shared
        values = self.shared if shared else self.scope.values
        if last not in values and len(values) >= self.limits.variables:
            self.fail("The script has more than {limit} variables.", limit=self.limits.variables)
        values[last] = value[: self.limits.variable_characters]

    # --- comparing

    def matches(
        self, match: Match, values: Iterable[str], keys: list[str], *, count: int | None = None
    ) -> bool:
        """RFC 5228 §2.7: does any value match any key? `count`: what :count compares, if not the number of
        the values."""
        if match.kind == "count":
            number = sum(1 for _ in values) if count is None else count
            return any(self._compare(match, str(number), key) for key in keys)
        return any(self._matches_one(match, value, key) for value in values for key in keys)

    def _matches_one(self, match: Match, value: str, key: str) -> bool:
        if match.kind == "value":
            self.spend(len(value) + len(key))
            return self._compare(match, value, key)
        folded, sought = self._folded(match.comparator, value), self._folded(match.comparator, key)
        if match.kind == "matches":
            return self._fits(match.comparator, value, folded, sought)
        if match.kind == "contains":
            self.spend(search_cost(sought, len(folded)))
            return sought in folded
        self.spend(len(key))
        return sought == folded

    def _folded(self, comparator: Comparator, text: str) -> str:
        """Long texts are folded once: bodies are compared with many keys."""
        if len(text) < _LONG:
            return comparator.fold(text)
        key = (comparator.name, text)
        if key not in self._folds:
            self.spend(len(text) * comparator.price)
            if len(self._folds) >= _FOLDS:
                self._folds.clear()
            self._folds[key] = comparator.fold(text)
        return self._folds[key]

    def _fits(self, comparator: Comparator, value: str, folded: str, pattern: str) -> bool:
        runs = read_pattern(pattern)
        self.spend(len(pattern) + cost_of(runs, len(folded)))
        spans = fit(runs, folded)
        if spans is None:
            return False
        if self.is_tracking:
            # RFC 5229 §3.2: a match replaces all of them; ${0} is the whole value.
            limit = self.limits.variable_characters
            found = taken(spans[:MAX_MATCH_VARIABLE], value, folded, comparator)
            self.matched = [value[:limit], *(each[:limit] for each in found)]
        return True

    def _compare(self, match: Match, value: str, key: str) -> bool:
        """RFC 5231 §4."""
        one, two = match.comparator.order(value), match.comparator.order(key)
        return bool(
            {
                "gt": one > two,
                "ge": one >= two,
                "lt": one < two,
                "le": one <= two,
                "eq": one == two,
                "ne": one != two,
            }[match.relation]
        )

    # --- actions

    def do(self, action: Action, *, cancels_keep: bool = True) -> None:
        """RFC 5228 §2.10.3: what was asked for twice is done once; what excludes each other stops the
        script."""
        actions = self.result.actions
        self._check_conflicts(action)
        if cancels_keep:
            self.keeps = False
        same = next((place for place, each in enumerate(actions) if _is_same(each, action)), None)
        if same is not None:
            actions[same] = action if isinstance(action, Keep | FileInto) else actions[same]
            return
        if len(actions) >= self.limits.actions:
            self.fail("The script asks for more than {limit} actions.", limit=self.limits.actions)
        if isinstance(action, Redirect) and len(self.result.having(Redirect)) >= self.limits.redirects:
            self.fail(
                "The script redirects a message to more than {limit} addresses.", limit=self.limits.redirects
            )
        actions.append(action)

    def _check_conflicts(self, action: Action) -> None:
        """RFC 5429 §2.5, RFC 5230 §4.7."""
        result = self.result
        delivers = (Keep, FileInto, Redirect)
        if isinstance(action, Reject):
            if result.having(Reject):
                self.fail("A message cannot be rejected twice.")
            if any(isinstance(each, (*delivers, Vacation)) for each in result.actions):
                self.fail("A message that is kept, filed, redirected or answered cannot be rejected too.")
        elif isinstance(action, (*delivers, Vacation)) and result.having(Reject):
            self.fail("A message that is rejected cannot be kept, filed, redirected or answered too.")


def _is_same(one: Action, two: Action) -> bool:
    if isinstance(one, FileInto) and isinstance(two, FileInto):
        return (one.mailbox, one.special_use) == (two.mailbox, two.special_use)
    if isinstance(one, Keep | FileInto) and isinstance(two, Keep | FileInto):
        return all(isinstance(each, Keep) or each.mailbox.upper() == "INBOX" for each in (one, two))
    if isinstance(one, Redirect) and isinstance(two, Redirect):
        return one.address.lower() == two.address.lower()
    return isinstance(one, Discard | Notify) and one == two
