from collections.abc import AsyncIterator

import pytest
from tests.services.explaining import unexplained
from tests.services.smtp_world import World


@pytest.fixture(autouse=True)
async def every_refusal_is_explained() -> AsyncIterator[None]:
    """Whatever a test of an SMTP service had refused. Connections that are still open have no entry of their
    own yet."""
    World.made.clear()
    yield
    for world in World.made:
        open_sessions = any(not task.done() for task in world.tasks)
        missing = await unexplained(bytes(world.said), world.journal.entries)
        assert [one for one in missing if not open_sessions or "-" in one.partition(":")[0]] == []
