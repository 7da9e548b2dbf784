"""`sekisho door`: how mail from strangers is judged."""

from pathlib import Path

import click

from sekisho.faces.cli.shell import Shell, config_option, json_option, pass_shell

# How a rule is followed.
WORDS = ("enforce", "observe", "off")


@click.group("door")
def door_command() -> None:
    """The rules by which mail from strangers is judged."""


@door_command.command("rules", epilog="Example: sekisho door rules")
@config_option
@json_option
@pass_shell
def rules(shell: Shell, config_file: Path, as_json: bool) -> None:
    """List the rules in their order; the first that has something to say, and is enforced, decides."""
    config = shell.load_config(config_file)
    from sekisho.config.door import door_rules
    from sekisho.core.policy.door import RULES
    from sekisho.faces.i18n.catalogue import catalogue

    chosen, japanese = door_rules(config), catalogue("ja")
    if as_json:
        told = [(rule, {"en": rule.says, "ja": japanese(rule.says)}) for rule in RULES]
        shell.print_json([{"name": rule.name, "mode": rule.mode(chosen), "setting": rule.setting, "says": says} for rule, says in told])
        return
    say = shell.say
    rows = [(rule.name, say(rule.mode(chosen)), rule.setting, say(rule.says)) for rule in RULES]
    shell.print_table((say("Rule"), say("Mode"), say("Setting"), say("What it does")), rows)
