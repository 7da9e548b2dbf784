"""How fast mail goes to each provider, and how warm the address is there."""

import pytest
from tests.stores.opened import OpenStore

from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.domains import Nothing
from sekisho.admin.shaping import SimulateWarmup, list_providers, show_warmup, simulate_warmup
from sekisho.core.policy.shaping.pace import FREE, slowed
from sekisho.core.policy.shaping.provider import PROVIDERS
from sekisho.core.policy.shaping.recognise import recognise_text
from sekisho.core.policy.shaping.shape import Shape
from sekisho.core.policy.shaping.warmup import Warmth, WarmupRules, cold


async def put(context: Context, group: str, shape: Shape) -> None:
    await context.kept_shapes.change("", group, lambda known: (shape, None))


async def test_every_provider_is_listed_and_the_slowed_come_first(context: Context, store: OpenStore) -> None:
    assert {row.state for row in await list_providers(context, Nothing())} == {"free"}
    found = recognise_text("421 4.7.28 unusual rate", "aspmx.l.google.com")
    assert found is not None
    pace = slowed(FREE, context.clock.now_us(), found, "421 4.7.28 unusual rate")
    assert pace is not None
    await put(context, "google", Shape(pace=pace))
    first, *others = await list_providers(context, Nothing())
    assert (first.group, first.state, first.connections, first.rule) == ("google", "closed", 1, "google-rate")
    assert first.closed_until_us == pace.closed_until_us
    assert len(others) == len(PROVIDERS) - 1


async def test_a_forecast_goes_on_from_where_the_address_stands(context: Context, store: OpenStore) -> None:
    new = await simulate_warmup(context, SimulateWarmup(300))
    assert new.is_cold and sum(portion.recipients for portion in new.portions) == 300
    assert new.portions[0].recipients == 20 and new.through_us == new.portions[-1].at_us
    now_us = context.clock.now_us()
    warm = Warmth(began_at_us=now_us, day=cold(now_us, WarmupRules()).day, budget=6000, is_warm=True)
    await put(context, "google", Shape(warmth=warm))
    known = await simulate_warmup(context, SimulateWarmup(300))
    assert not known.is_cold and [portion.recipients for portion in known.portions] == [300]
    (row,) = await show_warmup(context, Nothing())
    assert (row.group, row.is_warm, row.budget) == ("google", True, 6000)
    with pytest.raises(AdminRefused, match="no provider nobody"):
        await simulate_warmup(context, SimulateWarmup(1, "nobody"))
