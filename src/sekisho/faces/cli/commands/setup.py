"""`sekisho setup`: a first sekisho.toml for a real server."""

import os
from pathlib import Path

import click

from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import DEFAULT_CONFIG, Shell, pass_shell, printable

# The server's user runs commands with it, and programs of the machine find the socket of sendmail(1) by it;
# it holds no secret yet.
_READABLE, _PASSABLE = 0o644, 0o755


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(_PASSABLE)


@click.command(
    "setup", epilog="Example: sekisho setup mx.example.org --owner taro@example.org -c sekisho.toml"
)
@click.argument("hostname")
@click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="File to write.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/sekisho"),
    show_default=True,
    help="Where mail will live.",
)
@click.option(
    "--owner",
    help="Account that reads the mail to postmaster and abuse; default: postmaster at the host's domain.",
)
@click.option(
    "--cert-file",
    type=click.Path(path_type=Path),
    help="PEM chain; default: where certbot puts it for HOSTNAME.",
)
@click.option("--key-file", type=click.Path(path_type=Path), help="PEM private key; default: likewise.")
@click.option("--user", default="sekisho", show_default=True, help="System user of the workers.")
@pass_shell
def setup_command(
    shell: Shell,
    hostname: str,
    config_file: Path,
    data_dir: Path,
    owner: str | None,
    cert_file: Path | None,
    key_file: Path | None,
    user: str,
) -> None:
    """Write a first configuration file, with comments, for the server HOSTNAME. An existing file is never
    overwritten."""
    from sekisho.admin.context import parse_address
    from sekisho.config.checks import problems_of_hostname
    from sekisho.config.write import USUAL_PORTS, Starter, render

    for problem in problems_of_hostname(hostname):
        click.echo(printable(shell.say(problem.advice, **problem.values)), err=True)
        raise CommandError(problem.text, **problem.values)
    domain = hostname.partition(".")[2]
    address = str(parse_address(owner)) if owner else ""
    live = Path("/etc/letsencrypt/live") / hostname
    text = render(
        Starter(
            hostname=hostname,
            data_dir=data_dir.absolute(),
            postmaster=address or f"postmaster@{domain}",
            abuse=address or f"postmaster@{domain}",
            addresses=("0.0.0.0", "::"),
            ports=USUAL_PORTS,
            cert_file=cert_file.absolute() if cert_file else live / "fullchain.pem",
            key_file=key_file.absolute() if key_file else live / "privkey.pem",
            user=user,
            language=shell.say.language,
        )
    )
    try:
        _make_folder(config_file.absolute().parent)
        with open(
            os.open(config_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8"
        ) as file:
            os.fchmod(file.fileno(), _READABLE)
            file.write(text)
    except FileExistsError as error:
        raise CommandError("{path} exists already; nothing was written.", path=str(config_file)) from error
    click.echo(shell.say("Wrote {path}. Read it, then: sekisho config check -c {path}", path=config_file))
