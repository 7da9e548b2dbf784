"""Sieve scripts of accounts, as an operator brings and looks at them."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account
from sekisho.core.sieve.faults import SieveError
from sekisho.ports.directory import Account
from sekisho.ports.scripts import ScriptInfo, ScriptsRefused


class ScriptsOf(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


class OneScript(Struct, frozen=True, forbid_unknown_fields=True):
    """`name` "": the active one, or to make active none."""

    address: str
    name: str = ""


class PutScript(Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    name: str
    text: str
    activate: bool = False


class ScriptChange(Struct, frozen=True):
    address: str
    name: str
    is_active: bool


class ScriptText(Struct, frozen=True):
    address: str
    name: str
    text: str
    is_active: bool


async def list_scripts(context: Context, request: ScriptsOf) -> list[ScriptInfo]:
    account = await find_account(context, request.address)
    return await context.scripting.listing(account.id)


async def get_script(context: Context, request: OneScript) -> ScriptText:
    account = await find_account(context, request.address)
    active = await _active_name(context, account)
    name = request.name or active
    if not name:
        raise AdminRefused(
            "{address} has no active script. Name one of: sekisho sieve list {address}",
            address=account.address,
        )
    octets = await context.scripting.script(account.id, name)
    if octets is None:
        raise AdminRefused('There is no script "{name}".', name=name)
    return ScriptText(account.address, name, octets.decode("utf-8", "replace"), name == active)


async def put_script(context: Context, request: PutScript) -> ScriptChange:
    """Raises Refused with the first fault of a script that has any."""
    account = await find_account(context, request.address)
    try:
        await context.scripting.put(account.id, request.name, request.text.encode("utf-8", "replace"))
        if request.activate:
            await context.scripting.activate(account.id, request.name)
    except SieveError as error:
        raise AdminRefused(
            "Nothing was done, the script has a fault: {fault}", fault=str(error.faults[0])
        ) from error
    except ScriptsRefused as error:
        raise AdminRefused(error.text, **error.values) from error
    is_active = await _active_name(context, account) == request.name
    context.audit("sieve.put", account.address, name=request.name, active=is_active)
    return ScriptChange(account.address, request.name, is_active)


async def activate_script(context: Context, request: OneScript) -> ScriptChange:
    account = await find_account(context, request.address)
    try:
        await context.scripting.activate(account.id, request.name)
    except ScriptsRefused as error:
        raise AdminRefused(error.text, **error.values) from error
    context.audit("sieve.activate", account.address, name=request.name)
    return ScriptChange(account.address, request.name, bool(request.name))


async def remove_script(context: Context, request: OneScript) -> ScriptChange:
    account = await find_account(context, request.address)
    try:
        await context.scripting.remove(account.id, request.name)
    except ScriptsRefused as error:
        raise AdminRefused(error.text, **error.values) from error
    context.audit("sieve.remove", account.address, name=request.name)
    return ScriptChange(account.address, request.name, False)


async def _active_name(context: Context, account: Account) -> str:
    return next((each.name for each in await context.scripting.listing(account.id) if each.is_active), "")
