"""`sekisho reputation`: what this server knows of senders."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, printable, when

# How a sender stands.
WORDS = ("good", "bad", "unknown")


@click.group("reputation")
def reputation_command() -> None:
    """Show what this server has learned about senders."""


@reputation_command.command("list", epilog="Example: sekisho reputation list --kind domain")
@click.option(
    "--kind",
    type=click.Choice(["client", "network", "domain", "pair", "written"]),
    help="Only those of this kind.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="Most entries to show, the latest first.",
)
@config_option
@json_option
@pass_shell
def list_(shell: Shell, kind: str | None, limit: int, config_file: Path, as_json: bool) -> None:
    """List the senders that sent last."""
    from sekisho.admin.reputation import ListReputation

    with shell.operator(config_file) as ask:
        rows = ask("reputation.list", ListReputation(f"{kind}:" if kind else "", limit))
    if as_json:
        shell.print_json(rows)
        return
    say = shell.say
    columns = (say("Key"), say("State"), say("Score"), say("Messages"), say("Junk"), say("Last"))
    shell.print_table(columns, [_row(shell, row) for row in rows])


def _row(shell: Shell, row: Any) -> tuple[object, ...]:
    return (
        _key(row),
        shell.say(row.judged),
        f"{row.score:.2f}",
        row.messages,
        row.refused + row.junk,
        when(row.at_us),
    )


def _key(row: Any) -> str:
    return f"{row.key} ({row.account})" if row.account else str(row.key)


@reputation_command.command("show", epilog="Example: sekisho reputation show 192.0.2.1")
@click.argument("key")
@config_option
@json_option
@pass_shell
def show(shell: Shell, key: str, config_file: Path, as_json: bool) -> int:
    """Show what is known about KEY, and how its score comes about.

    KEY is an IP address, a network, a domain, an address, or a key as `sekisho reputation list` shows it.
    """
    from sekisho.admin.reputation import ReputationRequest

    with shell.operator(config_file) as ask:
        details = ask("reputation.show", ReputationRequest(key))
    if as_json:
        shell.print_json(details)
    elif not details.rows:
        click.echo(shell.say("Nothing is known about {subject}.", subject=printable(key)))
    else:
        _print_details(shell, details)
    return exits.OK if details.rows else exits.NOTHING_KNOWN


def _print_details(shell: Shell, details: Any) -> None:
    say = shell.say
    for row in details.rows:
        click.echo(printable(_key(row)))
        values = {
            "messages": row.messages,
            "refused": row.refused,
            "first": when(row.first_at_us),
            "last": when(row.at_us),
        }
        click.echo(
            "  "
            + say(
                "{messages} messages from {first} to {last}; {refused} were refused or put into Junk.",
                **values,
            )
        )
        people = {"junk": row.junk, "cleared": row.cleared, "written": row.written}
        if any(people.values()):
            click.echo(
                "  "
                + say(
                    "By your people: {junk} moved into Junk, {cleared} moved out of Junk, {written} "
                    "messages sent to the sender.",
                    **people,
                )
            )
        numbers = {
            "good": f"{row.good:.2f}",
            "bad": f"{row.bad:.2f}",
            "score": f"{row.score:.2f}",
            "judged": say(row.judged),
        }
        click.echo(
            "  " + say("What counts today: {good} good, {bad} bad; score {score}: {judged}.", **numbers)
        )
    limits = {
        "good_score": f"{details.good_score:g}", "good_weight": f"{details.good_weight:g}",
        "days": f"{details.half_life_days:g}",
        "bad_score": f"{details.bad_score:g}", "bad_weight": f"{details.bad_weight:g}",
    }  # fmt: skip
    click.echo(say("The score is (good + 1) / (good + bad + 2); both halve every {days} days.", **limits))
    click.echo(
        say(
            "Good: from {good_score} with {good_weight} in all; bad: up to {bad_score} with {bad_weight} "
            "in all.",
            **limits,
        )
    )


@reputation_command.command("forget", epilog="Example: sekisho reputation forget domain:shop.example")
@click.argument("key")
@config_option
@json_option
@pass_shell
def forget(shell: Shell, key: str, config_file: Path, as_json: bool) -> None:
    """Forget all that is known about KEY; it is treated as unknown from then on."""
    from sekisho.admin.reputation import ReputationRequest

    with shell.operator(config_file) as ask:
        forgotten = ask("reputation.forget", ReputationRequest(key))
    shell.report(forgotten, as_json, "Forgotten: {keys}.", keys=", ".join(forgotten.keys))
