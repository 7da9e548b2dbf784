"""A command beside a running server that does not answer: a sentence and an exit code, no traceback."""

import socket
import threading
from pathlib import Path

import pytest

from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.wiring.operator import operator
from sekisho.wiring.paths import control_socket


def test_a_server_that_hangs_up(tmp_path: Path) -> None:
    roles = {"postmaster": "a@example.org", "abuse": "a@example.org"}
    config = Config.model_validate({"hostname": "mx.example.org", "data_dir": tmp_path, "roles": roles})
    path = control_socket(config)
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        hang_up = threading.Thread(target=lambda: listening.accept()[0].close())
        hang_up.start()
        with pytest.raises(CommandError) as failed, operator(config) as ask:
            ask(b"x")
        hang_up.join(20)
    assert (
        failed.value.exit_code == exits.UNREACHABLE
        and str(path) in str(failed.value)
        and "without an answer" in str(failed.value)
    )
