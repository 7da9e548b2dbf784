"""`why` has words for everything that is refused: each rule, each kind of entry that the ledger keeps."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from sekisho.adapters.keeping import KeepingJournal
from sekisho.admin.why import messages, others
from sekisho.admin.why.sentences import BANS, LOGIN_CAUSES, RULES, STATUSES, VALUES
from sekisho.admin.why.story import Told
from sekisho.core.policy.door.connection import CONNECTION_RULES
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal

SOURCE = Path(others.__file__).parents[2]
_RULE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+\Z")
# Kinds that are part of a message's story, whose beginning and end tell it.
_OF_MESSAGES = (
    "relay.",
    "queue.",
    "notice.",
    "admin.",
    "guard.verdict",
    "reception.evidence",
    "submission.evidence",
    "submission.not_signed",
)


def rules_of_the_door() -> Iterator[str]:
    """Verdicts name their rule as text, the only texts with a hyphen and no space there."""
    policy = SOURCE / "core/policy"
    for path in (*policy.glob("door*.py"), *policy.glob("rules/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _RULE.match(node.value):
                yield node.value


def test_every_rule_of_the_door_has_a_sentence_and_a_remedy() -> None:
    names = {*rules_of_the_door(), *(rule.name for rule in CONNECTION_RULES)}
    assert len(names) >= 6
    assert sorted(name for name in names if name not in RULES or not RULES[name].remedy) == []


def test_every_kind_that_is_kept_can_be_told() -> None:
    kinds: set[str] = set()
    for source in SOURCE.rglob("*.py"):
        kinds |= set(re.findall(r'Entry\(\s*"([a-z_]+\.[a-z_]+)"', source.read_text("utf-8")))
    journal = KeepingJournal(MemoryJournal(), ManualClock())
    told = messages.ACCEPTED | messages.REFUSED | others._TELLERS.keys()
    untold = {
        kind
        for kind in kinds
        if journal._is_kept(kind) and kind not in told and not kind.startswith(_OF_MESSAGES)
    }
    assert sorted(untold) == [], "tell it in admin/why/others.py"
    assert len(kinds) > 20


def texts() -> Iterator[str]:
    for table in (RULES, STATUSES, LOGIN_CAUSES, BANS):
        for wording in table.values():
            yield from wording
    tellers: list[Told] = [*(told for _, told in messages._BY_STATE), messages._HELD_BY_GUARD]
    for teller in others._TELLERS.values():
        for reply in ("450 4.2.0 x", "550 5.1.1 x"):
            tellers.append(teller(dict.fromkeys(VALUES, "") | {"reply": reply}))
    for told in tellers:
        yield told.what
        if told.wording is not None:
            yield from told.wording


@pytest.mark.parametrize("text", sorted(set(texts())), ids=lambda text: text[:30])
def test_sentences_name_only_what_is_always_there(text: str) -> None:
    assert {name for _, name, _, _ in Formatter().parse(text)} - {None} <= {*VALUES, "when", "due"}
