"""sendmail(1) for cron, monitoring and every program that calls it: hands the message to the server's Unix
socket.

It knows no password: the server sees which system user asks. Exit codes are those of sysexits(3).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from sekisho.core.terms.address import Address, AddressError
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import DEFAULT_CONFIG, printable
from sekisho.faces.i18n.catalogue import Catalogue
from sekisho.faces.sendmail.arguments import Arguments, parse_arguments
from sekisho.faces.sendmail.client import Client, ServerGone, ServerRefusal
from sekisho.faces.sendmail.message import Message
from sekisho.faces.sendmail.settings import Settings, read_settings


def run_sendmail(
    argv: Sequence[str], environment: Mapping[str, str], say: Catalogue, source: IO[bytes] | None = None
) -> int:
    """`argv` without the program's name; the message comes from `source` (default: standard input). Returns
    the exit code."""
    try:
        arguments = parse_arguments(argv)
        if arguments.rebuild_aliases:
            return exits.SYSEXITS_OK
        path = arguments.config_file or Path(environment.get("SEKISHO_CONFIG", DEFAULT_CONFIG))
        return _submit(arguments, read_settings(path), source or sys.stdin.buffer)
    except CommandError as failed:
        return _complain(say(failed.text, **failed.values), failed.exit_code)
    except AddressError as error:
        return _complain(say("That is not an address: {reason}.", reason=str(error)), exits.SYSEXITS_DATA)
    except ServerRefusal as refusal:
        about = f"{refusal.recipient}: " if refusal.recipient else ""
        return _complain(f"{about}{refusal.code} {refusal.text}", exit_code_of(refusal))
    except PermissionError:
        return _complain(say("You may not use the mail server's socket."), exits.SYSEXITS_NO_PERMISSION)
    except (OSError, ServerGone) as error:
        # Callers that keep mail try again later on this code.
        return _complain(
            say("The mail server cannot be reached now: {reason}.", reason=str(error)),
            exits.SYSEXITS_TEMPORARY,
        )


def _submit(arguments: Arguments, settings: Settings, source: IO[bytes]) -> int:
    message = Message(source, arguments.ignore_dots)
    names = arguments.recipients + (message.recipients() if arguments.from_header else [])
    if not names:
        raise CommandError(
            "Nobody to send to: name recipients, or use -t and a To field.", exits.SYSEXITS_USAGE
        )
    recipients = [_wire_address(settings.qualify(name)) for name in dict.fromkeys(names)]
    reverse_path = arguments.reverse_path
    if reverse_path is None:
        reverse_path = settings.account_of(os.getuid())
    if reverse_path:
        reverse_path = _wire_address(settings.qualify(reverse_path))
    message.qualify_from(reverse_path, arguments.full_name)
    parameters = "".join(
        (
            f" RET={arguments.ret}" if arguments.ret else "",
            f" ENVID={_xtext(arguments.envid)}" if arguments.envid else "",
            "" if reverse_path.isascii() and all(map(str.isascii, recipients)) else " SMTPUTF8",
        )
    )
    notify = f" NOTIFY={arguments.notify}" if arguments.notify else ""
    with Client(settings.socket_path) as client:
        client.send(
            f"FROM:<{reverse_path}>{parameters}",
            [(name, f"TO:<{name}>{notify}") for name in recipients],
            message.octets(),
        )
    return exits.SYSEXITS_OK


def _wire_address(text: str) -> str:
    return str(Address.from_text(text))


def _xtext(text: str) -> str:
    """RFC 3461 §4: printable ASCII without + and = stands for itself, everything else is +XX."""
    return "".join(
        chr(octet) if 33 <= octet <= 126 and octet not in b"+=" else f"+{octet:02X}"
        for octet in text.encode()
    )


def exit_code_of(refusal: ServerRefusal) -> int:
    """Which of sysexits(3) a reply is."""
    if refusal.code < 500:
        return exits.SYSEXITS_TEMPORARY
    if refusal.code == 554 and not refusal.text.startswith("5."):
        # Said instead of a greeting: this system user has no account.
        return exits.SYSEXITS_NO_PERMISSION
    if refusal.recipient is not None and refusal.text.startswith(("5.1.", "5.7.1")):
        return exits.SYSEXITS_NO_USER if refusal.text.startswith("5.1.") else exits.SYSEXITS_NO_PERMISSION
    if refusal.text.startswith("5.7."):
        return exits.SYSEXITS_NO_PERMISSION
    if refusal.text.startswith(("5.6.", "5.5.")):
        return exits.SYSEXITS_DATA
    return exits.SYSEXITS_UNAVAILABLE


def _complain(sentence: str, exit_code: int) -> int:
    print(f"sendmail: {printable(sentence)}", file=sys.stderr)
    return exit_code
