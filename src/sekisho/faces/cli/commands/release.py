"""`sekisho release`: what the door kept away was wanted."""

from pathlib import Path

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, printable


@click.command("release", epilog="Example: sekisho release 65f1a2b3c4d5e0011223344556677")
@click.argument("id_", metavar="ID")
@config_option
@json_option
@pass_shell
def release_command(shell: Shell, id_: str, config_file: Path, as_json: bool) -> None:
    """Move a message out of Junk, or trust the sender of one that was deferred or refused.

    ID is the id of the message: the reply to its sender has it, and `sekisho why ADDRESS` shows it.
    """
    from sekisho.admin.release import ReleaseRequest

    with shell.operator(config_file) as ask:
        released = ask("door.release", ReleaseRequest(id_))
    if as_json:
        shell.print_json(released)
        return
    say = shell.say
    values = {
        "sender": printable(released.sender),
        "network": released.network,
        "accounts": ", ".join(released.moved or released.trusted),
    }
    if released.moved:
        click.echo(say("Moved to INBOX for {accounts}; they trust the sender from now on.", **values))
        return
    if released.network:
        click.echo(
            say("{accounts} trust {sender} from now on, as long as its mail comes from {network}.", **values)
        )
    else:
        click.echo(say("{accounts} trust {sender} from now on.", **values))
    if released.temporary:
        click.echo(say("The sender sends the message again by itself."))
    else:
        click.echo(say("Ask the sender to send the message again."))
