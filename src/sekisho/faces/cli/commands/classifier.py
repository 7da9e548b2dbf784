"""`sekisho classifier`: what tells spam from ham by their words and build."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from sekisho.faces.cli import exits, mailfiles
from sekisho.faces.cli.commands.storage import progress_bar
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import Ask, Shell, config_option, json_option, pass_shell, when

_BATCH = 200
_BATCH_OCTETS = 300_000
_PLACE = click.Path(path_type=Path, exists=True, allow_dash=True)


@click.group("classifier")
def classifier_command() -> None:
    """The classifier, which tells spam from ham by words and structure."""


@classifier_command.command(
    "train", epilog="Example: sekisho classifier train --ham ~/Maildir/.Archive --spam ~/spam.mbox"
)
@click.option(
    "--ham",
    multiple=True,
    type=_PLACE,
    help="Folder, Maildir or mbox of wanted mail, - for standard input; can be given several times.",
)
@click.option(
    "--spam",
    multiple=True,
    type=_PLACE,
    help="Folder, Maildir or mbox of unwanted mail, - for standard input; can be given several times.",
)
@click.option("--account", help="Teach for this account's mail first.")
@config_option
@json_option
@pass_shell
def train(
    shell: Shell,
    ham: tuple[Path, ...],
    spam: tuple[Path, ...],
    account: str | None,
    config_file: Path,
    as_json: bool,
) -> int:
    """Teach the classifier with mail that is sorted already. A known message is not learned twice."""
    from sekisho.admin.classifier import ClassifierIdle

    if not ham and not spam:
        raise click.UsageError(shell.say("Name at least one --ham or --spam."))
    places = [(file, False) for path in ham for file in mailfiles.files(path)] + [
        (file, True) for path in spam for file in mailfiles.files(path)
    ]
    with shell.operator(config_file) as ask, progress_bar(shell) as progress:
        lessons = shell.say("lessons")
        counts = _teach(ask, places, account, lambda done, total: progress(lessons, done, total))
        fitted = ask("classifier.fit", ClassifierIdle())
    result = {"read": counts, "known": {"ham": fitted.ham, "spam": fitted.spam}, "seconds": fitted.seconds}
    values = {**counts, "known_ham": fitted.ham, "known_spam": fitted.spam}
    shell.report(
        result,
        as_json,
        "Read {ham} messages of ham and {spam} of spam, {changed} of them new. Known now: {known_ham} of "
        "ham, {known_spam} of spam.",
        **values,
    )
    return exits.OK if counts["ham"] + counts["spam"] else exits.FAILED


def _teach(
    ask: Ask, places: list[tuple[Path, bool]], account: str | None, progress: Callable[[int, int], None]
) -> dict[str, int]:
    from sekisho.admin.classifier import LessonRequest, Teach

    total = sum(file.stat().st_size for file, _ in places if str(file) != "-")
    done, waiting, size = 0, list[LessonRequest](), 0
    counts = {"ham": 0, "spam": 0, "changed": 0}
    for octets, is_spam, took in _all_messages(places):
        lesson = _lesson(octets, is_spam)
        counts["spam" if is_spam else "ham"] += 1
        waiting.append(lesson)
        size += len(lesson.features)
        done += took
        progress(done, total)
        if len(waiting) >= _BATCH or size >= _BATCH_OCTETS:
            counts["changed"] += ask("classifier.teach", Teach(waiting, account)).count
            waiting, size = [], 0
    if waiting:
        counts["changed"] += ask("classifier.teach", Teach(waiting, account)).count
    return counts


def _all_messages(places: list[tuple[Path, bool]]) -> Iterator[tuple[bytes, bool, int]]:
    for file, is_spam in places:
        for octets, took in mailfiles.messages(file):
            yield octets, is_spam, took


def _lesson(octets: bytes, is_spam: bool) -> Any:
    from sekisho.admin.classifier import LessonRequest
    from sekisho.core.policy.classifier.features import features_of
    from sekisho.core.policy.classifier.reading import read_message

    key = hashlib.sha256(octets).hexdigest()[:32]
    return LessonRequest(key, is_spam, features_of(read_message(octets)).to_octets())


@classifier_command.command("status", epilog="Example: sekisho classifier status")
@config_option
@json_option
@pass_shell
def status(shell: Shell, config_file: Path, as_json: bool) -> None:
    """Show how much the classifier learned, and whether that is enough."""
    from sekisho.admin.classifier import ClassifierIdle

    with shell.operator(config_file) as ask:
        found = ask("classifier.status", ClassifierIdle())
    if as_json:
        shell.print_json(found)
        return
    if found.is_ready:
        click.echo(
            shell.say("It knows {ham} messages of ham and {spam} of spam.", ham=found.ham, spam=found.spam)
        )
    else:
        values = {"ham": found.ham, "spam": found.spam, "needed": found.needed}
        click.echo(
            shell.say(
                "It knows {ham} messages of ham and {spam} of spam; it judges once it knows {needed} "
                "of each.",
                **values,
            )
        )
    click.echo(
        shell.say(
            "Last fitted: {time}; changes since: {news}.", time=when(found.fitted_at_us), news=found.news
        )
    )
    columns = [
        shell.say("taught by"),
        shell.say("ham"),
        shell.say("spam"),
        shell.say("private"),
        shell.say("last"),
    ]
    rows = [
        (each.account or shell.say("operator"), each.ham, each.spam, each.private, when(each.latest_at_us))
        for each in found.accounts
    ]
    if rows:
        shell.print_table(columns, rows)


@classifier_command.command("explain", epilog="Example: sekisho classifier explain message.eml")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--account", help="Judge as for mail to this account.")
@config_option
@json_option
@pass_shell
def explain(shell: Shell, file: Path, account: str | None, config_file: Path, as_json: bool) -> None:
    """Show how the classifier judges the message in FILE, and which words decide."""
    from sekisho.admin.classifier import AskClassifier
    from sekisho.core.policy.classifier.reading import read_message

    octets = next(mailfiles.messages(file), (b"", 0))[0]
    tokens = read_message(octets)
    config = shell.load_config(config_file)
    with shell.operator(config_file) as ask:
        found = ask("classifier.explain", AskClassifier(list(tokens.build), list(tokens.words), account))
    if not found.is_ready:
        raise CommandError("The classifier has not learned enough to judge: see `sekisho classifier status`.")
    is_junk = found.score >= config.content.junk_score
    if as_json:
        shell.print_json(
            {"is_junk": is_junk, "score": found.score, "overall": found.overall, "telling": found.telling}
        )
        return
    values = {"score": f"{found.score:.2f}", "limit": f"{config.content.junk_score:.2f}"}
    if is_junk:
        click.echo(shell.say("Junk: its score is {score} (junk from {limit}).", **values))
    else:
        click.echo(shell.say("Not junk: its score is {score} (junk from {limit}).", **values))
    shell.print_table(
        [shell.say("weight"), shell.say("token")],
        [(f"{each.weight:+.3f}", each.token) for each in found.telling],
    )


@classifier_command.command("forget", epilog="Example: sekisho classifier forget --account alice@example.org")
@click.option("--account", help="Remove the lessons of this account.")
@click.option("--everything", is_flag=True, help="Remove all lessons of all accounts.")
@click.option("--yes", is_flag=True, help="Do not ask before everything is forgotten.")
@config_option
@json_option
@pass_shell
def forget(
    shell: Shell, account: str | None, everything: bool, yes: bool, config_file: Path, as_json: bool
) -> None:
    """Remove lessons."""
    from sekisho.admin.classifier import Forget

    if (account is None) is not everything:
        raise click.UsageError(shell.say("Name either --account or --everything."))
    if everything and not yes:
        click.confirm(shell.say("Forget all lessons of everybody for good?"), abort=True)
    with shell.operator(config_file) as ask:
        changed = ask("classifier.forget", Forget(account, everything))
    shell.report(changed, as_json, "Forgot {count} lessons.", count=changed.count)
