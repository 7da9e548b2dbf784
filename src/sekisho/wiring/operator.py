"""How a command reaches the data: through the running server, or alone when there is none."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from sekisho.adapters.process.control import ControlProblem, ServerNotRunning, ask_server
from sekisho.adapters.process.lock import lock_data_directory
from sekisho.adapters.process.plan import StartRefused
from sekisho.adapters.process.privileges import acting_as
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError, OperatorLink
from sekisho.wiring.owner import make_data_folder
from sekisho.wiring.paths import control_socket


@contextmanager
def operator(config: Config) -> Iterator[OperatorLink]:
    """Raises CommandFailed when neither way is open."""
    path = control_socket(config)
    try:
        with ask_server(path) as ask:
            yield ask
            return
    except ServerNotRunning:
        pass
    except (ControlProblem, TimeoutError) as problem:
        raise CommandError(
            "{path}: no answer from the server: {reason}",
            exits.UNREACHABLE,
            path=str(path),
            reason=str(problem),
        ) from problem
    except PermissionError as error:
        raise CommandError(
            "{path}: no permission; run this as root or as the user of the server.",
            exits.UNREACHABLE,
            path=str(path),
        ) from error
    # The store and all under it take a quarter of a second to import, and with a running server nobody needs
    # them.
    from sekisho.wiring.alone import answer_alone

    if not config.data_dir.is_dir():
        raise CommandError(
            "{path} does not exist: start the server once, or correct data_dir.",
            exits.UNREACHABLE,
            path=str(config.data_dir),
        )
    with owned_data(config) as owner:
        yield lambda request: answer_alone(config, request, owner)


@contextmanager
def owned_data(config: Config) -> Iterator[pwd.struct_passwd | None]:
    """The data folder's lock, so that no server starts meanwhile, and whose the data is (`owner.data_owner`);
    raises CommandFailed.

    A folder that is not there yet is made for its owner.
    """
    owner = make_data_folder(config)
    try:
        with acting_as(owner):
            descriptor = lock_data_directory(config.data_dir, 0.0)
    except StartRefused as refused:
        raise CommandError("{problem}", exits.UNREACHABLE, problem=str(refused)) from refused
    try:
        yield owner
    finally:
        os.close(descriptor)
