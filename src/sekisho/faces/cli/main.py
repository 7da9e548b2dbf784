"""The `sekisho` command: its tree of sub-commands, and the one place where what went wrong becomes a sentence
and an exit code."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import PurePath

import click

from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import AppHandle, CommandError
from sekisho.faces.cli.shell import Shell, printable
from sekisho.faces.cli.translate import translated, usage_message
from sekisho.faces.i18n.catalogue import Catalogue, catalogue, language_of

# name -> (module under commands/, one line of help); a module is imported when its command is used.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("serve", "Run the mail server."),
    "try": ("serve", "Run a complete try-out server on this machine."),
    "lab": ("lab", "Rehearse with strangers, spammers and thieves."),
    "setup": ("setup", "Write a first configuration file."),
    "config": ("config", "Check, show and explain the configuration."),
    "domain": ("domain", "Domains for which mail is accepted."),
    "account": ("account", "Accounts: the mailboxes of people and programs."),
    "alias": ("alias", "Aliases: addresses that lead to other addresses."),
    "dkim": ("dkim", "DKIM keys, with which mail is signed."),
    "check": ("check", "Check what other servers see of your mail and your domains."),
    "sieve": ("sieve", "Sieve scripts of accounts, which sort mail when it arrives."),
    "classifier": ("classifier", "The classifier, which tells spam from ham by words and structure."),
    "expect": ("expect", "Accept mail to somebody without greylisting for a while."),
    "release": ("release", "Let a message out of Junk, and trust its sender."),
    "reputation": ("reputation", "Show what this server has learned about senders."),
    "reports": ("reports", "What other servers report about your domains and your mail."),
    "door": ("door", "The door: rules that judge mail from other servers."),
    "guard": ("guard", "The guard: accounts whose mail is held, because they may have been stolen."),
    "bans": ("bans", "Bans: networks that may not log in for a while."),
    "queue": ("queue", "The queue: mail that waits for delivery."),
    "providers": ("providers", "How fast mail goes to the big providers, and what slowed it."),
    "warmup": ("providers", "How far this server's address is known at the big providers."),
    "why": ("why", "Show what became of a message, or why it was refused."),
    "backup": ("storage", "Copy everything, while the server runs."),
    "verify": ("storage", "Check a backup, or the live data."),
    "restore": ("storage", "Fill an empty data folder from a backup."),
    "sendmail": ("sendmail", "Hand in a message like sendmail(1)."),
}


class LazyGroup(click.Group):
    """The top level; help is listed without importing the commands."""

    say: Catalogue

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"sekisho.faces.cli.commands.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return translated(command, self.say)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=COMMANDS, ctx=ctx
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.say(text)) for name, (_, text) in COMMANDS.items()])


def build_cli(app: AppHandle, say: Catalogue | None = None) -> click.Group:
    """The command tree over the composition root; `say` None: in the language of the environment."""
    say = say or catalogue(language_of(os.environ) or "en")

    group = LazyGroup(
        name="sekisho",
        help=(
            "A whole, secure mail server in one program.\n\n"
            "\b\nTry it out on this machine:\n  sekisho try\n\n"
            "\b\nRun the real thing:\n  sekisho setup mx.example.org -c sekisho.toml\n  sekisho serve -c "
            "sekisho.toml"
        ),
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    group.say = say
    shell = Shell(app, say)

    @click.pass_context
    def remember(ctx: click.Context) -> None:
        ctx.obj = shell

    group.callback = remember
    group.params.append(_version_option())
    return translated(group, say)


def run(app: AppHandle, argv: Sequence[str]) -> int:
    """The whole command line, `argv[0]` included; returns the exit code. Called as `sendmail` it is the
    sendmail(1) shim."""
    os.umask(0o077)  # what a command writes is for its user only, unless it says otherwise itself
    say = catalogue(language_of(os.environ) or "en")
    if PurePath(argv[0]).name == "sendmail":
        from sekisho.faces.sendmail.main import run_sendmail

        return run_sendmail(argv[1:], os.environ, say)
    try:
        result = build_cli(app, say).main(list(argv[1:]), prog_name="sekisho", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _usage(error, say)
    except (click.Abort, KeyboardInterrupt):
        click.echo(say("Stopped."), err=True)
        return exits.FAILED
    except BrokenPipeError:
        # Whoever read our output went away (`| head`): that is their right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FAILED
    except CommandError as failed:
        return _failed(say(failed.text, **on_one_line(failed.values)), failed.exit_code)
    except click.ClickException as error:
        return _failed(error.format_message(), exits.FAILED)
    except OSError as error:
        return _failed(
            say("{what}: {reason}", what=error.filename or "I/O", reason=error.strerror or str(error)),
            exits.FAILED,
        )
    except Exception as error:
        return _refused_or_bug(error, say)
    return result if isinstance(result, int) else exits.OK


def _refused_or_bug(error: Exception, say: Catalogue) -> int:
    # admin is imported only now: `sekisho --help` should not pay for it.
    from sekisho.admin.context import AdminRefused
    from sekisho.admin.operations import Fault

    if isinstance(error, AdminRefused):
        return _failed(say(error.text, **on_one_line(error.values)), exits.FAILED)
    if isinstance(error, Fault):
        return _failed(
            say("The server hit an error of its own; its log has the details under {id}.", id=str(error)),
            exits.FAILED,
        )
    if os.environ.get("SEKISHO_TRACEBACK"):
        raise error
    sentence = say(
        "This is an error in sekisho itself: {error}. SEKISHO_TRACEBACK=1 shows where.",
        error=f"{type(error).__name__}: {error}",
    )
    return _failed(sentence, exits.SYSEXITS_SOFTWARE)


def on_one_line(values: Mapping[str, object]) -> dict[str, object]:
    """What may come from others cannot begin a line; only what the server itself found wrong has several."""
    return {
        name: value if name == "problem" or isinstance(value, int) else printable(value)
        for name, value in values.items()
    }


def _usage(error: click.UsageError, say: Catalogue) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx is not None:
        click.echo(error.ctx.get_help())
        return exits.USAGE
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(say("Try '{command}' for help.", command=f"{error.ctx.command_path} --help"), err=True)
    return _failed(usage_message(error, say), exits.USAGE)


def _failed(sentence: str, exit_code: int) -> int:
    """Several problems stand in a line each, as whoever found them wrote them."""
    click.echo("sekisho: " + "\n  ".join(map(printable, sentence.split("\n"))), err=True)
    return exit_code


def _version_option() -> click.Option:
    def show(ctx: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            from importlib.metadata import version

            click.echo(f"sekisho {version('sekisho')}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and exit.",
    )
