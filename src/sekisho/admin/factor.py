"""The second factor of an account: made, confirmed, checked on the telephone, taken away."""

from typing import Literal

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account
from sekisho.core.sasl.totp import base32, otpauth_uri
from sekisho.ports.directory import Account
from sekisho.services.authentication.factor import SecondFactors


class FactorRequest(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


class FactorCode(Struct, frozen=True, forbid_unknown_fields=True):
    """`code`: from the app; for a check also a recovery code."""

    address: str
    code: str


class FactorView(Struct, frozen=True, kw_only=True):
    """`app_passwords`: how many of them can be used now."""

    address: str
    state: Literal["off", "begun", "on"]
    confirmed_at_us: int = 0
    recovery_left: int = 0
    app_passwords: int = 0


class FactorBegun(Struct, frozen=True):
    """Shown once. `secret` is base32; `uri` is what a QR code tells."""

    address: str
    secret: str
    uri: str


class FactorConfirmed(Struct, frozen=True):
    """Recovery codes are shown once."""

    address: str
    recovery_codes: list[str]
    app_passwords: int


class FactorChecked(Struct, frozen=True):
    address: str
    by: Literal["code", "recovery"]
    recovery_left: int


async def show_factor(context: Context, request: FactorRequest) -> FactorView:
    return await _view(context, await find_account(context, request.address))


async def enable_factor(context: Context, request: FactorRequest) -> FactorBegun:
    account = await find_account(context, request.address)
    if (await _view(context, account)).state == "on":
        raise AdminRefused(
            "{address} has a second factor already; disable it first: sekisho account factor "
            "{address} disable",
            address=account.address,
        )
    secret = await _factors(context).begin(account.id)
    context.audit("account.factor", account.address, change="begun")
    return FactorBegun(
        account.address,
        base32(secret),
        otpauth_uri(account.address.rpartition("@")[2], account.address, secret),
    )


async def confirm_factor(context: Context, request: FactorCode) -> FactorConfirmed:
    account = await find_account(context, request.address)
    before = await _view(context, account)
    if before.state == "off":
        raise AdminRefused(
            "No second factor was begun for {address}: sekisho account factor {address} enable",
            address=account.address,
        )
    if before.state == "on":
        raise AdminRefused("The second factor of {address} is confirmed already.", address=account.address)
    codes = await _factors(context).confirm(account.id, request.code)
    if not codes:
        raise _unfit()
    context.audit("account.factor", account.address, change="on")
    return FactorConfirmed(account.address, codes, before.app_passwords)


async def disable_factor(context: Context, request: FactorRequest) -> FactorView:
    account = await find_account(context, request.address)
    if (await _view(context, account)).state == "off":
        raise AdminRefused("{address} has no second factor.", address=account.address)
    await context.kept_credentials.set_second_factor(account.id, None)
    context.audit("account.factor", account.address, change="off")
    return await _view(context, account)


async def check_factor(context: Context, request: FactorCode) -> FactorChecked:
    """Is it really the owner on the telephone? The code is used up."""
    account = await find_account(context, request.address)
    if (await _view(context, account)).state != "on":
        raise AdminRefused("{address} has no second factor.", address=account.address)
    by = await _factors(context).check(account.id, request.code)
    context.audit("account.factor", account.address, change="checked", result=by or "refused")
    if by is None:
        raise _unfit()
    return FactorChecked(account.address, by, (await _view(context, account)).recovery_left)


def _unfit() -> AdminRefused:
    return AdminRefused(
        "The code is wrong; wait for the next one, and check that the clocks of the telephone and of this "
        "machine are right."
    )


def _factors(context: Context) -> SecondFactors:
    return SecondFactors(context.kept_credentials, context.clock)


async def _view(context: Context, account: Account) -> FactorView:
    credentials = context.kept_credentials
    factor = await credentials.second_factor(account.id)
    now_us = context.clock.now_us()
    apps = [
        s
        for s in await credentials.of_account(account.id)
        if s.credential.kind == "app" and s.credential.is_usable(now_us)
    ]
    if factor is None:
        return FactorView(address=account.address, state="off", app_passwords=len(apps))
    state: Literal["begun", "on"] = "on" if factor.counts else "begun"
    return FactorView(
        address=account.address,
        state=state,
        confirmed_at_us=factor.confirmed_at_us,
        recovery_left=len(factor.recovery),
        app_passwords=len(apps),
    )
