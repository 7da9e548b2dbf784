"""Settings of all tests."""

import os

from hypothesis import settings

# No wall-clock limits: a loaded machine must not fail a test. The same examples each time, so that a green run stays green;
# ./test --full looks for new ones.
settings.register_profile("sekisho", deadline=None, derandomize=os.environ.get("SEKISHO_TEST_SCALE") != "full")
settings.load_profile("sekisho")
