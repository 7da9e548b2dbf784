"""The classifier of one worker: what the book says, at hand; new lessons at once; a new fit when enough has
changed."""

import asyncio
from collections.abc import Iterable

from msgspec import Struct

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.hops import Hop, read_hop
from sekisho.core.policy.classifier.features import Features, Tokens, features_of
from sekisho.core.policy.classifier.fitting import Fitting
from sekisho.core.policy.classifier.knowledge import Knowledge, Lesson, Opinion
from sekisho.core.policy.classifier.reading import client_hop, read_tokens
from sekisho.ports.classifier import OPERATOR, BookState, Fitted, LessonBook, Taught, Verdicts
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.learning import JudgedMessage
from sekisho.ports.metrics import Metrics
from sekisho.probes.reading import read_header, read_parts

LOOK_SECONDS = 2.0  # between two looks for news of other workers
SLICE_SECONDS = 0.004  # of a fit, then the mail has its turn
REST_SECONDS = 0.02  # between slices, when nobody waits for the fit
PORTION = 500  # lessons read at once
FEW_NEWS = 20  # lessons; fewer wait
NEWS_SHARE = 50  # a fit is due when one lesson of so many is new
PATIENCE_US = 3_600_000_000  # then even one is enough


class ClassifierRules(Struct, frozen=True):
    """`most_lessons`: of ham and of spam each, the newest; `shared`: what one account teaches is for all."""

    most_lessons: int = 10_000
    shared: bool = True


class LiveClassifier:
    """Implements `ports.classifier.ClassifierDesk` and `ports.learning.Learner`."""

    def __init__(
        self, book: LessonBook, clock: Clock, journal: Journal, metrics: Metrics | None = None
    ) -> None:
        self.book = book
        self.rules = ClassifierRules()
        self._clock, self._journal, self._metrics = clock, journal, metrics
        self._knowledge = Knowledge.empty()
        self._known = BookState(generation=-1)
        self._looked_at = float("-inf")
        self._turn = asyncio.Lock()  # one refresh at a time
        self._looking: asyncio.Task[None] | None = None

    # --- asking

    @property
    def is_ready(self) -> bool:
        """By what is known now; news are fetched behind it."""
        if self._clock.monotonic() - self._looked_at >= LOOK_SECONDS:
            self.look()
        return self._knowledge.is_enough

    async def catch_up(self) -> None:
        """So that the first message after a quiet hour is not judged by what was known before it."""
        if self._clock.monotonic() - self._looked_at >= LOOK_SECONDS:
            self.look()
        if self._looking is not None and not self._looking.done():
            await asyncio.wait((self._looking,))

    def judge(self, tokens: Tokens, account_ids: Iterable[int] = ()) -> Verdicts:
        if not self.is_ready:
            return Verdicts()
        known = self._knowledge
        own = known.opinions(tokens, (OPERATOR, *(each for each in account_ids if each in known.accounts)))
        return Verdicts(own.pop(OPERATOR), own)

    def explain(self, tokens: Tokens, account_id: int = OPERATOR) -> Opinion | None:
        return self._knowledge.explain(tokens, account_id) if self.is_ready else None

    def look(self) -> None:
        """Start to fetch what is new, if there is anything."""
        self._looked_at = self._clock.monotonic()
        try:
            is_old = self.book.state() != self._known
        except StoreUnavailable:
            return  # what is known goes on being used
        if is_old and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._refresh_quietly())

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except StoreUnavailable:
            pass  # the next look tries again
        except Exception as error:  # an own bug must not end as a task that nobody asks
            self._journal.fault("classifier", error)

    async def refresh(self) -> None:
        async with self._turn:
            state = self.book.state()
            if state == self._known:
                return
            if state.generation != self._known.generation:
                octets = await self.book.knowledge()
                knowledge = (
                    await asyncio.to_thread(Knowledge.from_octets, octets) if octets else Knowledge.empty()
                )
                learned = state.fitted
            else:
                knowledge, learned = self._knowledge, self._known.serial
            while lessons := await self.book.after(learned, PORTION):
                for lesson in lessons:
                    knowledge.learn(_lesson(lesson))
                learned = lessons[-1].serial
                await asyncio.sleep(0)
            self._knowledge, self._known = knowledge, state

    # --- learning

    async def judged(self, message: JudgedMessage) -> None:
        """A user moved it into Junk, or out of it."""
        header = await read_header(message.octets.read, message.prefix_octets)
        content = await read_parts(message.octets.read, message.prefix_octets)
        client = await _client_of(message)
        tokens = read_tokens(header, content.structure, content.size, content.bodies, client)
        lesson = Taught(
            key=message.content_id,
            account_id=message.account_id,
            is_spam=message.is_junk,
            features=features_of(tokens).to_octets(),
            is_private=not self.rules.shared,
        )
        if await self.book.teach([lesson]):
            self._count("sekisho_classifier_lessons_total", side="spam" if message.is_junk else "ham")
            fields: dict[str, JournalValue] = {
                "account": message.account_id,
                "side": "spam" if message.is_junk else "ham",
            }
            self._journal.record(Entry("classifier.taught", message.content_id, fields))
            self.look()

    # --- fitting

    async def fit_if_due(self) -> None:
        """A duty. Raises StoreUnavailable; it stays due then."""
        if self._is_due(self.book.state()):
            await self._fit(REST_SECONDS)

    def _is_due(self, state: BookState) -> bool:
        news = state.serial - state.fitted + state.withdrawn
        enough = max(FEW_NEWS, (self._knowledge.hams + self._knowledge.spams) // NEWS_SHARE)
        return news >= enough or (news > 0 and self._clock.now_us() - state.fitted_at_us >= PATIENCE_US)

    async def fit(self) -> Fitted:
        fitted = await self._fit(0.0)
        await self.refresh()
        return fitted

    async def _fit(self, rest_seconds: float) -> Fitted:
        started = self._clock.monotonic()
        await self.book.trim(self.rules.most_lessons)
        lessons: list[Lesson] = []
        serial = 0
        while taught := await self.book.after(serial, PORTION):
            lessons += map(_lesson, taught)
            serial = taught[-1].serial
        fitting = Fitting(lessons)
        until = self._clock.monotonic() + SLICE_SECONDS
        for _ in fitting.steps():
            if self._clock.monotonic() >= until:
                await asyncio.sleep(rest_seconds)
                until = self._clock.monotonic() + SLICE_SECONDS
        found = fitting.knowledge
        await self.book.keep(await asyncio.to_thread(found.to_octets), serial)
        seconds = round(self._clock.monotonic() - started, 3)
        self._count("sekisho_classifier_fits_total")
        self._journal.record(
            Entry("classifier.fitted", fields={"ham": found.hams, "spam": found.spams, "seconds": seconds})
        )
        return Fitted(found.hams, found.spams, seconds)

    def _count(self, name: str, side: str = "") -> None:
        if self._metrics is not None:
            self._metrics.count(name, 1, **({"side": side} if side else {}))

    async def close(self) -> None:
        """End what runs in the background. More than once is harmless."""
        if self._looking is not None and not self._looking.done():
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)


def _lesson(taught: Taught) -> Lesson:
    return Lesson(Features.from_octets(taught.features), taught.is_spam, taught.account_id, taught.is_private)


async def _client_of(message: JudgedMessage) -> Hop | None:
    """Who handed it to us, as our own Received says; None if there is none, as in what a mail program put
    there."""
    ours = HeaderSection(await message.octets.read(0, message.prefix_octets))
    received = ours.first(b"received")
    if received is None:
        return None
    hop = read_hop(received.decode("utf-8", "replace"))
    return client_hop(hop.hello, hop.name, hop.address)
