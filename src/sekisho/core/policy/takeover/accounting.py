"""How the guard's memory of an account changes: with a message, with what became of it, and when an operator
spoke. Changes in place."""

from collections.abc import Hashable
from typing import TypeVar

from sekisho.core.policy.takeover.sending import Reach, Sending
from sekisho.core.policy.takeover.state import (
    COUNTS,
    DAY_US,
    HOUR_US,
    HOURS_SUM,
    MAX_CLIENTS,
    MAX_CONTENTS,
    MAX_CREDENTIALS,
    MAX_DAYS,
    MAX_DOMAINS,
    MAX_IDENTITIES,
    MAX_LINKS,
    MAX_NETWORKS,
    MAX_THREADS,
    MINUTE_US,
    Day,
    Hour,
    Seen,
    State,
)

WINDOW_HOURS = 24
RUSH_US = 600_000_000
STRANGER = 3  # strangers are counted in thirds, fan-out in quarters: whole numbers add up exactly
ANSWERED_AT_HOME, ANSWERED_AWAY = 1, 2
FAN_OUT = 4
# so many recipients of one message count whole; of more, as an invitation has, a part: it is one deed, not
# many
PERSONAL = 10
CIRCULAR_AT_HOME, CIRCULAR_AWAY = (
    1,
    2,
)  # of a stranger's three thirds; from a strange place it is less likely an invitation
SETTLED_DAYS = 3  # what was done on the last days does not yet count as usual: a thief may have done it
ROBUST_DAYS = 10  # of so many days the highest is left out: one odd day makes no habit
FAMILIAR_DAYS = 3  # met on so many days, something is familiar

Key = TypeVar("Key", bound=Hashable)


def hours_of(state: State, at_us: int) -> tuple[Hour, Hour]:
    """The hour to count in, and the sum of the last 24 to count in too."""
    number = at_us // HOUR_US
    hours = state.hours
    if not hours or hours[-1].number < number:
        state.hours = [hour for hour in hours if hour.number > number - WINDOW_HOURS]
        state.window = _sum(state.hours, number)
        state.hours.append(Hour(number=number))
    return state.hours[-1], state.window


def _sum(hours: list[Hour], number: int) -> Hour:
    total = Hour(number=number)
    for hour in hours:
        total.messages += hour.messages
        total.recipients += hour.recipients
        total.strangers += hour.strangers
        total.fan_out += hour.fan_out
        total.dormant += hour.dormant
        total.delivered += hour.delivered
        total.bounced += hour.bounced
        total.complaints += hour.complaints
        total.fresh += hour.fresh
        total.context = max(total.context, hour.context)
    return total


def day_of(state: State, at_us: int) -> Day:
    """The day to count in. A new one settles what is usual."""
    number = at_us // DAY_US
    if not state.days or state.days[-1].number < number:
        state.days = state.days[-MAX_DAYS + 1 :]
        state.days_behind = len(state.days)
        settled = [day for day in state.days if day.number <= number - SETTLED_DAYS]
        state.usual_strangers = _usual([day.strangers for day in settled])
        state.usual_fan_out = _usual([day.fan_out for day in settled])
        state.usual_messages = _usual([day.messages for day in settled])
        state.days.append(Day(number))
    return state.days[-1]


def _usual(values: list[int]) -> int:
    ordered = sorted(values)
    if not ordered:
        return 0
    return ordered[-2] if len(ordered) >= ROBUST_DAYS else ordered[-1]


def is_answer(state: State, sending: Sending) -> bool:
    """Somebody who wrote first is answered. Believed once for each thread: a thief could answer one for
    ever."""
    return sending.answers and sending.remote_recipients == 1 and sending.thread not in state.threads


def stranger_weight(strangers: int, *, at_home: bool = True) -> int:
    """In thirds."""
    return STRANGER * min(strangers, PERSONAL) + (CIRCULAR_AT_HOME if at_home else CIRCULAR_AWAY) * max(
        0, strangers - PERSONAL
    )


def fan_out_weight(recipients: int) -> int:
    """In quarters, of which those beyond `PERSONAL` count one."""
    return FAN_OUT * min(recipients, PERSONAL) + max(0, recipients - PERSONAL)


def count_sending(
    state: State, sending: Sending, reach: Reach, *, at_home: bool = True, is_odd: bool = False
) -> None:
    """Debit the message: budgets, windows, repeated content. What is familiar does not change. `at_home`: its
    network is familiar, or nothing is yet. `is_odd`: the network or the program is strange."""
    now_us = sending.at_us
    answered = is_answer(state, sending)
    one_answer = ANSWERED_AT_HOME if at_home else ANSWERED_AWAY
    strangers = (
        reach.strangers * one_answer if answered else stranger_weight(reach.strangers, at_home=at_home)
    )
    fresh = is_odd and any(not link.quoted and link.key not in state.links for link in sending.links)
    fan_out = fan_out_weight(sending.local_recipients + reach.house + reach.known)
    recipients = sending.local_recipients + sending.remote_recipients
    day = day_of(state, now_us)
    for count in hours_of(state, now_us):
        count.messages += 1
        count.recipients += recipients
        count.strangers += strangers
        count.fan_out += fan_out
        count.dormant += reach.dormant
        count.fresh += fresh
    day.messages += 1
    day.strangers += strangers
    day.fan_out += fan_out
    if state.budget_day != day.number:
        state.budget_day, state.first_time, state.recipients = day.number, 0, 0
    state.first_time += reach.strangers
    state.recipients += recipients
    if now_us - state.rush_us >= RUSH_US:
        state.rush_us, state.rush = now_us, 0
    state.rush += reach.strangers
    minute = now_us // MINUTE_US
    if reach.strangers and sending.thread:
        _put_last(state.threads, sending.thread, minute, MAX_THREADS)
    for domain in () if answered else reach.domains:
        _put_last(state.domains, domain, minute, MAX_DOMAINS)
    # Who answers people that wrote first may give all of them the same answer.
    repeated = (
        ()
        if answered and reach.strangers and not is_odd
        else (*sending.contents, *(link.key for link in sending.links))
    )
    for content in repeated:
        _put_last(state.contents, content, state.contents.get(content, minute * COUNTS) + 1, MAX_CONTENTS)


def learn_context(state: State, sending: Sending) -> None:
    """The message was in order: from where and by what it came becomes a little more familiar."""
    now_us = sending.at_us
    state.messages += 1
    if sending.network:
        _see(state.networks, sending.network, now_us, MAX_NETWORKS)
    if sending.client:
        _see(state.clients, sending.client, now_us, MAX_CLIENTS)
    _see(state.credentials, sending.credential_id, now_us, MAX_CREDENTIALS)
    for identity in sending.identities:
        _see(state.identities, identity, now_us, MAX_IDENTITIES)
    for link in sending.links:
        _put_last(state.links, link.key, state.links.get(link.key, now_us // MINUTE_US), MAX_LINKS)
    by_hour = state.by_hour
    by_hour[now_us // HOUR_US % 24] += 1
    if sum(by_hour) > HOURS_SUM:
        state.by_hour = [count // 2 for count in by_hour]


def count_outcomes(
    state: State, at_us: int, *, delivered: int = 0, bounced: int = 0, complaints: int = 0
) -> None:
    """What other hosts said to recipients of this account's mail."""
    for count in hours_of(state, at_us):
        count.delivered += delivered
        count.bounced += bounced
        count.complaints += complaints


def note_context(state: State, at_us: int, points: int) -> None:
    for count in hours_of(state, at_us):
        count.context = max(count.context, points)


def pardon(state: State, now_us: int) -> None:
    """It was the owner: the windows begin anew, and what was done and met lately counts as usual from now
    on."""
    today = now_us // DAY_US
    recent = [day for day in state.days if day.number > today - SETTLED_DAYS]
    state.pardoned_strangers = max((day.strangers for day in recent), default=0)
    state.pardoned_fan_out = max((day.fan_out for day in recent), default=0)
    seen = [*state.networks.values(), *state.clients.values(), *state.credentials.values()]
    for item in (*seen, *state.identities.values()):
        item.days = max(item.days, FAMILIAR_DAYS)
    long_ago = (now_us - 2 * DAY_US) // MINUTE_US
    state.links = {key: min(first, long_ago) for key, first in state.links.items()}
    state.contents = {key: min(value, long_ago * COUNTS) for key, value in state.contents.items()}
    _begin_anew(state)
    state.pardoned_us = now_us


def unlearn(state: State, since_us: int) -> None:
    """It was a thief: what was first met since then is forgotten, and the windows begin anew."""
    first_day = since_us // DAY_US
    state.days = [day for day in state.days if day.number < first_day]
    state.networks = {key: seen for key, seen in state.networks.items() if seen.first_us < since_us}
    state.clients = {key: seen for key, seen in state.clients.items() if seen.first_us < since_us}
    state.credentials = {key: seen for key, seen in state.credentials.items() if seen.first_us < since_us}
    state.identities = {key: seen for key, seen in state.identities.items() if seen.first_us < since_us}
    since = since_us // MINUTE_US
    state.links = {key: first for key, first in state.links.items() if first < since}
    state.contents = {key: value for key, value in state.contents.items() if value < since * COUNTS}
    _begin_anew(state)


def _begin_anew(state: State) -> None:
    state.hours, state.window, state.domains, state.threads = [], Hour(number=0), {}, {}
    state.rush_us = state.rush = 0
    state.budget_day = state.first_time = state.recipients = 0


def _see(seen: dict[Key, Seen], key: Key, now_us: int, limit: int) -> None:
    known = seen.get(key)
    if known is None:
        if len(seen) >= limit:
            # What is seldom met goes first: a thief with a thousand addresses must not push out the owner's.
            del seen[min(seen, key=lambda other: (seen[other].days, seen[other].last_us))]
        seen[key] = Seen(now_us, now_us)
        return
    if known.last_us // DAY_US != now_us // DAY_US:
        known.days += 1
    known.last_us = now_us


def _put_last(values: dict[int, int], key: int, value: int, limit: int) -> None:
    """Into its place at the end; what was not used for longest goes when there are too many."""
    if values.pop(key, None) is None and len(values) >= limit:
        del values[next(iter(values))]
    values[key] = value
