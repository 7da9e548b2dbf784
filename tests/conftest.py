"""Settings of all tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from tests.stores.opened import close_all, forget_the_empty

# No wall-clock limits: a loaded machine must not fail a test. The same examples each time, so that a green
# run stays green; ./test --full looks for new ones.
_is_full = os.environ.get("SEKISHO_TEST_SCALE") == "full"
settings.register_profile("sekisho", deadline=None, derandomize=not _is_full)
settings.load_profile("sekisho")
if not _is_full:
    # Hypothesis also tries numbers and texts that stand in whatever modules are imported by then: with other
    # tests before it, in another order or on another core, a test would get other examples.
    providers._get_local_constants = lambda: providers._local_constants


@pytest.fixture(autouse=True)
def mask_of_new_files() -> Iterator[None]:
    """A command sets it for its process: here that is the process of all tests."""
    usual = os.umask(0o022)
    yield
    os.umask(usual)


@pytest.fixture(autouse=True)
def opened_stores() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(autouse=True, scope="session")
def empty_store() -> Iterator[None]:
    yield
    forget_the_empty()
