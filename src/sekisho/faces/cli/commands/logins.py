"""`sekisho account logins`: who logged in as an account."""

import time
from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli.commands.why import Span
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, printable, when


@click.command("logins", epilog="Example: sekisho account logins taro@example.org --since 7d")
@click.argument("address")
@click.option("--since", type=Span(), help="Only what happened in the last 30m, 12h, 7d, 2w …")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Most entries to show, the latest first.",
)
@click.option("--refused", is_flag=True, help="Failed logins too.")
@config_option
@json_option
@pass_shell
def logins(
    shell: Shell, address: str, since: int | None, limit: int, refused: bool, config_file: Path, as_json: bool
) -> None:
    """Show who logged in as ADDRESS: when, from where, by which protocol and mechanism, with which TLS and
    credential."""
    from sekisho.admin.logins import LoginsRequest

    since_us = int((time.time() - since) * 1_000_000) if since else 0
    with shell.operator(config_file) as ask:
        history = ask("account.logins", LoginsRequest(address, since_us, limit, refused))
    if as_json:
        shell.print_json(history)
        return
    say = shell.say
    columns = (
        say("Time"),
        say("Client"),
        say("Service"),
        say("Mechanism"),
        "TLS",
        say("Credential"),
        say("Result"),
    )
    shell.print_table(columns, [_row(shell, login) for login in history.logins])
    if history.places:
        click.echo(f"\n{say('Known places')}:")
    for place in history.places:
        days = say("{count} days, last {time}", count=place.days, time=when(place.last_us))
        click.echo(f"  {place.network}  {printable(place.credential_id)}  {days}")


def _row(shell: Shell, login: Any) -> tuple[str, ...]:
    say = shell.say
    result = say("new place") if login.is_new else say("accepted") if login.is_accepted else login.cause
    return (
        when(login.at_us), login.client, login.service, login.mechanism or "-", login.tls or "-",
        login.credential or "-", result,
    )  # fmt: skip
