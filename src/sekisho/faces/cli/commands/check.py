"""`sekisho check`: what a receiver would find out about a message, or about a domain."""

import os
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import (
    DEFAULT_CONFIG,
    Shell,
    config_option,
    json_option,
    pass_shell,
    printable,
    resolver_option,
    resolver_settings,
)

if TYPE_CHECKING:
    from sekisho.config.schema import Config

_MARKS = {"good": "✓", "hint": "·", "unknown": "?", "bad": "✗"}


class IpAddress(click.ParamType[IPv4Address | IPv6Address]):
    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPv4Address | IPv6Address:
        try:
            return ip_address(value)
        except ValueError:
            self.fail("write an IP address such as 192.0.2.25 or 2001:db8::25.", param, ctx)


@click.group("check")
def check_command() -> None:
    """Check what other servers see of your mail: SPF, DKIM, DMARC, reverse names."""


@check_command.command(
    "message", epilog="Example: sekisho check message mail.eml --ip 192.0.2.25 --helo mx.example.org"
)
@click.argument("file", type=click.File("rb"))
@click.option("--ip", type=IpAddress(), help="Address of the client that hands the message in.")
@click.option("--helo", metavar="NAME", help="Name that the client gives in EHLO; default: its reverse name.")
@click.option(
    "--mail-from",
    metavar="ADDRESS",
    help="The sender in the envelope, <> for none; default: what Return-Path says.",
)
@resolver_option
@config_option
@json_option
@pass_shell
def message(
    shell: Shell,
    file: Any,
    ip: Any,
    helo: str | None,
    mail_from: str | None,
    resolver: str | None,
    config_file: Path,
    as_json: bool,
) -> int:
    """Check a message as a receiver does. FILE is the message with its header section, "-" for standard
    input."""
    from sekisho.admin.check.message import CheckMessage, check_message

    config = _config(shell, config_file)
    request = CheckMessage(
        octets=file.read(),
        client=ip,
        hello=helo,
        reverse_path=mail_from,
        receiver=config.hostname if config else "receiver.invalid",
    )
    report = shell.app.look_up(
        resolver_settings(config, resolver), lambda found: check_message(found, request, int(time.time()))
    )
    if as_json:
        shell.print_json(
            {**_for_machines(shell, report.findings), "authentication_results": report.authentication_results}
        )
    else:
        _print_findings(shell, report.findings)
        click.echo("\n" + printable_lines(report.authentication_results))
    return _exit_code(report.findings)


@check_command.command("domain", epilog="Example: sekisho check domain example.org")
@click.argument("name")
@click.option(
    "--ip",
    "addresses",
    type=IpAddress(),
    multiple=True,
    help="Address that its mail is sent from; default: relay.source_ipv4 and source_ipv6, else the "
    "addresses of hostname.",
)
@click.option(
    "--selector", "selectors", multiple=True, help="Check this DKIM key too; can be given several times."
)
@resolver_option
@config_option
@json_option
@pass_shell
def domain(
    shell: Shell,
    name: str,
    addresses: Any,
    selectors: tuple[str, ...],
    resolver: str | None,
    config_file: Path,
    as_json: bool,
) -> int:
    """Check what the DNS says of a domain and of the server that sends its mail."""
    from sekisho.admin.check.domain import CheckDomain, check_domain

    config = _config(shell, config_file)
    is_ours, keys = _ask_store(shell, config_file, name) if config else (False, [])
    request = CheckDomain(
        name=name,
        hostname=config.hostname if config else "",
        is_ours=is_ours,
        addresses=addresses,
        sources=_sources(config),
        keys=keys,
        selectors=selectors,
    )
    report = shell.app.look_up(
        resolver_settings(config, resolver), lambda found: check_domain(found, request)
    )
    if as_json:
        shell.print_json({"domain": report.domain, **_for_machines(shell, report.findings)})
    else:
        _print_findings(shell, report.findings)
    return _exit_code(report.findings)


def _sources(config: "Config | None") -> tuple[Any, ...]:
    """What outgoing connections are bound to."""
    return tuple(filter(None, (config.relay.source_ipv4, config.relay.source_ipv6))) if config else ()


def _config(shell: Shell, config_file: Path) -> "Config | None":
    """None if there is no configuration, or none for our eyes, and nobody named one: then this machine is no
    server for us."""
    source = click.get_current_context().get_parameter_source("config_file")
    if source is click.core.ParameterSource.DEFAULT and not os.access(DEFAULT_CONFIG, os.R_OK):
        return None
    return shell.load_config(config_file)


def _ask_store(shell: Shell, config_file: Path, name: str) -> tuple[bool, Any]:
    """Is the domain served here, and which keys does it have? A store out of reach is no reason not to look
    at the DNS."""
    from sekisho.admin.context import parse_domain_name
    from sekisho.admin.dkim import ListKeys
    from sekisho.admin.domains import Nothing

    domain_name = parse_domain_name(name)
    try:
        with shell.operator(config_file) as ask:
            is_ours = any(domain.name == domain_name for domain in ask("domain.list", Nothing()))
            return is_ours, ask("dkim.list", ListKeys(domain_name)) if is_ours else []
    except CommandError as failed:
        click.echo(f"sekisho: {printable(shell.say(failed.text, **failed.values))}", err=True)
        return False, None


def _print_findings(shell: Shell, findings: list[Any]) -> None:
    for finding in findings:
        values = {key: printable(value) for key, value in finding.values.items()}
        click.echo(f"{_MARKS[finding.level]} {finding.topic}: {shell.say(finding.text, **values)}")
        if finding.remedy:
            click.echo(f"    → {shell.say(finding.remedy, **values)}")
    bad, unknown = _count(findings, "bad"), _count(findings, "unknown")
    if bad:
        sentence = (
            shell.say("{count} things are wrong.", count=bad) if bad > 1 else shell.say("One thing is wrong.")
        )
    else:
        sentence = (
            shell.say("The DNS did not answer everything; try again later, or check the resolver.")
            if unknown
            else shell.say("Nothing is wrong.")
        )
    click.echo("\n" + sentence)


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.replace("\t", "    ").splitlines()))


def _for_machines(shell: Shell, findings: list[Any]) -> dict[str, Any]:
    rows = [
        {
            "level": finding.level,
            "topic": finding.topic,
            "sentence": shell.say(finding.text, **finding.values),
            "remedy": shell.say(finding.remedy, **finding.values) if finding.remedy else "",
            "values": finding.values,
        }
        for finding in findings
    ]
    return {"bad": _count(findings, "bad"), "unknown": _count(findings, "unknown"), "findings": rows}


def _count(findings: list[Any], level: str) -> int:
    return sum(finding.level == level for finding in findings)


def _exit_code(findings: list[Any]) -> int:
    if _count(findings, "bad"):
        return exits.PROBLEMS
    return exits.UNKNOWN if _count(findings, "unknown") else exits.OK
