"""The learning classifier: teach it, see what it knows, ask it why, make it forget."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account
from sekisho.core.policy.classifier.features import Features, Tokens
from sekisho.core.policy.classifier.knowledge import MIN_LESSONS
from sekisho.ports.classifier import OPERATOR, Fitted, Taught

MAX_LESSONS = 1000  # in one request


class LessonRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`key` tells messages apart: the same one is learned once; `features` as `Features.to_octets` gives
    them."""

    key: str
    is_spam: bool
    features: bytes


class Teach(Struct, frozen=True, forbid_unknown_fields=True):
    """`account`: an address, or None for everybody."""

    lessons: list[LessonRequest]
    account: str | None = None


class ClassifierChange(Struct, frozen=True):
    count: int


class ClassifierIdle(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Forget(Struct, frozen=True, forbid_unknown_fields=True):
    """All lessons of an account; `everything` those of all and of the operator."""

    account: str | None = None
    everything: bool = False


class AskClassifier(Struct, frozen=True, forbid_unknown_fields=True):
    build: list[str]
    words: list[str]
    account: str | None = None


class TellingToken(Struct, frozen=True):
    token: str
    weight: float


class Explained(Struct, frozen=True):
    """`score` is what the account's mail would be judged by, if one was named; `overall` what everybody
    else's."""

    is_ready: bool
    score: float
    overall: float
    telling: list[TellingToken]


class AccountLessons(Struct, frozen=True, kw_only=True):
    """`account` None: the operator's, for everybody."""

    account: str | None
    ham: int
    spam: int
    private: int
    latest_at_us: int


class ClassifierStatus(Struct, frozen=True, kw_only=True):
    """`news`: lessons that the last fit does not include; `needed`: of ham and of spam each before anything
    is said."""

    is_ready: bool
    ham: int
    spam: int
    needed: int
    news: int
    fitted_at_us: int
    accounts: list[AccountLessons]


async def teach(context: Context, request: Teach) -> ClassifierChange:
    """Write lessons down. They count at once, and fully after the next fit."""
    if len(request.lessons) > MAX_LESSONS:
        raise AdminRefused("At most {most} lessons in one request.", most=MAX_LESSONS)
    account_id = OPERATOR if request.account is None else (await find_account(context, request.account)).id
    for lesson in request.lessons:
        try:
            Features.from_octets(lesson.features)
        except ValueError as error:
            raise AdminRefused("A lesson cannot be read: {reason}.", reason=str(error)) from error
    desk = context.classifying
    count = await desk.book.teach(
        [
            Taught(key=each.key, account_id=account_id, is_spam=each.is_spam, features=each.features)
            for each in request.lessons
        ]
    )
    spam = sum(each.is_spam for each in request.lessons)
    context.audit(
        "classifier.teach", request.account or "", spam=spam, ham=len(request.lessons) - spam, changed=count
    )
    return ClassifierChange(count)


async def fit(context: Context, request: ClassifierIdle) -> Fitted:
    """Fit the knowledge to all lessons now."""
    fitted = await context.classifying.fit()
    context.audit("classifier.fit", "", ham=fitted.ham, spam=fitted.spam)
    return fitted


async def status(context: Context, request: ClassifierIdle) -> ClassifierStatus:
    book = context.classifying.book
    state = book.state()
    tallies = await book.tally()
    accounts = []
    for tally in tallies:
        account = None if tally.account_id == OPERATOR else await context.directory.account(tally.account_id)
        name = (
            None
            if tally.account_id == OPERATOR
            else str(account.address)
            if account
            else f"#{tally.account_id}"
        )
        accounts.append(
            AccountLessons(
                account=name,
                ham=tally.ham,
                spam=tally.spam,
                private=tally.private,
                latest_at_us=tally.latest_at_us,
            )
        )
    await context.classifying.refresh()
    ready = context.classifying.is_ready
    ham, spam = sum(each.ham for each in tallies), sum(each.spam for each in tallies)
    news = state.serial - state.fitted + state.withdrawn
    return ClassifierStatus(
        is_ready=ready,
        ham=ham,
        spam=spam,
        needed=MIN_LESSONS,
        news=news,
        fitted_at_us=state.fitted_at_us,
        accounts=accounts,
    )


async def explain(context: Context, request: AskClassifier) -> Explained:
    """What it says of a message, and the tokens that said most."""
    account_id = OPERATOR if request.account is None else (await find_account(context, request.account)).id
    desk, tokens = context.classifying, Tokens(tuple(request.build), tuple(request.words))
    await desk.refresh()
    overall, opinion = desk.explain(tokens), desk.explain(tokens, account_id)
    if overall is None or opinion is None:
        return Explained(False, 0.0, 0.0, [])
    telling = [TellingToken(each.token, each.weight) for each in opinion.telling]
    return Explained(True, round(opinion.score, 3), round(overall.score, 3), telling)


async def forget(context: Context, request: Forget) -> ClassifierChange:
    """Take lessons back, and fit to what is left."""
    if request.account is None and not request.everything:
        raise AdminRefused("Say whose lessons to forget: an account's, or everything.")
    account_id = None if request.account is None else (await find_account(context, request.account)).id
    count = await context.classifying.book.forget(account_id)
    if count:
        await context.classifying.fit()
    context.audit("classifier.forget", request.account or "everything", lessons=count)
    return ClassifierChange(count)
