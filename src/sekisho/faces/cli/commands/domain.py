"""`sekisho domain`: the domains that mail is taken for."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, when


@click.group("domain")
def domain_command() -> None:
    """Domains for which mail is accepted."""


@domain_command.command("add", epilog="Example: sekisho domain add example.org")
@click.argument("name")
@click.option(
    "--separators",
    default="+",
    show_default=True,
    help="Signs between a user and a detail (taro+list@); '' switches that off.",
)
@click.option("--catch-all", help="Address that gets the mail to names that do not exist.")
@config_option
@json_option
@pass_shell
def add(
    shell: Shell, name: str, separators: str, catch_all: str | None, config_file: Path, as_json: bool
) -> None:
    """Accept mail for the domain NAME from now on."""
    from sekisho.admin.domains import AddDomain

    with shell.operator(config_file) as ask:
        domain = ask("domain.add", AddDomain(name, separators, catch_all))
    shell.report(domain, as_json, "Mail for {name} is accepted from now on.", name=domain.name)


@domain_command.command("list", epilog="Example: sekisho domain list --json")
@config_option
@json_option
@pass_shell
def list_(shell: Shell, config_file: Path, as_json: bool) -> None:
    """List all domains."""
    from sekisho.admin.domains import Nothing

    with shell.operator(config_file) as ask:
        domains = ask("domain.list", Nothing())
    if as_json:
        shell.print_json(domains)
        return
    say = shell.say
    columns = (say("Domain"), say("Catch-all"), say("Separators"), say("Since"))
    shell.print_table(
        columns,
        [
            (d.name, d.catch_all or "-", d.subaddress_separators or "-", when(d.created_at_us))
            for d in domains
        ],
    )


@domain_command.command("show", epilog="Example: sekisho domain show example.org")
@click.argument("name")
@config_option
@json_option
@pass_shell
def show(shell: Shell, name: str, config_file: Path, as_json: bool) -> None:
    """Show one domain: its accounts, aliases, and who reads postmaster and abuse."""
    from sekisho.admin.domains import DomainRequest

    with shell.operator(config_file) as ask:
        details = ask("domain.show", DomainRequest(name))
    if as_json:
        shell.print_json(details)
        return
    _print_details(shell, details)


def _print_details(shell: Shell, details: Any) -> None:
    say, domain = shell.say, details.domain
    shell.print_fields(
        (
            (say("Domain"), domain.name),
            (say("Catch-all"), domain.catch_all or "-"),
            (say("Separators"), domain.subaddress_separators or "-"),
            (say("Since"), when(domain.created_at_us)),
            ("postmaster", details.postmaster),
            ("abuse", details.abuse),
            (say("Accounts"), ", ".join(account.address for account in details.accounts) or "-"),
            (say("Aliases"), ", ".join(alias.address for alias in details.aliases) or "-"),
        )
    )


@domain_command.command("remove", epilog="Example: sekisho domain remove example.org")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@config_option
@json_option
@pass_shell
def remove(shell: Shell, name: str, yes: bool, config_file: Path, as_json: bool) -> None:
    """Accept no more mail for the domain NAME, and delete its DKIM keys. It must have no accounts and aliases
    left."""
    from sekisho.admin.dkim import ListKeys
    from sekisho.admin.domains import DomainRequest

    with shell.operator(config_file) as ask:
        details = ask("domain.show", DomainRequest(name))
        keys = ask("dkim.list", ListKeys(name))
    # What still has accounts or aliases is refused below, and need not be asked about.
    if not yes and not details.accounts and not details.aliases:
        values = {"name": details.domain.name, "count": len(keys)}
        click.confirm(
            shell.say(
                "Refuse all mail to {name} from now on, and lose its {count} DKIM keys for good?", **values
            ),
            abort=True,
        )
    with shell.operator(config_file) as ask:
        domain = ask("domain.remove", DomainRequest(name))
    shell.report(domain, as_json, "Mail for {name} is refused from now on.", name=domain.name)
    if keys and not as_json:
        names = ", ".join(key.name for key in keys)
        click.echo(
            shell.say(
                "Its keys are gone too; leave these records in the DNS for a week, for mail under way: "
                "{names}",
                names=names,
            )
        )
