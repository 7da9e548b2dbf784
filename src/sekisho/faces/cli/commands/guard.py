"""`sekisho guard`: accounts that may be hijacked, and their mail that is held."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, octets, pass_shell, printable, when


@click.group("guard")
def guard_command() -> None:
    """The guard: accounts whose mail is held, because they may have been stolen."""


@guard_command.command("list", epilog="Example: sekisho guard list --json")
@config_option
@json_option
@pass_shell
def list_(shell: Shell, config_file: Path, as_json: bool) -> None:
    """List the accounts whose mail is held."""
    from sekisho.admin.domains import Nothing

    with shell.operator(config_file) as ask:
        rows = ask("guard.list", Nothing())
    if as_json:
        shell.print_json(rows)
        return
    say = shell.say
    columns = (
        say("Account"),
        say("Since"),
        say("Credential"),
        say("Points"),
        say("Held messages"),
        say("State"),
    )
    shell.print_table(
        columns,
        [
            (
                r.address,
                when(r.opened_at_us),
                r.credential_id or "-",
                r.score or "-",
                r.held_messages,
                say(_state(r.action, r.frozen)),
            )
            for r in rows
        ],
    )


# Every word that a state is shown by.
WORDS = (
    "frozen",
    "held",
    "about to be frozen",
    "sending held",
    "mail still held",
    "released",
    "purged",
    "forgiven",
    "yes",
    "no",
)


def _state(action: str, frozen: bool) -> str:
    if frozen:
        return "frozen"
    return {"hold": "held", "freeze": "about to be frozen", "sending_held": "sending held"}.get(
        action, "mail still held"
    )


@guard_command.command("show", epilog="Example: sekisho guard show taro@example.org")
@click.argument("address")
@click.option(
    "--limit",
    type=click.IntRange(0, 10_000),
    default=100,
    show_default=True,
    help="Most held messages to show.",
)
@config_option
@json_option
@pass_shell
def show(shell: Shell, address: str, limit: int, config_file: Path, as_json: bool) -> None:
    """Show why mail of ADDRESS is held, what is held, and who has received mail already."""
    from sekisho.admin.guard import ShowGuarded

    with shell.operator(config_file) as ask:
        details = ask("guard.show", ShowGuarded(address, limit))
    if as_json:
        shell.print_json(details)
        return
    _print_account(shell, details)
    for case in details.cases:
        click.echo()
        _print_case(shell, case)
    _print_held(shell, details)
    if details.left:
        click.echo(f"\n{shell.say('Received mail already')} ({len(details.left)}):")
        for left in details.left:
            click.echo(
                f"  {when(left.at_us)}  "
                f"{printable(left.address)}"
                f"{'' if left.result == 'delivered' else '  ' + shell.say('failed')}"
            )


def _print_account(shell: Shell, details: Any) -> None:
    say, usual = shell.say, details.usual
    shell.print_fields(
        (
            (say("Account"), details.account.address),
            (say("Bulk right"), say("yes") if details.bulk else say("no")),
            (say("Second address"), details.recovery_address or "-"),
            (
                say("Usual networks"),
                ", ".join(f"{name} ({days})" for name, days in usual.networks[:8]) or "-",
            ),
            (say("Usual programs"), "; ".join(f"{name} ({days})" for name, days in usual.clients[:5]) or "-"),
            (say("First-time recipients today"), usual.today_first_time),
            (say("Recipients today"), usual.today_recipients),
        )
    )


def _print_case(shell: Shell, case: Any) -> None:
    from sekisho.core.policy.takeover.wording import done_in, reason_in

    say = shell.say
    state = say(case.ending) if case.ending else say(_state(case.action, bool(case.frozen_at_us)))
    shell.print_fields(
        (
            (say("Since"), when(case.opened_at_us)),
            (say("Credential"), case.credential_id),
            (say("State"), state + (f", {when(case.closed_at_us)}" if case.closed_at_us else "")),
            (say("Points"), case.score),
        )
    )
    for reason in case.reasons:
        click.echo(f"  {reason.points:+4d}  {printable(reason_in(reason, say.language))}")
    for sentence in case.done:
        click.echo(f"  {printable(done_in(sentence, say.language))}")


def _print_held(shell: Shell, details: Any) -> None:
    if not details.held_messages:
        return
    click.echo(f"\n{shell.say('Held messages')} ({details.held_messages}):")
    for message in details.held:
        shown = message.recipients[:3]
        more = f" (+{len(message.recipients) - len(shown)})" if len(message.recipients) > len(shown) else ""
        to = f"{', '.join(map(printable, shown))}{more}"
        click.echo(
            f"  {when(message.accepted_at_us)}  {octets(message.size_octets):>9}  {to}  "
            f"{printable(message.subject)}"
        )


@guard_command.command("release", epilog="Example: sekisho guard release taro@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def release(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """The owner sent the mail: release it, thaw the credential, and count what was sent as usual from
    now on."""
    from sekisho.admin.guard import GuardRequest

    with shell.operator(config_file) as ask:
        done = ask("guard.release", GuardRequest(address))
    values = {"address": done.address, "messages": done.messages, "recipients": done.recipients}
    shell.report(
        done, as_json, "{messages} messages of {address} are released, to {recipients} recipients.", **values
    )
    _report_done(shell, done, as_json)
    if done.full and not as_json:
        click.echo(
            shell.say(
                "{full} of them wait on for a full mailbox here; release again when there is room.",
                full=done.full,
            )
        )


@guard_command.command("purge", epilog="Example: sekisho guard purge taro@example.org")
@click.argument("address")
@click.option("--keep-credential", is_flag=True, help="Do not freeze the credential.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@config_option
@json_option
@pass_shell
def purge(
    shell: Shell, address: str, keep_credential: bool, yes: bool, config_file: Path, as_json: bool
) -> None:
    """Somebody else sent the mail: remove it for good, and freeze the credential if it is not frozen."""
    from sekisho.admin.guard import PurgeHeld

    if not yes:
        click.confirm(shell.say("Delete all held mail of {address} for good?", address=address), abort=True)
    with shell.operator(config_file) as ask:
        done = ask("guard.purge", PurgeHeld(address, keep_credential))
    values = {"address": done.address, "messages": done.messages, "recipients": done.recipients}
    shell.report(
        done,
        as_json,
        "{messages} held messages of {address} are removed; they had {recipients} recipients.",
        **values,
    )
    _report_done(shell, done, as_json)
    if not as_json:
        click.echo(
            shell.say(
                "Then give the owner a new password: sekisho account passwd {address}.", address=done.address
            )
        )


@guard_command.command("forgive", epilog="Example: sekisho guard forgive taro@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def forgive(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """Let the account send again; what is held stays held until it is released or purged."""
    from sekisho.admin.guard import GuardRequest

    with shell.operator(config_file) as ask:
        done = ask("guard.forgive", GuardRequest(address))
    shell.report(
        done,
        as_json,
        "{address} may send again; {messages} messages stay held.",
        address=done.address,
        messages=done.messages,
    )
    _report_done(shell, done, as_json)


def _report_done(shell: Shell, done: Any, as_json: bool) -> None:
    if not as_json:
        from sekisho.core.policy.takeover.wording import done_in

        for sentence_done in done.done:
            click.echo(printable(done_in(sentence_done, shell.say.language)))
