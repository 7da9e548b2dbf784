"""How fast mail goes to each provider, and how warm our address is there, for the operator."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.domains import Nothing
from sekisho.core.policy.shaping.pace import admitted
from sekisho.core.policy.shaping.provider import BY_NAME, PROVIDERS
from sekisho.core.policy.shaping.shape import UNKNOWN, Shape
from sekisho.core.policy.shaping.warmup import WarmupRules, cold, granted, turned

RULES = WarmupRules()
MOST_RECIPIENTS = 1_000_000


class ProviderState(Struct, frozen=True, kw_only=True):
    """`state`: free, slow, or closed (until `closed_until_us`). `per_minute` 0: as fast as it goes. `rule`,
    `reply`: of the last complaint. `certain`: are the limits known, or ours?"""

    group: str
    title: str
    source: str
    state: str
    connections: int
    per_minute: float
    closed_until_us: int
    slowed_at_us: int
    rule: str
    reply: str
    certain: bool


class WarmupState(Struct, frozen=True, kw_only=True):
    """`budget`: recipients today; `used`, of them `bulk`. `trouble`: "", slowed or blocked."""

    group: str
    source: str
    is_warm: bool
    budget: int
    used: int
    bulk: int
    trouble: str
    clean_days: int
    began_at_us: int


class SimulateWarmup(Struct, frozen=True, forbid_unknown_fields=True):
    """A newsletter to so many recipients at one provider, from now on; `bulk` False: letters of people."""

    recipients: int
    provider: str = "google"
    bulk: bool = True


class WarmupPortion(Struct, frozen=True):
    at_us: int
    recipients: int


class WarmupForecast(Struct, frozen=True):
    """`portions`: what goes when, if nothing goes wrong; `is_cold`: as from an address that is new there."""

    provider: str
    is_cold: bool
    through_us: int
    portions: list[WarmupPortion]


async def list_providers(context: Context, request: Nothing) -> list[ProviderState]:
    """Those of the table, and the hosts that are slowed."""
    now_us = context.clock.now_us()
    known = await context.kept_shapes.listing()
    there = {row.group for row in known}
    rows = [(row.source, row.group, row.shape) for row in known]
    rows += [("", provider.name, UNKNOWN) for provider in PROVIDERS if provider.name not in there]
    states = [_state(source, group, shape, now_us) for source, group, shape in rows]
    order = {"closed": 0, "slow": 1, "free": 2}
    return sorted(states, key=lambda state: (order[state.state], state.group, state.source))


def _state(source: str, group: str, shape: Shape, now_us: int) -> ProviderState:
    pace, provider = admitted(shape.pace, now_us)[0], BY_NAME.get(group)
    is_closed = now_us < pace.closed_until_us
    row = provider.connections if provider is not None else 0
    return ProviderState(
        group=group,
        title=provider.title if provider is not None else group,
        source=source,
        state="closed" if is_closed else "free" if pace.is_free else "slow",
        connections=pace.connections or row,
        per_minute=pace.per_minute,
        closed_until_us=pace.closed_until_us if is_closed else 0,
        slowed_at_us=pace.slowed_at_us,
        rule=pace.rule,
        reply=pace.reply,
        certain=provider.certain if provider is not None else False,
    )


async def show_warmup(context: Context, request: Nothing) -> list[WarmupState]:
    now_us = context.clock.now_us()
    found = []
    for row in await context.kept_shapes.listing():
        if row.shape.warmth is None:
            continue
        warmth = turned(row.shape.warmth, now_us, RULES)
        found.append(
            WarmupState(
                group=row.group,
                source=row.source,
                is_warm=warmth.is_warm,
                budget=warmth.budget,
                used=warmth.used,
                bulk=warmth.bulk,
                trouble=warmth.trouble,
                clean_days=warmth.clean_days,
                began_at_us=warmth.began_at_us,
            )
        )
    return found


async def simulate_warmup(context: Context, request: SimulateWarmup) -> WarmupForecast:
    """From where the address stands now, or from the beginning where no budget is kept."""
    if request.provider not in BY_NAME:
        names = ", ".join(BY_NAME)
        raise AdminRefused(
            "There is no provider {name}; known are: {names}.", name=request.provider, names=names
        )
    now_us = context.clock.now_us()
    rows = [row for row in await context.kept_shapes.listing() if row.group == request.provider]
    kept = next((row.shape.warmth for row in rows if row.shape.warmth is not None), None)
    warmth, left, at_us = (
        kept or cold(now_us, RULES),
        max(1, min(request.recipients, MOST_RECIPIENTS)),
        now_us,
    )
    portions: list[WarmupPortion] = []
    while left and len(portions) < 2000:
        result = granted(warmth, at_us, left, RULES, bulk=request.bulk)
        if result.amount:
            portions.append(WarmupPortion(at_us, result.amount))
        warmth, left, at_us = result.warmth, left - result.amount, max(result.at_us, at_us)
    return WarmupForecast(request.provider, kept is None, portions[-1].at_us if portions else at_us, portions)
