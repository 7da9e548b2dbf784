"""What every command has at hand: the application, the language, and how results are shown."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import AppHandle, CommandFailed
from sekisho.faces.i18n.catalogue import Catalogue

if TYPE_CHECKING:  # pydantic takes 50 ms to import: only the commands that read a configuration pay for it
    from sekisho.config.schema import Config, ResolverSettings

DEFAULT_CONFIG = Path("/etc/sekisho/sekisho.toml")
Ask = Callable[[str, msgspec.Struct], Any]


@dataclass(slots=True)
class Shell:
    app: AppHandle
    say: Catalogue

    def load_config(self, path: Path) -> "Config":
        """The configuration; when it is broken, prints every problem and ends with exits.BAD_CONFIG. What it names is not looked at."""
        from sekisho.config.load import load
        from sekisho.config.problems import ConfigError

        try:
            return load(path, with_files=False).config
        except ConfigError as error:
            self.print_problems(path, error.problems)
            raise CommandFailed("Nothing was done: {path} has errors.", exits.BAD_CONFIG, path=str(path)) from error

    def print_problems(self, path: Path, problems: Sequence[Any]) -> None:
        """One paragraph per config.problems.Problem, on standard error."""
        for problem in problems:
            place = f"{path}:{problem.line}" if problem.line else str(path)
            name = f" {problem.path}:" if problem.path else ""
            kind = self.say("error") if problem.is_error else self.say("warning")
            click.echo(f"{place}: {kind}:{name} {self.say(problem.text, **problem.values)}", err=True)
            if problem.advice:
                click.echo(f"    {self.say(problem.advice, **problem.values)}", err=True)

    @contextmanager
    def operator(self, path: Path) -> Iterator[Ask]:
        """Ask the running server, or the store: `ask("domain.list", Nothing())` gives the operation's result type."""
        from sekisho.admin.operations import make_request, read_answer

        with self.app.operator(self.load_config(path)) as link:

            def ask(operation: str, arguments: msgspec.Struct) -> Any:
                return read_answer(operation, link(make_request(operation, arguments)))

            yield ask

    def print_json(self, value: Any) -> None:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())

    def report(self, result: Any, as_json: bool, sentence: str, **values: object) -> None:
        """How a change ended: the record for machines, or one sentence for people."""
        if as_json:
            self.print_json(result)
        else:
            click.echo(printable(self.say(sentence, **values)))

    def print_table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table with these headings; on anything but a terminal plain columns separated by tabs, one row a line."""
        texts = [[printable(cell) for cell in row] for row in rows]
        if not sys.stdout.isatty():
            for row in texts:
                click.echo("\t".join(row))
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in texts:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)

    def print_fields(self, fields: Sequence[tuple[str, object]]) -> None:
        """`name: value` lines of one record."""
        for name, value in fields:
            click.echo(f"{name}: {printable(value)}")


def printable(value: object) -> str:
    """Text for a terminal: what peers wrote (replies, addresses) may not steer it (THREATS 25)."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def when(at_us: int) -> str:
    """A local time for people, or "-" for none."""
    if not at_us:
        return "-"
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def octets(count: int) -> str:
    """1536 -> "1.5 KiB"."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SEKISHO_CONFIG",
        default=DEFAULT_CONFIG,
        show_default=True,
        help="The configuration file; SEKISHO_CONFIG names it too.",
    )(command)


def resolver_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Ask this DNS resolver, not those of the configuration or of /etc/resolv.conf."
    return click.option("--resolver", metavar="ADDRESS[:PORT]", help=text)(command)


def resolver_settings(config: "Config | None", server: str | None) -> "ResolverSettings":
    """Those of the configuration, with the server that `resolver_option` names."""
    from sekisho.config.schema import ResolverSettings

    settings = config.resolver if config else ResolverSettings()
    return settings.model_copy(update={"servers": (server,)}) if server else settings


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(command)


pass_shell = click.make_pass_decorator(Shell)
