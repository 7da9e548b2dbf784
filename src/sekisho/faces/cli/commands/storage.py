"""`sekisho backup`, `verify`, `restore`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import Progress
from sekisho.faces.cli.shell import Shell, config_option, json_option, octets, pass_shell

_FOLDER = click.Path(path_type=Path, file_okay=False)


@contextmanager
def progress_bar(shell: Shell) -> Iterator[Progress]:
    """A bar on a terminal; nothing elsewhere (logs of a nightly backup should hold its result only)."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(shell.say(what), total=total or None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield show


def _print_summary(shell: Shell, summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        shell.print_json(summary)
        return
    for name, value in summary.items():
        if name == "problems":
            for sentence in value:
                click.echo(f"! {sentence}")
            if not value:
                click.echo(shell.say("Nothing is missing or damaged."))
        else:
            click.echo(f"{shell.say(name)}: {octets(value) if name == 'octets' else value}")


@click.command("backup", epilog="Example: sekisho backup /backup/2026-11-24")
@click.argument("target", type=_FOLDER)
@config_option
@json_option
@pass_shell
def backup_command(shell: Shell, target: Path, config_file: Path, as_json: bool) -> None:
    """Copy mail, queue, accounts and ledger into the new folder TARGET; the server may run meanwhile."""
    config = shell.load_config(config_file)
    with progress_bar(shell) as progress:
        summary = shell.app.backup(config, target, progress)
    _print_summary(shell, summary, as_json)


@click.command("verify", epilog="Example: sekisho verify /backup/2026-11-24")
@click.argument("backup", type=_FOLDER, required=False)
@config_option
@json_option
@pass_shell
def verify_command(shell: Shell, backup: Path | None, config_file: Path, as_json: bool) -> int:
    """Check that a backup (or, without one, the live data) is whole. Exit code 1 if it is not."""
    config = shell.load_config(config_file)
    with progress_bar(shell) as progress:
        summary = shell.app.verify(config, backup, progress)
    _print_summary(shell, summary, as_json)
    return exits.FAILED if summary.get("problems") else exits.OK


@click.command("restore", epilog="Example: sekisho restore /backup/2026-11-24")
@click.argument("backup", type=_FOLDER)
@config_option
@json_option
@pass_shell
def restore_command(shell: Shell, backup: Path, config_file: Path, as_json: bool) -> None:
    """Fill an empty data folder from BACKUP. Refused while a server runs or when anything is there."""
    config = shell.load_config(config_file)
    with progress_bar(shell) as progress:
        summary = shell.app.restore(config, backup, progress)
    _print_summary(shell, summary, as_json)
