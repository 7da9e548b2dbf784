"""What the learning classifier was taught, and asking it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from sekisho.core.policy.classifier.features import Tokens
from sekisho.core.policy.classifier.knowledge import Opinion

OPERATOR = 0  # the account_id of lessons that no account gave


class Taught(Struct, frozen=True, kw_only=True):
    """One lesson as it is kept: of the message only hashes. `key` tells messages apart; a second lesson of
    one account about one key replaces the first. `is_private`: for that account's mail alone. `serial` is the
    book's."""

    key: str
    account_id: int
    is_spam: bool
    features: bytes
    is_private: bool = False
    at_us: int = 0
    serial: int = 0


class BookState(Struct, frozen=True, kw_only=True):
    """`serial`: the newest lesson; `fitted`: the newest that the kept knowledge includes; `generation`
    changes when that is made anew or lessons are taken back; `withdrawn`: lessons replaced or taken back
    since, which the knowledge still includes."""

    serial: int = 0
    fitted: int = 0
    generation: int = 0
    withdrawn: int = 0
    fitted_at_us: int = 0


class Tally(Struct, frozen=True, kw_only=True):
    """How much one account, or the operator, taught."""

    account_id: int
    ham: int
    spam: int
    private: int
    latest_at_us: int


class LessonBook(Protocol):
    """All lessons, and the knowledge fitted to them. In hints.db or memory; raises StoreUnavailable."""

    async def teach(self, lessons: Sequence[Taught]) -> int:
        """Write them down, in order; returns how many were new or changed sides. `serial` and `at_us` are
        given here."""
        ...

    async def forget(self, account_id: int | None = None, key: str | None = None) -> int:
        """Take lessons back: all of an account, all about a message, or all; returns how many. Without any
        left the knowledge goes too."""
        ...

    def state(self) -> BookState:
        """Cheap: to be asked for every few seconds."""
        ...

    async def after(self, serial: int, limit: int) -> list[Taught]:
        """The next lessons behind a serial, in order."""
        ...

    async def knowledge(self) -> bytes:
        """What was last kept, b"" if nothing was."""
        ...

    async def keep(self, knowledge: bytes, fitted: int) -> None: ...

    async def trim(self, most: int) -> int:
        """Forget the oldest lessons of ham and of spam beyond so many of each; returns how many."""
        ...

    async def tally(self) -> list[Tally]: ...


class Verdicts(Struct, frozen=True):
    """`overall` None: it has not learned enough yet. `accounts`: of those that taught it something of their
    own. The telling tokens are only there for what may be spam."""

    overall: Opinion | None = None
    accounts: dict[int, Opinion] = {}


class Fitted(Struct, frozen=True):
    """What came of a fit."""

    ham: int
    spam: int
    seconds: float


class Classifier(Protocol):
    @property
    def is_ready(self) -> bool:
        """Has it learned enough to say anything? Reading a message for it costs something."""
        ...

    async def catch_up(self) -> None:
        """Know what was taught and fitted until a moment ago. Mostly nothing is to be done."""
        ...

    def judge(self, tokens: Tokens, account_ids: Iterable[int] = ()) -> Verdicts: ...


class NoClassifier:
    """Has learned nothing."""

    is_ready = False

    async def catch_up(self) -> None:
        pass

    def judge(self, tokens: Tokens, account_ids: Iterable[int] = ()) -> Verdicts:
        return Verdicts()


class ClassifierDesk(Classifier, Protocol):
    """What operators work with."""

    book: LessonBook

    async def refresh(self) -> None:
        """Know what the book knows now."""
        ...

    def explain(self, tokens: Tokens, account_id: int = OPERATOR) -> Opinion | None:
        """With the telling tokens, whatever the score; None: it has not learned enough yet."""
        ...

    async def fit(self) -> Fitted:
        """Fit the knowledge to all lessons now."""
        ...
