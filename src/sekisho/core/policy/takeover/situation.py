"""What the signals look at: the account's memory with this message counted, and what follows from both."""

from dataclasses import dataclass

from sekisho.core.policy.takeover.accounting import FAMILIAR_DAYS, FAN_OUT, STRANGER
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Reach, Sending, wide_network
from sekisho.core.policy.takeover.state import DAY_US, HOUR_US, MINUTE_US, Hour, Seen, State

PARDON_DAYS = 30
ODD = 0.5  # from here on a place or program counts as strange
BUSY_DAY = 40  # messages that are in order on any day


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """How strange the context is, each 0 (familiar) to 1 (never met)."""

    network: float = 0.0
    client: float = 0.0
    hour: float = 0.0
    credential: float = 0.0
    identity: float = 0.0
    link: str = ""  # the first host that was never linked to, "" if all were
    new_networks: int = 0  # never met before the last hour, this one included

    @property
    def oddness(self) -> float:
        """Of place and program together: a new program at home is less odd than a new place."""
        return max(self.network, 0.75 * self.client)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSituation:
    """`window`: sums of the last 24 hours. `maturity`: 0 without history to compare places and programs with,
    1 with enough of it; `settled`: the same for amounts, which take longer to learn."""

    rules: GuardRules
    state: State
    sending: Sending
    reach: Reach
    familiarity: Familiarity
    window: Hour
    maturity: float
    settled: float
    bulk: bool  # the right to send newsletters, where it counts

    @property
    def strangers(self) -> float:
        return self.window.strangers / STRANGER

    @property
    def allowed_strangers(self) -> float:
        usual = max(self.state.usual_strangers, self.state.pardoned_strangers if self._is_pardoned else 0)
        return max(
            _between(self.rules.newcomer_strangers, self.rules.usual_strangers, self.settled),
            2 * usual / STRANGER,
        )

    @property
    def fan_out(self) -> float:
        return self.window.fan_out / FAN_OUT

    @property
    def allowed_fan_out(self) -> float:
        usual = max(self.state.usual_fan_out, self.state.pardoned_fan_out if self._is_pardoned else 0)
        return max(
            _between(self.rules.newcomer_fan_out, self.rules.usual_fan_out, self.settled), 2 * usual / FAN_OUT
        )

    @property
    def allowed_messages(self) -> int:
        return max(BUSY_DAY, 5 * self.state.usual_messages // 2)

    @property
    def _is_pardoned(self) -> bool:
        return self.sending.at_us - self.state.pardoned_us < PARDON_DAYS * DAY_US


def familiarity_of(state: State, sending: Sending) -> Familiarity:
    """Before this message is learnt."""
    now_us = sending.at_us
    identities = [_strangeness(state.identities.get(key)) for key in sending.identities]
    unknown = [link.host for link in sending.links if _is_new(state.links.get(link.key), now_us)]
    return Familiarity(
        network=_network(state, sending) if sending.network else 0.0,
        client=_strangeness(state.clients.get(sending.client)) if sending.client else 0.0,
        hour=_hour(state, now_us),
        credential=_strangeness(state.credentials.get(sending.credential_id)),
        identity=max(identities, default=0.0),
        link=unknown[0] if unknown else "",
        new_networks=_new_networks(state, sending),
    )


def came_later(state: State, sending: Sending) -> bool:
    """Neither the network nor the program was there on the account's first day."""
    first = state.days[0].number
    seen = state.networks.get(sending.network), state.clients.get(sending.client)
    return all(one is None or one.first_us // DAY_US > first for one in seen)


def _strangeness(seen: Seen | None) -> float:
    """1 when never met or on one day only, as that day may be today; 0 when familiar."""
    if seen is None:
        return 1.0
    return max(0.0, (FAMILIAR_DAYS - seen.days) / (FAMILIAR_DAYS - 1))


def _is_new(first_minute: int | None, now_us: int) -> bool:
    return first_minute is None or now_us - first_minute * MINUTE_US < DAY_US


def _network(state: State, sending: Sending) -> float:
    """Who reads from a place day after day may send from there."""
    strangeness = min(
        _strangeness(state.networks.get(sending.network)), _strangeness(Seen(0, 0, max(1, sending.days_read)))
    )
    if strangeness:
        wide = wide_network(sending.network)
        near = min(
            (_strangeness(seen) for name, seen in state.networks.items() if wide_network(name) == wide),
            default=1.0,
        )
        strangeness = min(strangeness, 0.5 + near / 2)
    return strangeness


def _new_networks(state: State, sending: Sending) -> int:
    since_us = sending.at_us - HOUR_US
    here = state.networks.get(sending.network)
    if (
        not sending.network
        or sending.days_read >= FAMILIAR_DAYS
        or (here is not None and here.first_us < since_us)
    ):
        return 0
    return sum(seen.first_us >= since_us for seen in state.networks.values()) + (here is None)


def _hour(state: State, now_us: int) -> float:
    """1 when the account hardly ever writes within an hour of this time of day."""
    total = sum(state.by_hour)
    if total < 30:
        return 0.0
    hour = now_us // HOUR_US % 24
    near = state.by_hour[hour - 1] + state.by_hour[hour] + state.by_hour[(hour + 1) % 24]
    return 1.0 if near / total < 0.02 else 0.0


def _between(newcomer: float, settled: float, part: float) -> float:
    """Falls from one to the other by the same factor each day: the first days take most of the newcomer's
    freedom away."""
    return float(newcomer * (settled / newcomer) ** part)
