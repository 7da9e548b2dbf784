"""`sekisho door`: how mail from strangers is judged."""

import time
from pathlib import Path

import click

from sekisho.faces.cli.commands.why import Span
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, when

# How a rule is followed, and when it is asked.
WORDS = ("enforce", "observe", "off", "greeting", "sender", "recipient", "message")


@click.group("door")
def door_command() -> None:
    """The door: rules that judge mail from other servers."""


@door_command.command("rules", epilog="Example: sekisho door rules")
@config_option
@json_option
@pass_shell
def rules(shell: Shell, config_file: Path, as_json: bool) -> None:
    """List the rules in their order; the first enforced rule that applies decides."""
    config = shell.load_config(config_file)
    from sekisho.config.door import door_rules
    from sekisho.core.policy.door.connection import CONNECTION_RULES
    from sekisho.core.policy.door.judge import RULES
    from sekisho.faces.i18n.catalogue import catalogue

    chosen, japanese = door_rules(config), catalogue("ja")
    every = CONNECTION_RULES + RULES
    if as_json:
        told = [(rule, {"en": rule.says, "ja": japanese(rule.says)}) for rule in every]
        shell.print_json(
            [
                {
                    "name": rule.name,
                    "stage": rule.stage,
                    "mode": chosen.mode(rule.name),
                    "setting": rule.setting.path,
                    "says": says,
                }
                for rule, says in told
            ]
        )
        return
    say = shell.say
    rows = [
        (rule.name, say(rule.stage), say(chosen.mode(rule.name)), rule.setting.path, say(rule.says))
        for rule in every
    ]
    shell.print_table((say("Rule"), say("Asked at"), say("Mode"), say("Setting"), say("What it does")), rows)


@door_command.command("greylist", epilog="Example: sekisho door greylist --since 7d --limit 20")
@click.option("--since", type=Span(), help="Only senders that came first in the last 30m, 12h, 7d, 2w …")
@click.option(
    "--limit",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    help="Most senders to show that did not try again.",
)
@config_option
@json_option
@pass_shell
def greylist(shell: Shell, since: int | None, limit: int, config_file: Path, as_json: bool) -> None:
    """Show how many senders were asked to try again later, how many did, and after how long."""
    from sekisho.admin.door import AskGreylist

    since_us = int((time.time() - since) * 1_000_000) if since else 0
    with shell.operator(config_file) as ask:
        found = ask("door.greylist", AskGreylist(since_us, limit))
    if as_json:
        shell.print_json(found)
        return
    say = shell.say
    values = {
        "delayed": found.delayed,
        "back": found.came_back,
        "waiting": found.waiting,
        "never": found.never,
    }
    click.echo(
        say(
            "{delayed} senders were asked to try again later: {back} did, {never} did not, {waiting} "
            "still may.",
            **values,
        )
    )
    before = 0
    for seconds, count in found.within:
        bounds = {"count": count, "less": _minutes(before), "most": _minutes(seconds)}
        if count and seconds:
            click.echo("  " + say("{count} tried again after {less} to {most} minutes.", **bounds))
        elif count:
            click.echo("  " + say("{count} tried again later.", **bounds))
        before = seconds
    rows = [(row.key, row.tries, when(row.first_at_us), when(row.last_at_us)) for row in found.open]
    if rows:
        shell.print_table((say("Sender"), say("Tries"), say("First"), say("Last")), rows)


def _minutes(seconds: int) -> int:
    return seconds // 60
