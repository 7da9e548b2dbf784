"""Settings of all tests."""

from hypothesis import settings

# No wall-clock limits: a loaded machine must not fail a test.
settings.register_profile("sekisho", deadline=None)
settings.load_profile("sekisho")
