"""`sekisho serve` and `sekisho try`."""

import os
from pathlib import Path

import click
import msgspec

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import TryReady
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell

# how whoever started it calls this program, if it is not on the search path (./run says ./sekisho)
PROGRAM = "SEKISHO_PROGRAM"
DEFAULT_TRY_DIR = Path("sekisho-try")


@click.command("serve", epilog="Example: sekisho serve -c /etc/sekisho/sekisho.toml")
@config_option
@pass_shell
def serve_command(shell: Shell, config_file: Path) -> int:
    """Run the mail server in the foreground until SIGTERM or SIGINT.

    SIGHUP reads the configuration and the certificates again; if they are broken, the old ones stay in force.
    """
    from sekisho.config.problems import ConfigError

    try:
        return shell.app.serve(config_file)
    except ConfigError as error:
        shell.print_problems(config_file, error.problems)
        return exits.BAD_CONFIG


@click.command("try", epilog="Example: sekisho try --dir /tmp/sekisho --base-port 20000")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_TRY_DIR,
    show_default=True,
    help="Where it lives.",
)
@click.option(
    "--base-port",
    type=click.IntRange(0, 64000),
    default=None,
    help="Ports are this number plus the usual port (10000: 10025, 10143, …); 0: free ones. Default: "
    "10000, or as at the first start.",
)
@json_option
@pass_shell
def try_command(shell: Shell, folder: Path, base_port: int | None, as_json: bool) -> int:
    """Run a complete server on loopback, with high ports, the domain example.test, two accounts and
    certificates of its own.

    The folder is made at the first start and used again later; it also holds a sekisho.toml for `sekisho
    serve -c`.
    """

    def announce(ready: TryReady) -> None:
        if as_json:
            click.echo(msgspec.json.encode(ready).decode())
        else:
            from sekisho.faces.cli.welcome import welcome

            click.echo(welcome(ready, shell.say, os.environ.get(PROGRAM, "sekisho")))

    return shell.app.try_out(folder, base_port, announce)
