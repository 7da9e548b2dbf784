"""`sekisho account`: the people who have a mailbox here."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.commands.account_factor import factor
from sekisho.faces.cli.commands.account_import import import_accounts
from sekisho.faces.cli.commands.credential import EndDate, credential_command, last_day
from sekisho.faces.cli.commands.logins import logins
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import Shell, config_option, json_option, octets, pass_shell, when

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Size(click.ParamType[int]):
    """`500M`, `2G`, `1048576`, `0` -> octets."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).upper().removesuffix("B").removesuffix("I")
        number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS and text[-1:] else (text, "")
        if not number.isdecimal():
            self.fail("write a size such as 500M or 2G, or 0 for none.", param, ctx)
        return int(number) * _UNITS[unit]


def password_option(command: Callable[..., Any]) -> Callable[..., Any]:
    weak = click.option("--allow-weak", is_flag=True, help="Accept any password; for tests only.")
    return click.option(
        "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
    )(weak(command))


def ask_password(shell: Shell, from_stdin: bool) -> str:
    """The password, typed twice without echo, or one line of standard input; never an argument (others could
    read it)."""
    if from_stdin:
        line = sys.stdin.readline()
        if not line:
            raise CommandError("Standard input ended before a password.", exits.USAGE)
        return line.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to ask for the password; use --password-stdin.", exits.USAGE)
    first: str = click.prompt(shell.say("Password"), hide_input=True)
    if click.prompt(shell.say("The same again"), hide_input=True) != first:
        raise CommandError("The two passwords differ; nothing was changed.")
    return first


@click.group("account")
def account_command() -> None:
    """Accounts: the mailboxes of people and programs."""


account_command.add_command(import_accounts)
account_command.add_command(factor)
account_command.add_command(credential_command)
account_command.add_command(logins)


@account_command.command("add", epilog="Example: sekisho account add taro@example.org --quota 2G")
@click.argument("address")
@click.option("--name", default="", help="Name for people.")
@click.option("--quota", type=Size(), default=0, help="Largest mailbox, such as 2G; 0: no limit.")
@password_option
@config_option
@json_option
@pass_shell
def add(
    shell: Shell,
    address: str,
    name: str,
    quota: int,
    password_stdin: bool,
    allow_weak: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Make the account ADDRESS; its password is asked for."""
    from sekisho.admin.accounts import AccountRequest, AddAccount

    with shell.operator(config_file) as ask:
        ask("account.check_new", AccountRequest(address))
    password = ask_password(shell, password_stdin)
    with shell.operator(config_file) as ask:
        account = ask(
            "account.add",
            AddAccount(
                address=address,
                password=password,
                display_name=name,
                quota_octets=quota,
                allow_weak=allow_weak,
            ),
        )
    shell.report(account, as_json, "{address} has a mailbox now.", address=account.address)


@account_command.command("list", epilog="Example: sekisho account list --domain example.org")
@click.option("--domain", help="Only those of this domain.")
@config_option
@json_option
@pass_shell
def list_(shell: Shell, domain: str | None, config_file: Path, as_json: bool) -> None:
    """List accounts."""
    from sekisho.admin.accounts import ListAccounts

    with shell.operator(config_file) as ask:
        accounts = ask("account.list", ListAccounts(domain))
    if as_json:
        shell.print_json(accounts)
        return
    say = shell.say
    rows = [
        (
            a.address,
            say(state_word(a.state)),
            octets(a.used_octets),
            octets(a.quota_octets) if a.quota_octets else "-",
            a.display_name,
        )
        for a in accounts
    ]
    shell.print_table((say("Address"), say("State"), say("Used"), say("Quota"), say("Name")), rows)


def state_word(state: str) -> str:
    return {
        "active": "active",
        "login_disabled": "login disabled",
        "sending_held": "sending held",
        "deleted": "deleted",
    }[state]


@account_command.command("show", epilog="Example: sekisho account show taro@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def show(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """Show one account and the aliases that lead to it."""
    from sekisho.admin.accounts import AccountRequest

    with shell.operator(config_file) as ask:
        details = ask("account.show", AccountRequest(address))
    if as_json:
        shell.print_json(details)
        return
    say, account = shell.say, details.account
    shell.print_fields(
        (
            (say("Address"), account.address),
            (say("Name"), account.display_name or "-"),
            (say("State"), say(state_word(account.state))),
            (say("Used"), octets(account.used_octets)),
            (say("Quota"), octets(account.quota_octets) if account.quota_octets else "-"),
            (say("Since"), when(account.created_at_us)),
            (say("Last day"), last_day(account.expires_at_us)),
            (say("Deleted"), when(account.deleted_at_us)),
            (say("Aliases"), ", ".join(alias.address for alias in details.aliases) or "-"),
            (say("May send as"), ", ".join(details.may_send_as) or "-"),
        )
    )


@account_command.command("passwd", epilog="Example: sekisho account passwd taro@example.org")
@click.argument("address")
@password_option
@config_option
@json_option
@pass_shell
def passwd(
    shell: Shell, address: str, password_stdin: bool, allow_weak: bool, config_file: Path, as_json: bool
) -> None:
    """Give the account a new password; it is asked for."""
    from sekisho.admin.accounts import AccountRequest, SetPassword

    with shell.operator(config_file) as ask:
        ask("account.show", AccountRequest(address))
    password = ask_password(shell, password_stdin)
    with shell.operator(config_file) as ask:
        account = ask("account.passwd", SetPassword(address, password, allow_weak))
    shell.report(account, as_json, "{address} has a new password.", address=account.address)


@account_command.command("state", epilog="Example: sekisho account state taro@example.org sending-held")
@click.argument("address")
@click.argument("state", type=click.Choice(["active", "login-disabled", "sending-held"]))
@config_option
@json_option
@pass_shell
def state_(shell: Shell, address: str, state: str, config_file: Path, as_json: bool) -> None:
    """Let the account log in and send (active), not log in (login-disabled), or have all it sends held
    (sending-held)."""
    from sekisho.admin.accounts import SetState
    from sekisho.admin.guard import ShowGuarded

    with shell.operator(config_file) as ask:
        account = ask("account.state", SetState(address, state.replace("-", "_")))  # type: ignore[arg-type]  # click checked the choice
        held = ask("guard.show", ShowGuarded(address, 0)).held_messages
    shell.report(
        account,
        as_json,
        "{address}: {state}.",
        address=account.address,
        state=shell.say(state_word(account.state)),
    )
    if held and not as_json:
        values = {"count": held, "address": account.address}
        click.echo(
            shell.say(
                "{count} messages of it are held: sekisho guard show {address}; then sekisho guard "
                "release or purge.",
                **values,
            )
        )


@account_command.command("expire", epilog="Example: sekisho account expire taro@example.org 2027-03-31")
@click.argument("address")
@click.argument("day", type=EndDate(), metavar="DAY")
@config_option
@json_option
@pass_shell
def expire(shell: Shell, address: str, day: int, config_file: Path, as_json: bool) -> None:
    """Let the account log in until the end of DAY (it goes on receiving mail), or never end."""
    from sekisho.admin.accounts import SetExpiry

    with shell.operator(config_file) as ask:
        account = ask("account.expire", SetExpiry(address, day))
    if account.expires_at_us:
        shell.report(
            account,
            as_json,
            "{address}: the last day is {day}.",
            address=account.address,
            day=last_day(account.expires_at_us),
        )
    else:
        shell.report(account, as_json, "{address} does not end.", address=account.address)


@account_command.command("quota", epilog="Example: sekisho account quota taro@example.org 2G")
@click.argument("address")
@click.argument("size", type=Size())
@config_option
@json_option
@pass_shell
def quota_(shell: Shell, address: str, size: int, config_file: Path, as_json: bool) -> None:
    """Set the largest size of the mailbox; 0: no limit."""
    from sekisho.admin.accounts import SetQuota

    with shell.operator(config_file) as ask:
        account = ask("account.quota", SetQuota(address, size))
    limit = octets(account.quota_octets) if account.quota_octets else "-"
    shell.report(
        account,
        as_json,
        "{address}: {used} of {limit} used.",
        address=account.address,
        used=octets(account.used_octets),
        limit=limit,
    )


@account_command.command("remove", epilog="Example: sekisho account remove taro@example.org")
@click.argument("address")
@click.option("--purge", is_flag=True, help="Remove the account and its mail for good, at once.")
@click.option("--yes", is_flag=True, help="Do not ask before a purge.")
@config_option
@json_option
@pass_shell
def remove(shell: Shell, address: str, purge: bool, yes: bool, config_file: Path, as_json: bool) -> None:
    """Delete the account. Until it is purged it can be brought back with 'undelete'."""
    from sekisho.admin.accounts import RemoveAccount

    if purge and not yes:
        click.confirm(shell.say("Remove {address} and all its mail for good?", address=address), abort=True)
    with shell.operator(config_file) as ask:
        account = ask("account.remove", RemoveAccount(address, purge))
    if purge:
        shell.report(account, as_json, "{address} and its mail are removed.", address=account.address)
    else:
        shell.report(
            account,
            as_json,
            "{address} is deleted; to bring it back: sekisho account undelete {address}",
            address=account.address,
        )


@account_command.command("undelete", epilog="Example: sekisho account undelete taro@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def undelete(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """Bring back a deleted account with its mail."""
    from sekisho.admin.accounts import AccountRequest

    with shell.operator(config_file) as ask:
        account = ask("account.undelete", AccountRequest(address))
    shell.report(account, as_json, "{address} is back.", address=account.address)


@account_command.command("bulk", epilog="Example: sekisho account bulk news@example.org on")
@click.argument("address")
@click.argument("switch", type=click.Choice(["on", "off"]))
@config_option
@json_option
@pass_shell
def bulk(shell: Shell, address: str, switch: str, config_file: Path, as_json: bool) -> None:
    """Let the account send newsletters: many new recipients, the same text to all."""
    from sekisho.admin.guard import SetBulk

    with shell.operator(config_file) as ask:
        rights = ask("guard.bulk", SetBulk(address, switch == "on"))
    if rights.bulk:
        shell.report(rights, as_json, "{address} may send newsletters.", address=rights.address)
    else:
        shell.report(rights, as_json, "{address} may not send newsletters.", address=rights.address)


@account_command.command(
    "recovery", epilog="Example: sekisho account recovery taro@example.org taro@example.net"
)
@click.argument("address")
@click.argument("second", required=False, default="")
@config_option
@json_option
@pass_shell
def recovery(shell: Shell, address: str, second: str, config_file: Path, as_json: bool) -> None:
    """Tell the owner at the address SECOND too when mail of the account is held; without SECOND: only in the
    mailbox."""
    from sekisho.admin.guard import SetRecovery

    with shell.operator(config_file) as ask:
        rights = ask("guard.recovery", SetRecovery(address, second))
    told = rights.recovery_address
    if told:
        shell.report(
            rights,
            as_json,
            "The owner of {address} is told at {second} too.",
            address=rights.address,
            second=told,
        )
    else:
        shell.report(
            rights, as_json, "The owner of {address} is told in the mailbox only.", address=rights.address
        )


@account_command.command(
    "may-send-as", epilog="Example: sekisho account may-send-as hanako@example.org chair@example.org"
)
@click.argument("address")
@click.argument("sender")
@click.option("--revoke", is_flag=True, help="Take the right away.")
@config_option
@json_option
@pass_shell
def may_send_as(
    shell: Shell, address: str, sender: str, revoke: bool, config_file: Path, as_json: bool
) -> None:
    """Let the account send in the name of SENDER too: an address here, or @DOMAIN for all of a domain
    here."""
    from sekisho.admin.accounts import GrantSender

    with shell.operator(config_file) as ask:
        details = ask("account.may_send_as", GrantSender(address, sender, revoke))
    rights = ", ".join(details.may_send_as)
    if rights:
        shell.report(
            details,
            as_json,
            "{address} may also send as {rights}.",
            address=details.account.address,
            rights=rights,
        )
    else:
        shell.report(
            details, as_json, "{address} may send only in its own name.", address=details.account.address
        )
