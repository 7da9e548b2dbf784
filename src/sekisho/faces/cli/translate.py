"""click in two languages: help texts of a command tree, headings, and what is wrong with a command line."""

import copy
import inspect
from typing import TypeVar

import click

from sekisho.faces.i18n.catalogue import Catalogue

CommandT = TypeVar("CommandT", bound=click.Command)


class Formatter(click.HelpFormatter):
    """Headings in the reader's language; `say` is set by the subclass that build_cli makes."""

    say: Catalogue

    def write_heading(self, heading: str) -> None:
        super().write_heading(self.say(heading))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{self.say('Usage')}: ")


def translated(command: CommandT, say: Catalogue) -> CommandT:
    """A copy of the command (and of all below it) whose help speaks the catalogue's language."""
    command = copy.copy(command)
    command.help = say(inspect.cleandoc(command.help)) if command.help else None
    if command.epilog:
        command.epilog = command.epilog.replace("Example:", f"{say('Example')}:", 1)
    params = []
    for parameter in command.params:
        parameter = copy.copy(parameter)
        if isinstance(parameter, click.Option) and parameter.help:
            parameter.help = say(parameter.help)
        params.append(parameter)
    command.params = params
    help_option = click.Option(
        ["-h", "--help"], is_flag=True, expose_value=False, is_eager=True, callback=_show_help, help=say("Show this help and exit.")
    )
    command.params.append(help_option)
    command.add_help_option = False
    if isinstance(command, click.Group):
        command.commands = {name: translated(child, say) for name, child in command.commands.items()}
    return command


def _show_help(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help())
        ctx.exit()


def usage_message(error: click.UsageError, say: Catalogue) -> str:
    """What is wrong with the command line, in one sentence."""
    if isinstance(error, click.NoSuchOption):
        hint = say(" Did you mean {names}?", names=", ".join(error.possibilities)) if error.possibilities else ""
        return say("There is no option {name}.", name=error.option_name) + hint
    if isinstance(error, click.NoSuchCommand):
        hint = say(" Did you mean {names}?", names=", ".join(error.possibilities)) if error.possibilities else ""
        return say("There is no command {name}.", name=error.command_name) + hint
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.opts[-1] if isinstance(error.param, click.Option) else error.param.human_readable_name
        return say("{name} is missing.", name=name)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, error.param, say)
    return error.format_message()


def _bad_value(error: click.BadParameter, parameter: click.Parameter, say: Catalogue) -> str:
    name = parameter.opts[-1] if isinstance(parameter, click.Option) else parameter.human_readable_name
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return say("{name} must be one of: {choices}.", name=name, choices=", ".join(kind.choices))
    if isinstance(kind, click.IntRange):
        return say("{name} must be a whole number from {low} to {high}.", name=name, low=kind.min, high=kind.max)
    return say("{name}: {reason}", name=name, reason=error.message)
