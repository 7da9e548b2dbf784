"""`sekisho account credential`: what opens an account besides its own password."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, when

if TYPE_CHECKING:
    from sekisho.ports.credentials import Credential


class EndDate(click.ParamType[int]):
    """`2027-03-31` -> the end of that day here, in microseconds; `never` -> 0."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if value == "never":
            return 0
        try:
            day = datetime.strptime(str(value), "%Y-%m-%d")  # noqa: DTZ007  # the day as people here count it
            return int((day + timedelta(days=1)).astimezone().timestamp()) * 1_000_000
        except (ValueError, OverflowError):
            self.fail("write a day such as 2027-03-31, or never.", param, ctx)


@click.group("credential")
def credential_command() -> None:
    """App passwords of devices, and credentials of programs."""


@credential_command.command(
    "add", epilog="Example: sekisho account credential add taro@example.org phone --scope imap"
)
@click.argument("address")
@click.argument("label")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["imap", "pop3", "smtp"]),
    help="Only for this use; can be given several times.",
)
@click.option("--expires", "expires_at_us", type=EndDate(), default=0, help="Last day, such as 2027-03-31.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="Only from this network, such as 192.0.2.0/24; can be given several times.",
)
@click.option(
    "--service",
    default="",
    metavar="SENDER",
    help="For a program that sends as SENDER and does nothing else.",
)
@config_option
@json_option
@pass_shell
def add(shell: Shell, /, address: str, label: str, config_file: Path, as_json: bool, **bounds: Any) -> None:
    """Make a password for one device or program, LABEL, of the account ADDRESS. It is shown once."""
    from sekisho.admin.credentials import AddCredential

    with shell.operator(config_file) as ask:
        made = ask("credential.add", AddCredential(address=address, label=label, **bounds))
    if as_json:
        shell.print_json(made)
        return
    say = shell.say
    shell.print_fields(
        (
            (say("User name"), made.address),
            (say("Password"), made.secret),
            (say("Label"), made.credential.label),
            (say("For"), _what_for(made.credential)),
            (say("Last day"), last_day(made.credential.expires_at_us)),
        )
    )
    click.echo(say("This password is not shown again. Enter it in that one device or program only."))


@credential_command.command("list", epilog="Example: sekisho account credential list taro@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def list_(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """List what opens the account, and when it was used last."""
    from sekisho.admin.credentials import CredentialsOf

    with shell.operator(config_file) as ask:
        found = ask("credential.list", CredentialsOf(address))
    if as_json:
        shell.print_json(found)
        return
    say = shell.say
    rows = [
        (
            c.id,
            c.label or "-",
            _what_for(c),
            say("off") if c.disabled_at_us else say("on"),
            last_day(c.expires_at_us),
            when(c.last_used_at_us),
            c.last_used_from or "-",
        )
        for c in found
    ]
    head = (say("Id"), say("Label"), say("For"), say("State"), say("Last day"), say("Last used"), say("From"))
    shell.print_table(head, rows)


@credential_command.command(
    "disable", epilog="Example: sekisho account credential disable taro@example.org phone"
)
@click.argument("address")
@click.argument("credential")
@config_option
@json_option
@pass_shell
def disable(shell: Shell, address: str, credential: str, config_file: Path, as_json: bool) -> None:
    """Switch off the CREDENTIAL (its id or label, or password: the account's own). Its sessions end."""
    from sekisho.admin.credentials import OneCredential

    with shell.operator(config_file) as ask:
        done = ask("credential.disable", OneCredential(address, credential))
    shell.report(
        done,
        as_json,
        "{address}: {credential} is off.",
        address=done.address,
        credential=_name(done.credential),
    )


@credential_command.command(
    "enable", epilog="Example: sekisho account credential enable taro@example.org phone"
)
@click.argument("address")
@click.argument("credential")
@config_option
@json_option
@pass_shell
def enable(shell: Shell, address: str, credential: str, config_file: Path, as_json: bool) -> None:
    """Switch the CREDENTIAL on again."""
    from sekisho.admin.credentials import OneCredential

    with shell.operator(config_file) as ask:
        done = ask("credential.enable", OneCredential(address, credential))
    shell.report(
        done,
        as_json,
        "{address}: {credential} is on.",
        address=done.address,
        credential=_name(done.credential),
    )


@credential_command.command(
    "remove", epilog="Example: sekisho account credential remove taro@example.org phone"
)
@click.argument("address")
@click.argument("credential")
@config_option
@json_option
@pass_shell
def remove(shell: Shell, address: str, credential: str, config_file: Path, as_json: bool) -> None:
    """Remove the CREDENTIAL for good, for instance because the device is lost or sold."""
    from sekisho.admin.credentials import OneCredential

    with shell.operator(config_file) as ask:
        done = ask("credential.remove", OneCredential(address, credential))
    shell.report(
        done,
        as_json,
        "{address}: {credential} is removed.",
        address=done.address,
        credential=_name(done.credential),
    )


def last_day(end_us: int) -> str:
    """The day that ends then, here."""
    return when(end_us - 1)[:10] if end_us else "-"


def _name(credential: "Credential") -> str:
    return credential.label or credential.id


def _what_for(credential: "Credential") -> str:
    parts = [*credential.scopes, *(f"@ {network}" for network in credential.networks)]
    return " ".join(parts) + (f" ({credential.sender})" if credential.sender else "")
