"""`sekisho expect`: somebody here waits for mail."""

from pathlib import Path

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, printable, when


@click.command(
    "expect", epilog="Example: sekisho expect hanako@example.org --minutes 30 --from shop.example.com"
)
@click.argument("address", required=False)
@click.option(
    "--minutes",
    type=click.IntRange(0, 10_080),
    default=10,
    show_default=True,
    help="How many minutes; 0 ends it.",
)
@click.option(
    "--from", "sender", default="", help="Only from this address, or this domain and the hosts below it."
)
@config_option
@json_option
@pass_shell
def expect_command(
    shell: Shell, address: str | None, minutes: int, sender: str, config_file: Path, as_json: bool
) -> None:
    """Accept mail to ADDRESS without greylisting for a while, because somebody waits for it.

    Without ADDRESS, list who waits now.
    """
    from sekisho.admin.domains import Nothing
    from sekisho.admin.door import Expect

    with shell.operator(config_file) as ask:
        rows = (
            ask("door.expect", Expect(address, minutes, sender))
            if address
            else ask("door.expected", Nothing())
        )
    if as_json:
        shell.print_json(rows)
        return
    say = shell.say
    if not address:
        columns = (say("Account"), say("From"), say("Until"))
        shell.print_table(
            columns, [(row.account, _whom(row.sender) or say("anybody"), when(row.until_us)) for row in rows]
        )
        return
    for row in rows:
        values = {
            "account": printable(row.account),
            "sender": printable(_whom(row.sender)),
            "time": when(row.until_us),
        }
        if not minutes:
            click.echo(say("Greylisting applies to mail to {account} again.", **values))
        elif row.sender:
            click.echo(say("Nothing from {sender} to {account} is delayed until {time}.", **values))
        else:
            click.echo(say("Nothing to {account} is delayed until {time}.", **values))


def _whom(sender: str) -> str:
    return sender.removeprefix("@")
