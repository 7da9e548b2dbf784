"""`sekisho queue`: the mail that waits to leave."""

import time
from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.shell import Shell, config_option, json_option, octets, pass_shell, when


@click.group("queue")
def queue_command() -> None:
    """The queue: mail that waits for delivery."""


@queue_command.command("list", epilog="Example: sekisho queue list --json")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Most messages to show."
)
@config_option
@json_option
@pass_shell
def list_(shell: Shell, limit: int, config_file: Path, as_json: bool) -> None:
    """List queued messages, one line per recipient."""
    from sekisho.admin.queue import ListQueue

    with shell.operator(config_file) as ask:
        messages = ask("queue.list", ListQueue(limit))
    if as_json:
        shell.print_json(messages)
        return
    say = shell.say
    rows = [
        (
            m.message_id,
            when(m.arrived_at_us),
            octets(m.size_octets),
            m.reverse_path or "<>",
            r.address,
            say(r.state),
            r.attempts,
            next_attempt(shell, r),
        )
        for m in messages
        for r in m.recipients
    ]
    columns = (
        say("Message"),
        say("Arrived"),
        say("Size"),
        say("From"),
        say("To"),
        say("State"),
        say("Attempts"),
        say("Next attempt"),
    )
    shell.print_table(columns, rows)


@queue_command.command("show", epilog="Example: sekisho queue show MESSAGE_ID")
@click.argument("message_id")
@config_option
@json_option
@pass_shell
def show(shell: Shell, message_id: str, config_file: Path, as_json: bool) -> None:
    """Show one queued message: who sent it, and where each recipient stands."""
    from sekisho.admin.queue import MessageRequest

    with shell.operator(config_file) as ask:
        message = ask("queue.show", MessageRequest(message_id))
    if as_json:
        shell.print_json(message)
        return
    _print_message(shell, message)


def next_attempt(shell: Shell, recipient: Any) -> str:
    """ "now" for what is tried as soon as there is room."""
    return (
        shell.say("now") if 0 < recipient.due_at_us <= time.time() * 1_000_000 else when(recipient.due_at_us)
    )


def _print_message(shell: Shell, message: Any) -> None:
    say = shell.say
    shell.print_fields(
        (
            (say("Message"), message.message_id),
            (say("From"), message.reverse_path or "<>"),
            (say("Account"), message.account or "-"),
            (say("Arrived"), when(message.arrived_at_us)),
            (say("Size"), octets(message.size_octets)),
        )
    )
    for recipient in message.recipients:
        click.echo()
        shell.print_fields(
            (
                (say("To"), recipient.address),
                (say("State"), say(recipient.state)),
                (say("Next hop"), recipient.next_hop),
                (say("Attempts"), recipient.attempts),
                (say("Last attempt"), when(recipient.last_attempt_at_us)),
                (say("Last reply"), recipient.last_reply or "-"),
                (say("Next attempt"), next_attempt(shell, recipient)),
                (say("Expires"), when(recipient.expires_at_us)),
            )
        )


@queue_command.command("retry", epilog="Example: sekisho queue retry --all")
@click.argument("message_id", required=False)
@click.option("--all", "everything", is_flag=True, help="All messages that wait or are parked.")
@config_option
@json_option
@pass_shell
def retry(shell: Shell, message_id: str | None, everything: bool, config_file: Path, as_json: bool) -> int:
    """Try a message (or everything) again now."""
    from sekisho.admin.queue import RetryQueue

    if (message_id is None) is not everything:
        raise click.UsageError(shell.say("Name either a message or --all."))
    with shell.operator(config_file) as ask:
        changed = ask("queue.retry", RetryQueue(message_id))
    shell.report(changed, as_json, "Recipients that are tried again now: {count}", count=changed.recipients)
    return exits.OK if changed.recipients or everything else exits.FAILED


def _change(shell: Shell, operation: str, message_id: str, config_file: Path) -> Any:
    from sekisho.admin.queue import MessageRequest

    with shell.operator(config_file) as ask:
        return ask(operation, MessageRequest(message_id))


@queue_command.command("hold", epilog="Example: sekisho queue hold MESSAGE_ID")
@click.argument("message_id")
@config_option
@json_option
@pass_shell
def hold(shell: Shell, message_id: str, config_file: Path, as_json: bool) -> int:
    """Keep a message in the queue until it is released."""
    changed = _change(shell, "queue.hold", message_id, config_file)
    shell.report(changed, as_json, "Recipients that are held: {count}", count=changed.recipients)
    return exits.OK if changed.recipients else exits.FAILED


@queue_command.command("release", epilog="Example: sekisho queue release MESSAGE_ID")
@click.argument("message_id")
@config_option
@json_option
@pass_shell
def release(shell: Shell, message_id: str, config_file: Path, as_json: bool) -> int:
    """Release a held message."""
    changed = _change(shell, "queue.release", message_id, config_file)
    shell.report(changed, as_json, "Recipients that were released: {count}", count=changed.recipients)
    return exits.OK if changed.recipients else exits.FAILED


@queue_command.command("drop", epilog="Example: sekisho queue drop MESSAGE_ID")
@click.argument("message_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
@pass_shell
def drop(shell: Shell, message_id: str, yes: bool, config_file: Path, as_json: bool) -> int:
    """Remove a message from the queue. Its sender is not told."""
    if not yes:
        click.confirm(
            shell.say("Remove {id} from the queue without telling its sender?", id=message_id), abort=True
        )
    changed = _change(shell, "queue.drop", message_id, config_file)
    shell.report(changed, as_json, "Recipients that were removed: {count}", count=changed.recipients)
    return exits.OK if changed.recipients else exits.FAILED


@queue_command.command("destinations", epilog="Example: sekisho queue destinations")
@config_option
@json_option
@pass_shell
def destinations(shell: Shell, config_file: Path, as_json: bool) -> None:
    """List the next hops that are not tried for a while after failures."""
    from sekisho.admin.domains import Nothing

    with shell.operator(config_file) as ask:
        states = ask("queue.destinations", Nothing())
    if as_json:
        shell.print_json(states)
        return
    say = shell.say
    rows = [(state.next_hop, state.failures, when(state.not_before_us), state.last_error) for state in states]
    shell.print_table((say("Next hop"), say("Failures"), say("Not before"), say("Last error")), rows)
