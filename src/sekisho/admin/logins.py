"""Who logged in as an account: when, from where, how; and the places that are known of it."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account
from sekisho.ports.ledger import LedgerEntry, history_key
from sekisho.ports.places import LoginPlace

MOST_LOGINS = 10_000


class LoginsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`refused`: failed logins too. `limit`: of logins, the newest."""

    address: str
    since_us: int = 0
    limit: int = 100
    refused: bool = False


class LoginView(Struct, frozen=True, kw_only=True):
    """`credential` and `is_new` (the first time from there with it) of good logins, `cause` of refused
    ones."""

    at_us: int
    is_accepted: bool
    service: str
    client: str
    mechanism: str
    tls: str
    cipher: str
    credential: str
    cause: str
    is_new: bool


class LoginHistory(Struct, frozen=True):
    """`logins`: the newest first, as far back as the ledger reaches. `places`: the one used last first; they
    are kept longer."""

    address: str
    logins: list[LoginView]
    places: list[LoginPlace]


async def list_logins(context: Context, request: LoginsRequest) -> LoginHistory:
    account = await find_account(context, request.address)
    if context.ledger is None:
        raise AdminRefused(
            "There is no ledger: ledger.enabled is false, or ledger.db cannot be opened (the log says why)."
        )
    if context.places is None:
        raise AdminRefused("The places of logins cannot be reached from here.")
    limit = max(1, min(request.limit, MOST_LOGINS))
    await context.ledger.settle()
    entries = await context.ledger.find(history_key(account.address), since_us=request.since_us, limit=limit)
    if request.refused:
        about = await context.ledger.find(account.address, since_us=request.since_us, limit=MOST_LOGINS)
        entries = [*entries, *(entry for entry in about if entry.kind == "authentication.refused")]
        entries.sort(key=lambda entry: -entry.at_us)
    return LoginHistory(
        account.address,
        [_view(entry) for entry in entries[:limit]],
        await context.places.of_account(account.id),
    )


def _view(entry: LedgerEntry) -> LoginView:
    fields = entry.fields
    texts = {
        name: str(fields.get(name) or "")
        for name in ("service", "client", "mechanism", "tls", "cipher", "credential", "cause")
    }
    return LoginView(
        at_us=entry.at_us,
        is_accepted=entry.kind == "authentication.accepted",
        is_new=bool(fields.get("new_place")),
        **texts,
    )
