"""`sekisho reports`: what others reported about our domains and our mail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, when


@click.group("reports")
def reports_command() -> None:
    """What other servers report about your domains and your mail."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        pass_shell,
        json_option,
        config_option,
        click.option("--unproven", is_flag=True, help="Also reports whose sender nothing proves."),
        click.option(
            "--days",
            type=click.IntRange(1, 3650),
            default=30,
            show_default=True,
            help="Reports that came within so many days.",
        ),
        click.option("--domain", default="", help="Only of this domain."),
    ):
        command = option(command)
    return command


@reports_command.command("dmarc", epilog="Example: sekisho reports dmarc --domain example.org")
@_options
def dmarc(shell: Shell, config_file: Path, as_json: bool, **asked: Any) -> None:
    """Show who sends mail in the name of your domains, what fails, since when, and what to do."""
    rows = _ask(shell, "reports.dmarc", config_file, asked)
    if as_json:
        shell.print_json(rows)
        return
    say = shell.say
    headings = (
        say("Domain"),
        say("Host"),
        say("Messages"),
        say("Passed"),
        say("Failed"),
        say("Since"),
        say("Through"),
        say("What to do"),
    )
    shell.print_table(headings, [_sender(shell, row) for row in rows])
    _none(shell, rows)


def _sender(shell: Shell, row: Any) -> tuple[object, ...]:
    return (
        row.domain,
        row.source_ip,
        row.messages,
        row.passed,
        row.failed,
        when(row.since_s * 1_000_000)[:10],
        ", ".join(row.through) or "-",
        shell.say(row.advice) if row.advice else "-",
    )


@reports_command.command("tls", epilog="Example: sekisho reports tls --days 7")
@_options
def tls(shell: Shell, config_file: Path, as_json: bool, **asked: Any) -> None:
    """Show over what TLS others bring mail to your domains, what fails, since when, and what to do."""
    rows = _ask(shell, "reports.tls", config_file, asked)
    if as_json:
        shell.print_json(rows)
        return
    say = shell.say
    headings = (
        say("Domain"),
        say("Policy"),
        say("Sessions"),
        say("Failed"),
        say("Failures"),
        say("Since"),
        say("What to do"),
    )
    shell.print_table(headings, [_tls(shell, row) for row in rows])
    _none(shell, rows)


def _tls(shell: Shell, row: Any) -> tuple[object, ...]:
    return (
        row.domain,
        row.policy_type,
        row.successes + row.failed,
        row.failed,
        ", ".join(f"{name} {count}" for name, count in row.failures.items()) or "-",
        when(row.since_s * 1_000_000)[:10],
        shell.say(row.advice) if row.advice else "-",
    )


@reports_command.command("complaints", epilog="Example: sekisho reports complaints --days 7")
@_options
def complaints(shell: Shell, config_file: Path, as_json: bool, **asked: Any) -> None:
    """Show about whose mail other receivers complained."""
    rows = _ask(shell, "reports.complaints", config_file, asked)
    if as_json:
        shell.print_json(rows)
        return
    say = shell.say
    headings = (say("Account"), say("Complaints"), say("Reporters"), say("Last"), say("Messages"))
    table = [
        (
            row.account or "?",
            row.complaints,
            ", ".join(row.reporters),
            when(row.last_us),
            len(row.message_ids),
        )
        for row in rows
    ]
    shell.print_table(headings, table)
    _none(shell, rows)


def _ask(shell: Shell, operation: str, config_file: Path, asked: dict[str, Any]) -> Any:
    from sekisho.admin.reports import AskReports

    with shell.operator(config_file) as ask:
        return ask(operation, AskReports(**asked))


def _none(shell: Shell, rows: Any) -> None:
    if not rows:
        click.echo(shell.say("No such reports came."), err=True)
