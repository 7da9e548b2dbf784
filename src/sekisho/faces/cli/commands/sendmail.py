"""`sekisho sendmail`: the sendmail(1) shim as a sub-command; its options are sendmail's own."""

import os

import click

from sekisho.faces.cli.shell import Shell, pass_shell


@click.command(
    "sendmail",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: sekisho sendmail -t -i < message.eml",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_shell
def sendmail_command(shell: Shell, arguments: tuple[str, ...]) -> int:
    """Hand in a message on standard input like sendmail(1); a link named 'sendmail' to the program does the
    same.

    Understood: -t -i -oi -f ADDRESS -F NAME -N -R -V -C FILE and recipients. Exit codes are those of
    sysexits(3).
    """
    from sekisho.faces.sendmail.main import run_sendmail

    return run_sendmail(arguments, os.environ, shell.say)
