"""What a story is: everything about one message, connection or action, and the sentences that tell it.
Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from sekisho.admin.why.sentences import VALUES, Wording
from sekisho.ports.journal import JournalValue
from sekisho.ports.ledger import LedgerEntry

# How the last attempt for a recipient ended, where the queue has it no more.
Ended = Literal["delivered", "deferred", "failed", "expired"]
Verdict = Literal["refused", "deferred", "failed", "waiting", "junk", "accepted", "delivered", "noted"]
MOST_NAMED = 3  # recipients in a sentence


class Told(NamedTuple):
    """How a story is told: `what` is a sentence of its own, or goes on with `wording.why` behind a colon."""

    verdict: Verdict
    what: str
    wording: Wording | None = None


class Sentence(Struct, frozen=True):
    """English with `{name}` places. Times in `values` (when, due) are µs since 1970."""

    text: str
    values: dict[str, JournalValue]


class EntryView(Struct, frozen=True):
    at_us: int
    kind: str
    id: str
    fields: dict[str, JournalValue]


class RecipientView(Struct, frozen=True, kw_only=True):
    """Where one remote recipient stands. `due_at_us` 0: no further attempt."""

    address: str
    state: str  # Ended, or what the queue says (RecipientState)
    reply: str = ""
    remote: str = ""
    attempts: int = 0
    at_us: int = 0
    due_at_us: int = 0
    cause: str = ""  # core.terms.reply.Cause of the reply; "" too where the ledger does not tell
    policy: str = ""  # core.tlspolicy.demand: what was asked of the host, and what the session proved
    proof: str = ""


class Story(Struct, frozen=True, kw_only=True):
    """`what` happened, `why`, and the `remedy`; `entries`, oldest first, are the evidence. `times`: how often
    the same was seen."""

    id: str
    at_us: int
    verdict: Verdict
    what: Sentence
    why: Sentence | None
    remedy: Sentence | None
    entries: list[EntryView]
    recipients: list[RecipientView] = []
    times: int = 1


def values_of(entries: Sequence[LedgerEntry], id_: str, when_us: int) -> dict[str, JournalValue]:
    """What sentences may name, from entries with the oldest first: later ones say it better."""
    values: dict[str, JournalValue] = dict.fromkeys(VALUES, "")
    for entry in entries:
        values |= {
            name: value for name, value in entry.fields.items() if name in values and value not in ("", None)
        }
    values["because"] = str(values["because"]).removeprefix(
        f"{values['rule']}: "
    )  # a refusal's names the rule, which the sentence says
    values["sender"] = next(
        (
            str(entry.fields["reverse_path"])
            for entry in reversed(entries)
            if entry.fields.get("reverse_path")
        ),
        "<>",
    )
    values["recipients"] = named(str(values["recipient"]).split()) or str(values["recipients"] or "?")
    return values | {"id": id_, "when": when_us, "due": 0}


def named(addresses: Sequence[str]) -> str:
    more = len(addresses) - MOST_NAMED
    return ", ".join(addresses[:MOST_NAMED]) + (f" (+{more})" if more > 0 else "")


def story(
    id_: str,
    told: Told,
    entries: Sequence[LedgerEntry],
    values: dict[str, JournalValue],
    recipients: Sequence[RecipientView] = (),
) -> Story:
    """`entries`: the oldest first."""
    wording = told.wording or Wording("")
    shown = [EntryView(entry.at_us, entry.kind, entry.id, entry.fields) for entry in entries]
    return Story(
        id=id_,
        at_us=entries[-1].at_us,
        verdict=told.verdict,
        what=Sentence(told.what, values),
        why=Sentence(wording.why, values) if wording.why else None,
        remedy=Sentence(wording.remedy, values) if wording.remedy else None,
        entries=shown,
        recipients=list(recipients),
    )
