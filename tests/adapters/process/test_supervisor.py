"""The supervisor as a program of its own, driven by signals and sockets."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVING = Path(__file__).with_name("serving.py")


class Program:
    def __init__(self, data_dir: Path, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVING), json.dumps({"data_dir": str(data_dir), **options})],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def until(self, kind: str) -> dict[str, Any]:
        """Read what it says up to an entry of this kind."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said["kind"] == kind:
                return said
        raise AssertionError(f"it ended without saying {kind}")


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        program.process.kill()
        program.process.wait()


def test_starts_and_stops(programs: list[Program], tmp_path: Path) -> None:
    program = Program(tmp_path)
    programs.append(program)
    program.until("ready")
    program.process.terminate()
    assert program.process.wait(30) == 0
