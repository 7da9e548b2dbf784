"""The command line of sendmail(1), as far as programs use it to hand in mail."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sekisho.faces.cli.exits import SYSEXITS_USAGE
from sekisho.faces.cli.handle import CommandError


@dataclass(slots=True, kw_only=True)
class Arguments:
    recipients: list[str] = field(default_factory=list)
    reverse_path: str | None = None  # -f, -r; "" is the null path
    full_name: str | None = None  # -F
    from_header: bool = False  # -t: recipients are those of To, Cc and Bcc
    ignore_dots: bool = False  # -i, -oi: a line with one dot does not end the message
    config_file: Path | None = None  # -C
    rebuild_aliases: bool = False  # -bi, newaliases: nothing to do here
    notify: str | None = None  # -N (RFC 3461 §4.1)
    ret: str | None = None  # -R (RFC 3461 §4.3)
    envid: str | None = None  # -V (RFC 3461 §4.4)


# Options with a value that mean nothing here: body type, log file, queue tags, hop count, protocol, macros,
# error handling.
_IGNORED_WITH_VALUE = "BXLhpMOde"
_IGNORED = "vUGnmGA"
REFUSED_MODES = {
    "s": "SMTP on standard input is not spoken here; use the submission port.",
    "p": "The queue is listed by: sekisho queue list",
    "d": "The server is started by: sekisho serve",
    "D": "The server is started by: sekisho serve",
    "v": "Addresses are not verified here; see: sekisho account list",
    "t": "There is no address test mode.",
}


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """`argv` without the program's name; raises CommandFailed with EX_USAGE.

    Values may follow directly (-fa@b) or as the next word (-f a@b).
    """
    arguments = Arguments()
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            arguments.recipients += words
            break
        if not word.startswith("-") or word == "-":
            arguments.recipients.append(word)
            continue
        _take_option(arguments, word[1:], words)
    return arguments


def _take_option(arguments: Arguments, word: str, words: list[str]) -> None:
    letter, rest = word[0], word[1:]
    if letter in "frFCNRV" or letter in _IGNORED_WITH_VALUE:
        value = rest or (words.pop(0) if words else None)
        if value is None and letter not in "de":
            raise CommandError("-{letter} needs a value.", SYSEXITS_USAGE, letter=letter)
        _set_value(arguments, letter, value or "")
    elif letter == "t":
        arguments.from_header = True
        _take_cluster(arguments, rest, words)
    elif letter == "i":
        arguments.ignore_dots = True
        _take_cluster(arguments, rest, words)
    elif letter == "o":
        # -oi is the old -i; -odi, -oem and the other old options change nothing here.
        arguments.ignore_dots |= rest == "i"
    elif letter == "b":
        if rest in REFUSED_MODES:
            raise CommandError(REFUSED_MODES[rest], SYSEXITS_USAGE)
        arguments.rebuild_aliases |= rest == "i"
    elif letter == "q":
        raise CommandError(
            "The queue is run by the server; to try everything now: sekisho queue retry --all", SYSEXITS_USAGE
        )
    elif letter in _IGNORED:
        _take_cluster(arguments, rest, words)
    else:
        raise CommandError("There is no option {name}.", SYSEXITS_USAGE, name=f"-{letter}")


def _take_cluster(arguments: Arguments, rest: str, words: list[str]) -> None:
    """`-ti` is `-t -i`."""
    if rest:
        _take_option(arguments, rest, words)


def _set_value(arguments: Arguments, letter: str, value: str) -> None:
    if letter in "fr":
        arguments.reverse_path = "" if value == "<>" else value.removeprefix("<").removesuffix(">")
    elif letter == "F":
        arguments.full_name = value
    elif letter == "C":
        arguments.config_file = Path(value)
    elif letter == "N":
        arguments.notify = _notify(value)
    elif letter == "R":
        if value.upper() not in ("FULL", "HDRS"):
            raise CommandError("-R is either full or hdrs.", SYSEXITS_USAGE)
        arguments.ret = value.upper()
    elif letter == "V":
        arguments.envid = value


def _notify(value: str) -> str:
    words = {word.strip().upper() for word in value.split(",")}
    if not words <= {"NEVER", "SUCCESS", "FAILURE", "DELAY"} or ("NEVER" in words and len(words) > 1):
        raise CommandError("-N is never, or a list of success, failure, delay.", SYSEXITS_USAGE)
    return ",".join(sorted(words))
