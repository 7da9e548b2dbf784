"""One try-out server for the tests that leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.server import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Path(tmp_path_factory.mktemp("system")) / "try") as started:
        yield started
