"""`sekisho config`: what is set, what is wrong with it, what could be set."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell


@click.group("config")
def config_command() -> None:
    """Check, show and explain the configuration."""


@config_command.command("check", epilog="Example: sekisho config check -c sekisho.toml")
@config_option
@json_option
@click.option("--offline", is_flag=True, help="Look at the file only, not at the accounts it names.")
@pass_shell
def check(shell: Shell, config_file: Path, as_json: bool, offline: bool) -> int:
    """Print everything that is wrong with the configuration. Exit code 78 if a server would not start with
    it."""
    from sekisho.config.load import load
    from sekisho.config.problems import ConfigError

    problems: list[Any] = []
    try:
        loaded = load(config_file)
        problems += loaded.warnings
        if not offline:
            problems += _owner_problems(shell, config_file)
    except ConfigError as error:
        problems += error.problems
    broken = any(problem.is_error for problem in problems)
    if as_json:
        shell.print_json({"ok": not broken, "problems": [_for_json(shell, problem) for problem in problems]})
    else:
        shell.print_problems(config_file, problems)
        if not broken:
            click.echo(shell.say("{path} is in order.", path=config_file))
    return exits.BAD_CONFIG if broken else exits.OK


def _owner_problems(shell: Shell, config_file: Path) -> list[Any]:
    from dataclasses import replace

    from sekisho.admin.domains import Nothing
    from sekisho.config.problems import Problem

    try:
        with shell.operator(config_file) as ask:
            return [
                Problem(path=found.path, text=found.text, advice=found.advice, values=found.values)
                for found in ask("roles.check", Nothing())
            ]
    except CommandError as failed:
        unknown = Problem(
            path="roles",
            text="Whether the owners exist could not be checked: {reason}",
            advice="",
            values={"reason": shell.say(failed.text, **failed.values)},
        )
        return [replace(unknown, severity="warning")]


def _for_json(shell: Shell, problem: Any) -> dict[str, Any]:
    return {
        "path": problem.path,
        "line": problem.line,
        "severity": problem.severity,
        "problem": shell.say(problem.text, **problem.values),
        "advice": shell.say(problem.advice, **problem.values) if problem.advice else "",
    }


@config_command.command("show", epilog="Example: sekisho config show -c sekisho.toml")
@config_option
@pass_shell
def show(shell: Shell, config_file: Path) -> None:
    """Print the configuration with all defaults filled in, as JSON; instead of secrets it has asterisks."""
    from sekisho.config.secrets import masked

    shell.print_json(masked(shell.load_config(config_file)))


@config_command.command("reference", epilog="Example: sekisho config reference > configuration.md")
@pass_shell
def reference(shell: Shell) -> None:
    """Print every setting with its type, default and meaning, as Markdown."""
    from sekisho.faces.cli.reference import configuration_reference

    click.echo(configuration_reference(shell.say), nl=False)
