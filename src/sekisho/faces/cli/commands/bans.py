"""`sekisho bans`: networks that may not log in for a while."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli.commands.why import Span
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, printable, when

# How each reason is said in a table, and each cause of a refused login.
REASONS = {
    "guesses": "too many failed logins",
    "unknown-names": "unknown account names",
    "account": "wrong passwords at this account",
    "wide": "guessing from all around",
    "operator": "banned by an operator",
}
WORDS = tuple(REASONS.values())


@click.group("bans")
def bans_command() -> None:
    """Bans: networks that may not log in for a while."""


@bans_command.command("list", epilog="Example: sekisho bans list --json")
@config_option
@json_option
@pass_shell
def list_(shell: Shell, config_file: Path, as_json: bool) -> None:
    """List the networks that are banned from logging in, and why."""
    from sekisho.admin.bans import ListBans

    with shell.operator(config_file) as ask:
        bans = ask("bans.list", ListBans())
    if as_json:
        shell.print_json(bans)
    else:
        _print_bans(shell, bans)


def _print_bans(shell: Shell, bans: list[Any]) -> None:
    say = shell.say
    columns = (
        say("Network"),
        say("Account"),
        say("Reason"),
        say("Failures"),
        say("Since"),
        say("Until"),
        say("By"),
        say("Note"),
    )
    rows = [
        (
            ban.network,
            ban.account or say("all"),
            say(REASONS[ban.reason]),
            ban.failures or "-",
            when(ban.since_us),
            when(ban.until_us) if ban.until_us else say("until it is lifted"),
            ban.by,
            ban.note or "-",
        )
        for ban in bans
    ]
    shell.print_table(columns, rows)


@bans_command.command("show", epilog="Example: sekisho bans show 192.0.2.7")
@click.argument("network")
@config_option
@json_option
@pass_shell
def show(shell: Shell, network: str, config_file: Path, as_json: bool) -> None:
    """Show what is banned in and around NETWORK (or an address), what counts against it, and what was tried
    from there."""
    from sekisho.admin.bans import ShowBans

    with shell.operator(config_file) as ask:
        details = ask("bans.show", ShowBans(network))
    if as_json:
        shell.print_json(details)
        return
    if details.bans:
        _print_bans(shell, details.bans)
    else:
        click.echo(shell.say("There is no ban on {network}.", network=details.network))
    for tally in details.tallies:
        click.echo(
            shell.say(
                "{network}: {failures} failed logins and {unknown} unknown names count at the moment.",
                network=tally.network,
                failures=tally.failures,
                unknown=tally.unknown_names,
            )
        )
    for tried in details.tried:
        click.echo(
            f"  {when(tried.at_us)}  {printable(tried.client)}  {tried.service}  "
            f"{printable(tried.username)}  {printable(tried.cause)}"
        )


@bans_command.command("lift", epilog="Example: sekisho bans lift 192.0.2.0/24")
@click.argument("network")
@click.option("--account", default="", help="Only bans from this account.")
@config_option
@json_option
@pass_shell
def lift(shell: Shell, network: str, account: str, config_file: Path, as_json: bool) -> None:
    """Let NETWORK log in again at once, with all its tries; bans in it and around it are lifted."""
    from sekisho.admin.bans import LiftBans

    with shell.operator(config_file) as ask:
        lifted = ask("bans.lift", LiftBans(network, account))
    if as_json:
        shell.print_json(lifted)
        return
    for ban in lifted:
        if ban.account:
            click.echo(
                shell.say(
                    "{network} may log in as {account} again.",
                    network=ban.network,
                    account=printable(ban.account),
                )
            )
        else:
            click.echo(shell.say("{network} may log in again.", network=ban.network))


@bans_command.command(
    "add", epilog="Example: sekisho bans add 198.51.100.0/24 --for 7d --note 'guesses for weeks'"
)
@click.argument("network")
@click.option("--account", default="", help="Ban NETWORK from this account only.")
@click.option(
    "--for",
    "seconds",
    type=Span(),
    default=0,
    help="How long, such as 12h or 7d; without it: until it is lifted.",
)
@click.option("--note", default="", help="Reason, shown in the list of bans.")
@config_option
@json_option
@pass_shell
def add(
    shell: Shell, network: str, account: str, seconds: int, note: str, config_file: Path, as_json: bool
) -> None:
    """Ban NETWORK from logging in, also those who logged in from there before. Sessions that are open stay
    open."""
    from sekisho.admin.bans import AddBan

    with shell.operator(config_file) as ask:
        ban = ask("bans.add", AddBan(network, account, seconds, note))
    if ban.until_us:
        shell.report(
            ban, as_json, "{network} is banned until {until}.", network=ban.network, until=when(ban.until_us)
        )
    else:
        shell.report(ban, as_json, "{network} is banned until the ban is lifted.", network=ban.network)
