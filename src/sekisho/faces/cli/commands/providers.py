"""`sekisho providers` and `sekisho warmup`: how fast mail goes to the big providers."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, when


@click.command("providers", epilog="Example: sekisho providers --json")
@config_option
@json_option
@pass_shell
def providers_command(shell: Shell, config_file: Path, as_json: bool) -> int:
    """Show how fast mail goes to each provider, and what slowed it.

    Slowed providers come first. A provider that complained is left alone for a while, then gets mail slowly.
    """
    from sekisho.admin.domains import Nothing
    from sekisho.core.policy.shaping.explaining import meaning_in

    with shell.operator(config_file) as ask:
        rows = ask("shaping.providers", Nothing())
    if as_json:
        shell.print_json(rows)
        return exits.OK
    say = shell.say
    columns = (
        say("Provider"),
        say("State"),
        say("Connections"),
        say("A minute"),
        say("Closed until"),
        say("Last reply"),
    )
    shell.print_table(columns, [_row(shell, row) for row in rows])
    for row in rows:
        if row.state != "free" and row.rule:
            told = meaning_in(row.rule, say.language)
            click.echo()
            click.echo(f"{row.title}: {told['meaning']}")
            click.echo(f"→ {told['advice']}")
    return exits.OK


def _row(shell: Shell, row: Any) -> tuple[object, ...]:
    pace = f"{row.per_minute:g}" if row.per_minute else "-"
    name = f"{row.group} ({row.source})" if row.source else row.group
    return (
        name,
        shell.say(row.state),
        row.connections or "-",
        pace,
        when(row.closed_until_us),
        row.reply or "-",
    )


@click.group("warmup")
def warmup_command() -> None:
    """How far this server's address is known at the big providers."""


@warmup_command.command("show", epilog="Example: sekisho warmup show")
@config_option
@json_option
@pass_shell
def show(shell: Shell, config_file: Path, as_json: bool) -> int:
    """Show the budget of recipients for today, by provider."""
    from sekisho.admin.domains import Nothing

    with shell.operator(config_file) as ask:
        rows = ask("warmup.show", Nothing())
    say = shell.say
    if as_json:
        shell.print_json(rows)
    elif not rows:
        click.echo(say("No budget is kept: shaping.warmup says when one is, and nothing was sent so far."))
    else:
        columns = (
            say("Provider"),
            say("State"),
            say("Budget today"),
            say("Used"),
            say("Of it bulk"),
            say("Clean days"),
            say("Trouble"),
        )
        shell.print_table(columns, [_warmth(shell, row) for row in rows])
    return exits.OK


def _warmth(shell: Shell, row: Any) -> tuple[object, ...]:
    name = f"{row.group} ({row.source})" if row.source else row.group
    budget = "-" if row.is_warm else row.budget
    state = shell.say("warm") if row.is_warm else shell.say("cold")
    return (
        name,
        state,
        budget,
        row.used,
        row.bulk,
        row.clean_days,
        shell.say(row.trouble) if row.trouble else "-",
    )


@warmup_command.command("simulate", epilog="Example: sekisho warmup simulate 300 --provider google")
@click.argument("recipients", type=click.IntRange(1, 1_000_000))
@click.option("--provider", default="google", show_default=True, help="At which provider they all are.")
@click.option("--people", is_flag=True, help="Letters of people, not a newsletter.")
@config_option
@json_option
@pass_shell
def simulate(
    shell: Shell, recipients: int, provider: str, people: bool, config_file: Path, as_json: bool
) -> int:
    """Tell when RECIPIENTS at one provider would be through, if sending began now."""
    from sekisho.admin.shaping import SimulateWarmup

    with shell.operator(config_file) as ask:
        told = ask("warmup.simulate", SimulateWarmup(recipients, provider, not people))
    if as_json:
        shell.print_json(told)
        return exits.OK
    say = shell.say
    rows = [(when(portion.at_us), portion.recipients) for portion in told.portions]
    shell.print_table((say("Time"), say("Recipients")), rows)
    click.echo(
        say("The last of them goes at about {when}, if nothing goes wrong.", when=when(told.through_us))
    )
    if told.is_cold:
        click.echo(say("This is for an address that is new there; no budget is kept now."))
    return exits.OK
