"""`sekisho account factor`: a second factor beside the account's password."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sekisho.faces.cli.shell import Ask, Shell, config_option, json_option, pass_shell, when

if TYPE_CHECKING:
    from sekisho.admin.factor import FactorBegun, FactorConfirmed, FactorView


@click.command("factor", epilog="Example: sekisho account factor taro@example.org enable")
@click.argument("address")
@click.argument("action", type=click.Choice(["show", "enable", "confirm", "disable", "check"]))
@click.argument("code", required=False, default="")
@config_option
@json_option
@pass_shell
def factor(shell: Shell, address: str, action: str, code: str, config_file: Path, as_json: bool) -> None:
    """Ask for a code of a telephone app beside the account's password. Mail programs then need app passwords.

    enable shows the secret for the app; confirm CODE switches it on; check CODE tells whether it is the owner
    who reads out the code.
    """
    if action in ("confirm", "check") and not code:
        if not sys.stdin.isatty():
            raise click.UsageError(shell.say("{name} is missing.", name="CODE"))
        code = click.prompt(shell.say("Code"))
    with shell.operator(config_file) as ask:
        result = _ask(ask, action, address, code)
    if as_json:
        shell.print_json(result)
    elif action == "enable":
        _print_secret(shell, result)
    elif action == "confirm":
        _print_codes(shell, result)
    elif action == "check":
        if result.by == "code":
            click.echo(
                shell.say("The code is right: it is the telephone of {address}.", address=result.address)
            )
        else:
            click.echo(
                shell.say(
                    "The recovery code is right and used up; {count} are left.", count=result.recovery_left
                )
            )
    elif action == "disable":
        click.echo(shell.say("{address} no longer needs a second factor.", address=result.address))
    else:
        _print_state(shell, result)


def _ask(ask: Ask, action: str, address: str, code: str) -> Any:
    from sekisho.admin.factor import FactorCode, FactorRequest

    with_code = action in ("confirm", "check")
    return ask(f"factor.{action}", FactorCode(address, code) if with_code else FactorRequest(address))


def _print_secret(shell: Shell, begun: "FactorBegun") -> None:
    if sys.stdout.isatty():
        import segno

        drawn = io.StringIO()
        segno.make(begun.uri, error="l", micro=False).terminal(drawn, compact=True, border=2)
        click.echo(drawn.getvalue())
    say = shell.say
    shell.print_fields(((say("Secret"), begun.secret), (say("For the app"), begun.uri)))
    click.echo(
        say(
            "Read it into the telephone's app, then confirm with a code: sekisho account factor {address} "
            "confirm CODE",
            address=begun.address,
        )
    )


def _print_codes(shell: Shell, confirmed: "FactorConfirmed") -> None:
    say = shell.say
    click.echo(
        say(
            "{address} has a second factor now. Recovery codes, each for one use, shown only now:",
            address=confirmed.address,
        )
    )
    for code in confirmed.recovery_codes:
        click.echo(f"  {code}")
    if confirmed.app_passwords:
        click.echo(
            say(
                "Mail programs log in with app passwords only from now on; there are {count}.",
                count=confirmed.app_passwords,
            )
        )
    else:
        click.echo(
            say(
                "Mail programs cannot log in again until they have app passwords: sekisho account "
                "credential add {address} phone",
                address=confirmed.address,
            )
        )


def _print_state(shell: Shell, view: "FactorView") -> None:
    say = shell.say
    word = {"off": say("off"), "begun": say("begun, not confirmed"), "on": say("on")}[view.state]
    fields = [(say("Address"), view.address), (say("Second factor"), word)]
    if view.state == "on":
        fields += [
            (say("Since"), when(view.confirmed_at_us)),
            (say("Recovery codes left"), str(view.recovery_left)),
        ]
    shell.print_fields([*fields, (say("App passwords"), str(view.app_passwords))])
