"""`sekisho sieve`: the scripts by which accounts sort their mail."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import Shell, config_option, json_option, octets, pass_shell, printable, when

if TYPE_CHECKING:
    from sekisho.core.sieve.actions import Action, Result
    from sekisho.core.sieve.faults import ScriptFault
    from sekisho.core.sieve.script import Script

_MOST_OCTETS = 1_048_576
_MOST_OF_MESSAGE = 67_108_864


@click.group("sieve")
def sieve_command() -> None:
    """Sieve scripts, with which accounts sort their mail."""


@sieve_command.command("put", epilog="Example: sekisho sieve put taro@example.org rules.sieve --activate")
@click.argument("address")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--name", default="", help="Name of the script; default: the name of the file without its ending."
)
@click.option("--activate", is_flag=True, help="Activate the script, in place of any other.")
@config_option
@json_option
@pass_shell
def put(
    shell: Shell, address: str, file: Any, name: str, activate: bool, config_file: Path, as_json: bool
) -> int:
    """Store FILE as a script of ADDRESS, "-" for standard input. A script with faults is refused."""
    from sekisho.admin.sieve import PutScript

    text = file.read(_MOST_OCTETS + 1)
    if _compiled(shell, text, as_json) is None:
        return exits.PROBLEMS
    request = PutScript(
        address, name or Path(file.name).stem.strip("<>-") or "main", text.decode("utf-8"), activate
    )
    with shell.operator(config_file) as ask:
        changed = ask("sieve.put", request)
    if changed.is_active:
        shell.report(
            changed,
            as_json,
            "{address} has the script {name}, and it is active.",
            address=changed.address,
            name=changed.name,
        )
    else:
        shell.report(
            changed,
            as_json,
            "{address} has the script {name}, which is not active.",
            address=changed.address,
            name=changed.name,
        )
    return exits.OK


@sieve_command.command("get", epilog="Example: sekisho sieve get taro@example.org")
@click.argument("address")
@click.argument("name", default="")
@config_option
@json_option
@pass_shell
def get(shell: Shell, address: str, name: str, config_file: Path, as_json: bool) -> None:
    """Print a script of ADDRESS: the active one, or NAME."""
    from sekisho.admin.sieve import OneScript

    with shell.operator(config_file) as ask:
        found = ask("sieve.get", OneScript(address, name))
    if as_json:
        shell.print_json(found)
    else:
        for line in found.text.splitlines():
            click.echo(printable(line.replace("\t", "    ")))


@sieve_command.command("list", epilog="Example: sekisho sieve list taro@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def list_scripts(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """List the scripts of ADDRESS."""
    from sekisho.admin.sieve import ScriptsOf

    with shell.operator(config_file) as ask:
        found = ask("sieve.list", ScriptsOf(address))
    if as_json:
        shell.print_json(found)
        return
    say = shell.say
    rows = [
        (
            each.name,
            say("active") if each.is_active else "-",
            octets(each.size_octets),
            when(each.changed_at_us),
        )
        for each in found
    ]
    shell.print_table((say("Name"), say("State"), say("Size"), say("Changed")), rows)


@sieve_command.command("activate", epilog="Example: sekisho sieve activate taro@example.org rules")
@click.argument("address")
@click.argument("name", default="")
@click.option("--none", is_flag=True, help="Deactivate all scripts.")
@config_option
@json_option
@pass_shell
def activate_script(
    shell: Shell, address: str, name: str, none: bool, config_file: Path, as_json: bool
) -> None:
    """Activate the script NAME of ADDRESS, in place of any other."""
    from sekisho.admin.sieve import OneScript

    if bool(name) is none:
        raise click.UsageError(shell.say("Name either a script or --none."))
    with shell.operator(config_file) as ask:
        changed = ask("sieve.activate", OneScript(address, name))
    if name:
        shell.report(
            changed, as_json, "The script {name} of {address} is active.", name=name, address=changed.address
        )
    else:
        shell.report(changed, as_json, "{address} has no active script.", address=changed.address)


@sieve_command.command("remove", epilog="Example: sekisho sieve remove taro@example.org rules")
@click.argument("address")
@click.argument("name")
@config_option
@json_option
@pass_shell
def remove(shell: Shell, address: str, name: str, config_file: Path, as_json: bool) -> None:
    """Remove the script NAME of ADDRESS for good. An active one is not removed."""
    from sekisho.admin.sieve import OneScript

    with shell.operator(config_file) as ask:
        changed = ask("sieve.remove", OneScript(address, name))
    shell.report(
        changed, as_json, "The script {name} of {address} is removed.", name=name, address=changed.address
    )


@sieve_command.command("check", epilog="Example: sekisho sieve check rules.sieve")
@click.argument("file", type=click.File("rb"))
@json_option
@pass_shell
def check(shell: Shell, file: Any, as_json: bool) -> int:
    """Check a script and show each fault with its line. Needs no server.

    The exit code is 5 if the script has a fault.
    """
    if _compiled(shell, file.read(_MOST_OCTETS + 1), as_json) is None:
        return exits.PROBLEMS
    if as_json:
        shell.print_json({"faults": []})
    else:
        click.echo(shell.say("Nothing is wrong."))
    return exits.OK


@sieve_command.command(
    "test", epilog="Example: sekisho sieve test rules.sieve mail.eml --to taro@example.org"
)
@click.argument("file", type=click.File("rb"))
@click.argument("message", type=click.File("rb"))
@click.option(
    "--from",
    "sender",
    metavar="ADDRESS",
    help="The sender in the envelope, <> for none; default: what Return-Path or From says.",
)
@click.option(
    "--to", "recipient", metavar="ADDRESS", help="The recipient in the envelope; default: what To says."
)
@json_option
@pass_shell
def test_script(
    shell: Shell, file: Any, message: Any, sender: str | None, recipient: str | None, as_json: bool
) -> int:
    """Show what a script would do with a message, without doing it. Needs no server.

    MESSAGE is the message with its header section. The exit code is 5 if the script fails.
    """
    script = _compiled(shell, file.read(_MOST_OCTETS + 1), as_json)
    if script is None:
        return exits.PROBLEMS
    result = _run(script, message.read(_MOST_OF_MESSAGE), sender, recipient)
    lines = [_told(shell, action) for action in result.actions]
    if as_json:
        error = _fault_record(shell, result.error) if result.error is not None else None
        shell.print_json({"actions": lines, "error": error, "work": result.work})
        return exits.PROBLEMS if result.error is not None else exits.OK
    for line in lines:
        click.echo(printable(line))
    for fault in (*result.warnings, *((result.error,) if result.error is not None else ())):
        _print_fault(shell, fault)
    return exits.PROBLEMS if result.error is not None else exits.OK


def _run(script: "Script", octets_: bytes, sender: str | None, recipient: str | None) -> "Result":
    import time

    from sekisho.core.sieve.addresses import read_addresses
    from sekisho.core.sieve.machine import run_script
    from sekisho.core.sieve.situation import MailView, Situation
    from sekisho.faces.cli.mailfiles import normal

    view = MailView.of(normal(octets_))

    def first(*names: bytes) -> str:
        for name in names:
            found = read_addresses((view.header.first(name) or b"").decode("utf-8", "replace"))
            if found:
                return found[0].whole
        return ""

    offset = time.localtime().tm_gmtoff // 60
    situation = Situation(
        message=view,
        reverse_path=sender.strip("<>") if sender is not None else first(b"return-path", b"from"),
        recipient=recipient.strip("<>") if recipient is not None else first(b"to"),
        now_us=time.time_ns() // 1000,
        offset_minutes=offset,
        environment={"name": "sekisho", "location": "MTA", "phase": "during"},
    )
    return run_script(script, situation)


def _compiled(shell: Shell, text: bytes, as_json: bool) -> "Script | None":
    """None after telling what is wrong with it."""
    from sekisho.core.sieve.compiler import compile_script
    from sekisho.core.sieve.faults import SieveError
    from sekisho.core.sieve.language import LANGUAGE

    if len(text) > _MOST_OCTETS:
        raise CommandError(
            "The script is larger than {limit} octets. Make it shorter.", exits.FAILED, limit=_MOST_OCTETS
        )
    try:
        return compile_script(text, LANGUAGE)
    except SieveError as error:
        if as_json:
            shell.print_json({"faults": [_fault_record(shell, fault) for fault in error.faults]})
        else:
            for fault in error.faults:
                _print_fault(shell, fault)
        return None


def _sentence(shell: Shell, fault: "ScriptFault") -> str:
    # format() also where there is nothing to fill in: braces are written twice.
    return shell.say(fault.text).format(**{name: printable(value) for name, value in fault.values.items()})


def _fault_record(shell: Shell, fault: "ScriptFault") -> dict[str, object]:
    return {"line": fault.line, "script": fault.script, "sentence": _sentence(shell, fault)}


def _print_fault(shell: Shell, fault: "ScriptFault") -> None:
    click.echo(
        shell.say("Line {line}: {sentence}", line=fault.line, sentence=_sentence(shell, fault)), err=True
    )


def _told(shell: Shell, action: "Action") -> str:
    from sekisho.core.sieve import actions

    say = shell.say
    if isinstance(action, actions.Keep):
        text = (
            say("Kept in INBOX, because the script does nothing else with it.")
            if action.is_implicit
            else say("Kept in INBOX.")
        )
    elif isinstance(action, actions.FileInto):
        text = say("Filed into {mailbox}.", mailbox=action.mailbox)
    elif isinstance(action, actions.Redirect):
        return say("Redirected to {address}.", address=action.address)
    elif isinstance(action, actions.Discard):
        return say("Discarded.")
    elif isinstance(action, actions.Reject):
        return say("Rejected: {reason}", reason=action.reason)
    elif isinstance(action, actions.Vacation):
        return say(
            "{address} is answered, once in {days} days: {subject}",
            address=action.to,
            days=action.seconds // 86_400,
            subject=action.subject,
        )
    else:
        return say("{address} is sent a notice.", address=", ".join(action.to))
    return text + (" " + say("Flags: {flags}", flags=" ".join(action.flags)) if action.flags else "")
