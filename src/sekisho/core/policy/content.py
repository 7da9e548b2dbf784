"""What was found in a message's content, by us and by scanners beside us."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sekisho.core.policy.attachments import AttachmentFinding
from sekisho.core.policy.classifier.knowledge import Opinion


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFinding:
    """`overall` None: the classifier has not learned enough, or was not asked; `accounts`: the opinions of
    those that taught it something of their own; `account_ids`: of all that get a copy, `roles`: of those that
    get it as postmaster or abuse. `is_test`: it holds the test string of spam filters. `problem`: why it
    could not be looked into, "" if it could."""

    overall: Opinion | None = None
    accounts: Mapping[int, Opinion] = field(default_factory=dict)
    account_ids: tuple[int, ...] = ()
    roles: frozenset[int] = frozenset()
    attachments: AttachmentFinding = field(default_factory=AttachmentFinding)
    is_test: bool = False
    problem: str = ""

    def explain(self) -> str:
        """For the journal: "score 0.71; attachments: 2, program: a.exe"."""
        told = [] if self.overall is None else [f"score {self.overall.score:.2f}"]
        if self.attachments.looked_at or self.attachments.found:
            told.append(
                ", ".join(
                    [f"attachments: {self.attachments.looked_at}", *map(str, self.attachments.found[:3])]
                )
            )
        return self.problem or "; ".join(told) or "nothing known"

    def opinion_of(self, account_id: int) -> Opinion | None:
        return self.accounts.get(account_id, self.overall)


@dataclass(frozen=True, slots=True)
class Symbol:
    """One test of rspamd that hit."""

    name: str
    score: float
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RspamdFinding:
    """`action` as rspamd names it: "no action", "greylist", "add header", "rewrite subject", "soft reject",
    "reject".

    With a `problem` nothing is known.
    """

    score: float = 0.0
    required: float = 0.0
    action: str = "no action"
    symbols: tuple[Symbol, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ClamavFinding:
    """`virus`: the name of the signature that matched. With a `problem` nothing is known."""

    virus: str = ""
    problem: str = ""
