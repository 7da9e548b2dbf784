"""`sekisho lab`: an Internet in a box, and what the server does with it."""

from pathlib import Path

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.faces.cli.shell import Shell, json_option, pass_shell


@click.command("lab", epilog="Example: sekisho lab door hijack --seed 7")
@click.argument("scenes", nargs=-1, metavar="[SCENE]...")
@click.option(
    "--scenario",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A scene file of your own; can be given several times.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Seed of the dice; another number gives other addresses, texts and times.",
)
@click.option("--full", is_flag=True, help="With the large numbers; takes minutes.")
@click.option("--list", "is_list", is_flag=True, help="Only list the scenes that come with the program.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the servers' folders and logs there.",
)
@json_option
@pass_shell
def lab_command(
    shell: Shell,
    scenes: tuple[str, ...],
    files: tuple[Path, ...],
    seed: int,
    full: bool,
    is_list: bool,
    keep: Path | None,
    as_json: bool,
) -> int:
    """Rehearse: honest senders, forgers, bots and thieves against a real server of its own on this machine.

    Everything stays on loopback: the DNS, the strangers and the mail servers outside are the lab's. Time is
    moved, so that days pass in seconds. Without a name all scenes are played. The exit code is 1 if anything
    ended otherwise than its scene says.
    """
    from sekisho.config.problems import ConfigError
    from sekisho.faces.cli.labview import LabView, QuietView
    from sekisho.ports.lab import Rehearsal

    if is_list:
        return _list(shell, as_json)
    asked = Rehearsal(names=scenes, files=files, seed=seed, full=full, keep=keep, language=shell.say.language)
    view = QuietView() if as_json else LabView(shell.say)
    try:
        results = shell.app.lab(asked, view)
    except ConfigError as error:
        shell.print_problems(error.file or Path("-"), error.problems)
        raise CommandError("Nothing was played: the scene has errors.", exits.USAGE) from error
    if as_json:
        shell.print_json(results)
    return exits.OK if all(result.ok for result in results) else exits.FAILED


def _list(shell: Shell, as_json: bool) -> int:
    scenes = shell.app.lab_scenes(shell.say.language)
    if as_json:
        shell.print_json(scenes)
    else:
        shell.print_table(
            (shell.say("scene"), shell.say("what it shows")), [(scene.name, scene.title) for scene in scenes]
        )
    return exits.OK
