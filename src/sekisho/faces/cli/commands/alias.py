"""`sekisho alias`: addresses that lead to other addresses."""

from pathlib import Path

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell


@click.group("alias")
def alias_command() -> None:
    """Aliases: addresses that lead to other addresses."""


@alias_command.command(
    "add", epilog="Example: sekisho alias add info@example.org taro@example.org hanako@example.org"
)
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@click.option("--no-send", is_flag=True, help="Its targets may not use it as a sender.")
@click.option("--replace", is_flag=True, help="Change where an existing alias leads.")
@config_option
@json_option
@pass_shell
def add(
    shell: Shell,
    address: str,
    targets: tuple[str, ...],
    no_send: bool,
    replace: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Let mail to ADDRESS go to TARGETS, here or elsewhere."""
    from sekisho.admin.aliases import AddAlias

    with shell.operator(config_file) as ask:
        alias = ask("alias.add", AddAlias(address, targets, not no_send, replace))
    shell.report(
        alias,
        as_json,
        "{address} leads to {targets}.",
        address=alias.address,
        targets=", ".join(alias.targets),
    )


@alias_command.command("list", epilog="Example: sekisho alias list --domain example.org")
@click.option("--domain", help="Only those of this domain.")
@config_option
@json_option
@pass_shell
def list_(shell: Shell, domain: str | None, config_file: Path, as_json: bool) -> None:
    """List aliases."""
    from sekisho.admin.aliases import ListAliases

    with shell.operator(config_file) as ask:
        aliases = ask("alias.list", ListAliases(domain))
    if as_json:
        shell.print_json(aliases)
        return
    say = shell.say
    rows = [
        (alias.address, ", ".join(alias.targets), say("yes") if alias.may_send else say("no"))
        for alias in aliases
    ]
    shell.print_table((say("Address"), say("Leads to"), say("May send")), rows)


@alias_command.command("remove", epilog="Example: sekisho alias remove info@example.org")
@click.argument("address")
@config_option
@json_option
@pass_shell
def remove(shell: Shell, address: str, config_file: Path, as_json: bool) -> None:
    """Remove the alias ADDRESS."""
    from sekisho.admin.aliases import AliasRequest

    with shell.operator(config_file) as ask:
        alias = ask("alias.remove", AliasRequest(address))
    shell.report(alias, as_json, "{address} is no longer an alias.", address=alias.address)
