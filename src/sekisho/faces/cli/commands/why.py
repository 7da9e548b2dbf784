"""`sekisho why`: what became of a message, a connection, a login, and why."""

import re
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from sekisho.faces.cli import exits
from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell, printable, when

_TIMES = frozenset({"when", "due"})
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Span(click.ParamType[int]):
    """`30m`, `12h`, `7d`, `2w` -> seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value))
        if match is None:
            self.fail("write a span of time such as 30m, 12h, 7d or 2w.", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


@click.command("why", epilog="Example: sekisho why k3q7w2ma-1")
@click.argument("subject", metavar="ID|MESSAGE-ID|ADDRESS")
@click.option("--since", type=Span(), help="Only what happened in the last 30m, 12h, 7d, 2w …")
@click.option(
    "--limit", type=click.IntRange(1, 300), default=20, show_default=True, help="Most answers to show."
)
@config_option
@json_option
@pass_shell
def why_command(
    shell: Shell, subject: str, since: int | None, limit: int, config_file: Path, as_json: bool
) -> int:
    """Show what became of a message, or why it was refused, and what to do.

    The argument is an id from a reply or the log, a Message-ID, an address, a client's IP address, or a
    domain.
    """
    from sekisho.admin.why.question import Why

    since_us = int((time.time() - since) * 1_000_000) if since else 0
    with shell.operator(config_file) as ask:
        answer = ask("ledger.why", Why(subject, since_us, limit))
    if as_json:
        shell.print_json(
            {
                **msgspec.structs.asdict(answer),
                "stories": [_for_machines(shell, story) for story in answer.stories],
            }
        )
    elif answer.stories:
        _print_stories(shell, answer.stories)
    else:
        click.echo(_nothing(shell, answer))
    return exits.OK if answer.stories else exits.NOTHING_KNOWN


def _nothing(shell: Shell, answer: Any) -> str:
    if not answer.reaches_back_to_us:
        return shell.say(
            "Nothing is known about {subject}: the ledger is empty.", subject=printable(answer.subject)
        )
    return shell.say(
        "Nothing is known about {subject}; the ledger goes back to {date}.",
        subject=printable(answer.subject),
        date=when(answer.reaches_back_to_us),
    )


def said(shell: Shell, sentence: Any) -> str:
    from sekisho.core.policy.shaping.explaining import meaning_in
    from sekisho.core.policy.takeover.wording import because_in

    values = {
        name: when(value) if name in _TIMES else printable(value) for name, value in sentence.values.items()
    }
    if told := because_in(str(sentence.values.get("reasons", "")), shell.say.language):
        values["because"] = printable(told)
    if meant := str(sentence.values.get("meant", "")):
        values |= {name: printable(told) for name, told in meaning_in(meant, shell.say.language).items()}
    return shell.say(sentence.text, **values)


def headline(shell: Shell, story: Any) -> str:
    """What happened and why, in one sentence."""
    what = said(shell, story.what)
    if story.why is None:
        return what
    return shell.say("{what}: {why}", what=what, why=said(shell, story.why))


def _for_machines(shell: Shell, story: Any) -> dict[str, Any]:
    remedy = said(shell, story.remedy) if story.remedy is not None else ""
    return {
        "id": story.id,
        "at_us": story.at_us,
        "verdict": story.verdict,
        "sentence": headline(shell, story),
        "remedy": remedy,
        "times": story.times,
        "recipients": story.recipients,
        "entries": story.entries,
    }


def _print_stories(shell: Shell, stories: list[Any]) -> None:
    first, *others = stories
    say = shell.say
    click.echo(headline(shell, first))
    if first.remedy is not None:
        click.echo("→ " + said(shell, first.remedy))
    if first.times > 1:
        click.echo(say("This was seen {count} times.", count=first.times))
    if len(first.recipients) > 1:
        click.echo()
        rows = [
            (one.address, say(one.state), one.attempts, when(one.due_at_us), one.remote, one.reply)
            for one in first.recipients
        ]
        shell.print_table(
            (say("To"), say("State"), say("Attempts"), say("Next attempt"), say("Host"), say("Last reply")),
            rows,
        )
    click.echo()
    shell.print_table(
        (say("Time"), say("Entry"), say("Id"), say("Evidence")), [_row(entry) for entry in first.entries]
    )
    if others:
        click.echo("\n" + say("Also known:"))
        seen = [
            (when(story.at_us), story.id if story.id.isprintable() else "-", headline(shell, story))
            for story in others
        ]
        shell.print_table((say("Time"), say("Id"), say("What happened")), seen)


def _row(entry: Any) -> tuple[str, str, str, str]:
    # "reasons" are what "because" says, for programs.
    known = {
        name: value
        for name, value in entry.fields.items()
        if value not in ("", None, False) and name != "reasons"
    }
    return (
        when(entry.at_us),
        entry.kind,
        entry.id,
        "  ".join(f"{name}={value}" for name, value in known.items()),
    )
