"""`sekisho dkim`: the keys that mail is signed with."""

from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, when

_STRING_OCTETS = 255  # RFC 1035 §3.3: of one character-string


@click.group("dkim")
def dkim_command() -> None:
    """The keys that mail is signed with."""


@dkim_command.command("add", epilog="Example: sekisho dkim add example.org")
@click.argument("domain")
@click.option(
    "--algorithm", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True, help="Everybody reads rsa, few read ed25519."
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
    click.echo(shell.say("Publish this record; once the DNS has it: sekisho dkim rotate {domain}", domain=key.domain))


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
    shell.print_table(columns, [(key.domain, key.selector, key.algorithm, key.state, when(key.changed_at_us)) for key in keys])


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
    if as_json:
        shell.print_json(keys)
        return
    for key in keys:
        click.echo(zone_line(key))


@dkim_command.command("rotate", epilog="Example: sekisho dkim rotate example.org")
@click.argument("domain")
@config_option
@json_option
@pass_shell
def rotate(shell: Shell, domain: str, config_file: Path, as_json: bool) -> None:
    """Sign with the next key of DOMAIN from now on; its record must be published already."""
    from sekisho.admin.dkim import KeysOfDomain

    with shell.operator(config_file) as ask:
        keys = ask("dkim.rotate", KeysOfDomain(domain))
    selectors = ", ".join(key.selector for key in keys if key.state == "active")
    shell.report(keys, as_json, "Mail is signed with {selectors} now; leave the old record in the DNS for a week.", selectors=selectors)


@dkim_command.command("retire", epilog="Example: sekisho dkim retire example.org")
@click.argument("domain")
@config_option
@json_option
@pass_shell
def retire(shell: Shell, domain: str, config_file: Path, as_json: bool) -> None:
    """Forget the retired keys of DOMAIN; their records can go from the DNS."""
    from sekisho.admin.dkim import KeysOfDomain

    with shell.operator(config_file) as ask:
        keys = ask("dkim.retire", KeysOfDomain(domain))
    names = ", ".join(key.name for key in keys)
    shell.report(keys, as_json, "The keys are gone; these records can be removed: {names}", names=names)


def zone_line(key: Any) -> str:
    """The TXT record in zone file form, in strings of at most 255 octets."""
    record = key.record
    strings = " ".join(f'"{record[start : start + _STRING_OCTETS]}"' for start in range(0, len(record), _STRING_OCTETS))
    return f"{key.name}. IN TXT {strings}"
