"""`sekisho account import`: accounts of another server, with the hashes of their passwords."""

from pathlib import Path

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell

_BATCH = 50


@click.command(
    "import", epilog="Example: sekisho account import /etc/dovecot/users --domain example.org --dry-run"
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--domain", default="", help="Domain of names that have none.")
@click.option(
    "--also",
    multiple=True,
    metavar="SCHEME",
    help="Import hashes of this broken scheme too; can be given several times.",
)
@click.option("--replace", is_flag=True, help="Give accounts that exist already the password in the file.")
@click.option("--dry-run", is_flag=True, help="Only show what would be imported.")
@config_option
@json_option
@pass_shell
def import_accounts(
    shell: Shell,
    file: Path,
    domain: str,
    also: tuple[str, ...],
    replace: bool,
    dry_run: bool,
    config_file: Path,
    as_json: bool,
) -> int:
    """Make the accounts of FILE, a passwd-file of Dovecot or a copy of /etc/shadow, with their passwords.

    Hashes are imported as they are; each is replaced by an Argon2id hash at the next login with its
    password. The exit code is 1 if no account was imported.
    """
    from sekisho.admin.importing import ImportAccounts

    schemes = [scheme.upper() for scheme in also]
    done = []
    with shell.operator(config_file) as ask:
        lines = _read(file)
        for first in range(0, len(lines), _BATCH):
            done += ask(
                "account.import",
                ImportAccounts(
                    lines=lines[first : first + _BATCH],
                    first=first + 1,
                    domain=domain,
                    also=schemes,
                    replace=replace,
                    dry_run=dry_run,
                ),
            )
    taken = sum(d.taken for d in done)
    code = exits.OK if taken else exits.FAILED
    if as_json:
        shell.print_json(done)
        return code
    say = shell.say
    yes, no = say("would be imported") if dry_run else say("imported"), say("not imported")
    rows = [
        (d.line, d.name, d.scheme or "-", yes if d.taken else f"{no}: {say(d.text, **d.values)}")
        for d in done
    ]
    shell.print_table((say("Line"), say("Name"), say("Scheme"), say("Result")), rows)
    if dry_run:
        click.echo(say("{taken} of {count} accounts would be imported.", taken=taken, count=len(done)))
    else:
        click.echo(say("{taken} of {count} accounts were imported.", taken=taken, count=len(done)))
    return code


def _read(file: Path) -> list[str]:
    try:
        with click.open_file(str(file), encoding="utf-8", errors="replace") as opened:
            text: str = opened.read()
    except OSError as error:
        raise CommandError(
            "{path} cannot be read: {reason}.",
            exits.FAILED,
            path=str(file),
            reason=error.strerror or str(error),
        ) from error
    return text.split("\n")
