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
from sekisho.faces.cli.handle import AppHandle, CommandError
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
        """The configuration; when it is broken, prints every problem and ends with exits.BAD_CONFIG. What it
        names is not looked at."""
        from sekisho.config.load import load
        from sekisho.config.problems import ConfigError

        try:
            return load(path, with_files=False).config
        except ConfigError as error:
            self.print_problems(path, error.problems)
            raise CommandError(
                "Nothing was done: {path} has errors.", exits.BAD_CONFIG, path=str(path)
            ) from error

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
        """Ask the running server, or the store: `ask("domain.list", Nothing())` gives the operation's result
        type."""
        from sekisho.admin.operations import make_request, read_answer

        with self.app.operator(self.load_config(path)) as link:

            def ask(operation: str, arguments: msgspec.Struct) -> Any:
                return read_answer(operation, link(make_request(operation, arguments)))

            yield ask

    def print_json(self, value: Any) -> None:
        click.echo(msgspec.json.format(msgspec.json.encode(for_machines(value)), indent=2).decode())

    def report(self, result: Any, as_json: bool, sentence: str, **values: object) -> None:
        """How a change ended: the record for machines, or one sentence for people."""
        if as_json:
            self.print_json(result)
        else:
            click.echo(printable(self.say(sentence, **values)))

    def print_table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table with these headings; on anything but a terminal plain columns separated by tabs, one row a
        line."""
        texts = [[printable(cell) for cell in row] for row in rows]
        if not sys.stdout.isatty():
            for row in texts:
                click.echo("\t".join(row))
            return
        from rich.console import Console

        console = Console()
        if (table := _table(columns, texts, console.width)) is not None:
            console.print(table)
            return
        # One record after the other, and each line whole: what is copied from it (ids, addresses) must not be
        # broken.
        for number, row in enumerate(texts):
            if number:
                click.echo()
            self.print_fields(list(zip(columns, row, strict=True)))

    def print_fields(self, fields: Sequence[tuple[str, object]]) -> None:
        """`name: value` lines of one record."""
        for name, value in fields:
            click.echo(f"{name}: {printable(value)}")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Any:
    """None if it has not the room to leave every word whole."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sekisho.faces.cli.wrapping import columns_of, narrowest

    cells = [[column, *(row[number] for row in rows)] for number, column in enumerate(columns)]
    sizes = [max(map(narrowest, column)) for column in cells]
    left = width - sum(sizes) - 3 * len(sizes)  # between them and at the edges
    if left < 0:
        return None
    for number, column in sorted(enumerate(cells), key=lambda pair: max(map(columns_of, pair[1]))):
        more = min(left, max(map(columns_of, column)) - sizes[number])
        sizes[number] += more
        left -= more
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, size in zip(columns, sizes, strict=True):
        table.add_column(name, overflow="fold", width=size)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def for_machines(value: Any) -> Any:
    """As JSON's readers take it: ids have 64 bits, of which JavaScript and others keep 53, so they are texts,
    all of them."""
    return _with_ids_as_text(msgspec.to_builtins(value))


def _with_ids_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: str(inner) if _is_id(name, inner) else _with_ids_as_text(inner)
            for name, inner in value.items()
        }
    return [_with_ids_as_text(inner) for inner in value] if isinstance(value, list | tuple) else value


def _is_id(name: object, value: object) -> bool:
    return type(value) is int and isinstance(name, str) and (name in ("id", "case") or name.endswith("_id"))


def printable(value: object) -> str:
    """Text for a terminal: what peers wrote (replies, addresses) may not steer it (THREATS 25)."""
    text = str(value)
    return (
        text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    )


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
