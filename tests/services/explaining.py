"""Every refusal that a test provokes must be explainable: `why` finds its id and has words for it, in both
languages."""

import re
from collections.abc import Iterable

from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.admin.context import Context
from sekisho.admin.why.question import Why, why
from sekisho.admin.why.sentences import RULES
from sekisho.admin.why.story import Sentence, Story
from sekisho.config.schema import RoleOwners
from sekisho.faces.i18n.catalogue import catalogue
from sekisho.ports.journal import Entry
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal

_REFUSAL = re.compile(rb"^[45][0-9]{2}[ -].*\(id ([a-z0-9-]+)\)\r$", re.MULTILINE)
_ENGLISH, _JAPANESE = catalogue("en"), catalogue("ja")


def ids_said(octets: bytes) -> list[str]:
    return [match.decode() for match in _REFUSAL.findall(octets)]


async def unexplained(said: bytes, entries: Iterable[Entry]) -> list[str]:
    """What is missing, by id; `entries` is all that the journal got."""
    clock = ManualClock()
    ledger = MemoryLedger(clock)
    for entry in entries:
        clock.advance(0.001)
        ledger.keep(clock.now_us(), entry)
    store = OpenStore(clock, SeededDice())
    roles = RoleOwners(postmaster="a@local.example", abuse="a@local.example")
    context = Context(
        directory=store.directory,
        spool=store.spool,
        keys=store.keys,
        journal=MemoryJournal(),
        clock=clock,
        roles=roles,
        actor="uid:0",
        ledger=ledger,
    )
    missing = []
    for id_ in dict.fromkeys(ids_said(said)):
        stories = (await why(context, Why(id_))).stories
        if not stories:
            missing.append(f"{id_}: nothing is known")
        missing += [f"{id_}: {problem}" for story in stories[:1] for problem in _problems(story)]
    return missing


def _problems(story: Story) -> list[str]:
    found = [] if story.why is not None else ["no cause"]
    rule = str(story.what.values.get("rule", ""))
    if rule in RULES and story.remedy is None:
        found.append(f"no remedy for {rule}")
    for sentence in (story.what, story.why, story.remedy):
        if sentence is not None and not _is_in_both(sentence):
            found.append(f"not in Japanese: {sentence.text}")
    return found


def _is_in_both(sentence: Sentence) -> bool:
    english, japanese = (say(sentence.text, **sentence.values) for say in (_ENGLISH, _JAPANESE))
    return bool(english) and (
        english != japanese or not re.search(r"[A-Za-z]{2}", re.sub(r"\{\w+\}", "", sentence.text))
    )
