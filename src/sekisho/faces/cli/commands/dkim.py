"""`sekisho dkim`: the keys that mail is signed with."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import (
    Shell,
    config_option,
    json_option,
    pass_shell,
    printable,
    resolver_option,
    resolver_settings,
    when,
)

if TYPE_CHECKING:
    from sekisho.config.schema import ResolverSettings
    from sekisho.core.terms.dns import Resolver

_STRING_OCTETS = 255  # RFC 1035 §3.3: of one character-string


@click.group("dkim")
def dkim_command() -> None:
    """DKIM keys, with which mail is signed."""


@dkim_command.command("add", epilog="Example: sekisho dkim add example.org")
@click.argument("domain")
@click.option(
    "--algorithm",
    type=click.Choice(["rsa", "ed25519"]),
    default="rsa",
    show_default=True,
    help="Every receiver understands rsa, few understand ed25519.",
)
@config_option
@json_option
@pass_shell
def add(shell: Shell, domain: str, algorithm: Any, config_file: Path, as_json: bool) -> None:
    """Make the next key of DOMAIN and print the record to publish."""
    from sekisho.admin.dkim import AddKey

    with shell.operator(config_file) as ask:
        key = ask("dkim.add", AddKey(domain, algorithm))
    if as_json:
        shell.print_json(key)
        return
    click.echo(zone_line(key))
    click.echo(
        shell.say("Publish this record; once the DNS has it: sekisho dkim rotate {domain}", domain=key.domain)
    )


@dkim_command.command("list", epilog="Example: sekisho dkim list example.org")
@click.argument("domain", required=False)
@config_option
@json_option
@pass_shell
def list_(shell: Shell, domain: str | None, config_file: Path, as_json: bool) -> None:
    """List keys and where they stand: next, active, retired."""
    from sekisho.admin.dkim import ListKeys

    with shell.operator(config_file) as ask:
        keys = ask("dkim.list", ListKeys(domain))
    if as_json:
        shell.print_json(keys)
        return
    say = shell.say
    columns = (say("Domain"), say("Selector"), say("Algorithm"), say("State"), say("Since"))
    shell.print_table(
        columns,
        [(key.domain, key.selector, key.algorithm, key.state, when(key.changed_at_us)) for key in keys],
    )


@dkim_command.command("publish", epilog="Example: sekisho dkim publish example.org")
@click.argument("domain")
@config_option
@json_option
@pass_shell
def publish(shell: Shell, domain: str, config_file: Path, as_json: bool) -> None:
    """Print the DNS records of all keys of DOMAIN, as lines of a zone file."""
    from sekisho.admin.dkim import ListKeys

    with shell.operator(config_file) as ask:
        keys = ask("dkim.list", ListKeys(domain))
    if not keys:
        raise CommandError("{domain} has no key; make one: sekisho dkim add {domain}", domain=domain)
    if as_json:
        shell.print_json(keys)
        return
    for key in keys:
        click.echo(zone_line(key))


@dkim_command.command("rotate", epilog="Example: sekisho dkim rotate example.org")
@click.argument("domain")
@click.option(
    "--force", is_flag=True, help="Also if the DNS does not show the key: mail will fail DKIM until it does."
)
@resolver_option
@config_option
@json_option
@pass_shell
def rotate(
    shell: Shell, domain: str, force: bool, resolver: str | None, config_file: Path, as_json: bool
) -> None:
    """Sign with the next key of DOMAIN from now on. The DNS is asked first: it must have the key's record."""
    from sekisho.admin.dkim import ListKeys, RotateKeys

    config = shell.load_config(config_file)
    with shell.operator(config_file) as ask:
        coming = [key for key in ask("dkim.list", ListKeys(domain)) if key.state == "next"]
    published = _published(shell, resolver_settings(config, resolver), coming, force)
    with shell.operator(config_file) as ask:
        keys = ask("dkim.rotate", RotateKeys(domain, published, force))
    selectors = ", ".join(key.selector for key in keys if key.state == "active")
    shell.report(keys, as_json, "Mail is signed with {selectors} now.", selectors=selectors)
    old = [key.name for key in keys if key.state == "retired"]
    if old and not as_json:
        click.echo(
            shell.say(
                "Leave the old record in the DNS for a week, for mail under way: {names}",
                names=", ".join(old),
            )
        )


def _published(shell: Shell, settings: "ResolverSettings", keys: list[Any], force: bool) -> list[str]:
    """Selectors of the keys that the DNS has. Without `force` raises CommandFailed for one that it has
    not."""
    from sekisho.admin.check.published import what_keeps_from_signing

    async def look(found: "Resolver") -> list[Any]:
        return [await what_keeps_from_signing(found, key) for key in keys]

    problems = shell.app.look_up(settings, look)
    for finding in filter(None, problems):
        if not force:
            if finding.remedy:
                click.echo(printable(shell.say(finding.remedy, **finding.values)), err=True)
            raise CommandError(
                finding.text, exits.UNKNOWN if finding.level == "unknown" else exits.FAILED, **finding.values
            )
        click.echo(printable(shell.say(finding.text, **finding.values)), err=True)
    return [key.selector for key, finding in zip(keys, problems, strict=True) if finding is None]


@dkim_command.command("retire", epilog="Example: sekisho dkim retire example.org")
@click.argument("domain")
@click.option(
    "--force",
    is_flag=True,
    help="Also keys that signed until less than a week ago; their records must stay in the DNS.",
)
@config_option
@json_option
@pass_shell
def retire(shell: Shell, domain: str, force: bool, config_file: Path, as_json: bool) -> None:
    """Forget the keys of DOMAIN that signed nothing for a week; their records can go from the DNS then."""
    from sekisho.admin.dkim import RetireKeys

    with shell.operator(config_file) as ask:
        keys = ask("dkim.retire", RetireKeys(domain, force))
    names = ", ".join(key.name for key in keys)
    if force:
        shell.report(
            keys,
            as_json,
            "The keys are gone; leave these records in the DNS for a week, for mail under way: {names}",
            names=names,
        )
    else:
        shell.report(keys, as_json, "The keys are gone; these records can be removed: {names}", names=names)


def zone_line(key: Any) -> str:
    """The TXT record in zone file form, in strings of at most 255 octets."""
    record = key.record
    strings = " ".join(
        f'"{record[start : start + _STRING_OCTETS]}"' for start in range(0, len(record), _STRING_OCTETS)
    )
    return f"{key.name}. IN TXT {strings}"
