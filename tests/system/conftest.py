"""One try-out server for the tests that leave it as they found it, and a fresh account in it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.server import Account, Server, running

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Path(tmp_path_factory.mktemp("system")) / "try") as started:
        yield started


@pytest.fixture
def someone(server: Server) -> Account:
    """An account of this test alone: its mailboxes are empty."""
    account = Account(f"someone{next(_numbers)}@example.test", "correct horse battery")
    server.command("account", "add", account.address, "--password-stdin", stdin=account.password + "\n")
    return account
