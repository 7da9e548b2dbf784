"""click in two languages: help texts of a command tree, headings, and what is wrong with a command line."""

import copy
import inspect
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

import click

from sekisho.faces.cli.wrapping import UNWRAPPED, columns_of, fill_paragraphs
from sekisho.faces.i18n.catalogue import Catalogue

_SENTENCE_END = re.compile(r"(?<=[.。])(?:(?<=。)| )(?=\S)")

CommandT = TypeVar("CommandT", bound=click.Command)


class Formatter(click.HelpFormatter):
    """Headings in the reader's language; `say` is set by the subclass that `translated` makes."""

    say: Catalogue

    def write_text(self, text: str) -> None:
        self.write(fill_paragraphs(text, self.width, " " * self.current_indent) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        first = min(max((columns_of(name) for name, _ in rows), default=0), col_max) + col_spacing
        indent, column = " " * self.current_indent, " " * (self.current_indent + first)
        for name, text in rows:
            told = fill_paragraphs(text, self.width, column)
            if columns_of(name) <= first - col_spacing:
                told = indent + name + told[self.current_indent + columns_of(name) :]
            else:
                told = f"{indent}{name}\n{told}"
            self.write(told.rstrip() + "\n")

    def write_heading(self, heading: str) -> None:
        super().write_heading(self.say(heading))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{self.say('Usage')}: ")


@lru_cache
def _context_class(say: Catalogue) -> type[click.Context]:
    """Each command makes its own context, and would fall back to click's formatter."""
    formatter = type("SekishoFormatter", (Formatter,), {"say": say})
    return type("SekishoContext", (click.Context,), {"formatter_class": formatter})


def paragraphs(text: str) -> str:
    """A docstring with each paragraph on a line of its own: where it is broken is the editor's business."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(part if part.startswith(UNWRAPPED) else " ".join(part.split()) for part in parts)


def translated(command: CommandT, say: Catalogue) -> CommandT:
    """A copy of the command (and of all below it) whose help speaks the catalogue's language."""
    command = copy.copy(command)
    command.context_class = _context_class(say)
    command.help = say(paragraphs(command.help)) if command.help else None
    command.short_help = first_sentence(command.help or "")
    if command.epilog:
        # A line of its own, and never broken: it is there to be copied.
        command.epilog = (
            f"{UNWRAPPED}\n{say('Example')}:\n  {command.epilog.removeprefix('Example:').strip()}"
        )
    params = []
    for parameter in command.params:
        parameter = copy.copy(parameter)
        if isinstance(parameter, click.Option) and parameter.help:
            parameter.help = say(parameter.help)
        params.append(parameter)
    command.params = params
    help_option = click.Option(
        ["-h", "--help"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_show_help,
        help=say("Show this help and exit."),
    )
    command.params.append(help_option)
    command.add_help_option = False
    if isinstance(command, click.Group):
        command.commands = {name: translated(child, say) for name, child in command.commands.items()}
    return command


def first_sentence(text: str) -> str:
    """For a list of commands, which has a line or two for each."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return _SENTENCE_END.split(paragraph, maxsplit=1)[0]


def _show_help(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help())
        ctx.exit()


def usage_message(error: click.UsageError, say: Catalogue) -> str:
    """What is wrong with the command line, in one sentence."""
    if isinstance(error, click.NoSuchOption):
        hint = (
            say(" Did you mean {names}?", names=", ".join(error.possibilities)) if error.possibilities else ""
        )
        return say("There is no option {name}.", name=error.option_name) + hint
    if isinstance(error, click.NoSuchCommand):
        hint = (
            say(" Did you mean {names}?", names=", ".join(error.possibilities)) if error.possibilities else ""
        )
        return say("There is no command {name}.", name=error.command_name) + hint
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = (
            error.param.opts[-1] if isinstance(error.param, click.Option) else error.param.human_readable_name
        )
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
        return say(
            "{name} must be a whole number from {low} to {high}.", name=name, low=kind.min, high=kind.max
        )
    return say("{name}: {reason}", name=name, reason=error.message)
