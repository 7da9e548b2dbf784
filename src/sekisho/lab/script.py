"""What happens when: the steps of a scene as single acts, in order of time. Pure: the same scene and seed
give the same script."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from sekisho.lab.scene import Actor, Scene, SceneStep

IpAddress = IPv4Address | IPv6Address
DAY = 86_400.0
_ROLE_NAMES = ("postmaster", "abuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that one actor does at `at` seconds after the beginning. `recipients` are whole addresses, as
    they go on the wire."""

    at: float
    step: SceneStep
    number: int  # within the step, from 0
    token: str  # unique in the run: the local part of the Message-ID
    seed: str
    address: IpAddress | None = None
    recipients: tuple[str, ...] = ()
    thread: int | None = None  # the number of the act of step.thread that it answers


@dataclass(slots=True)
class LabScript:
    acts: list[Act]
    people: dict[str, list[str]] = field(default_factory=dict)
    full: bool = False


def write_script(scene: Scene, seed: int, full: bool = False) -> LabScript:
    """The acts in order of time. `full`: with the large numbers that a scene keeps for that."""
    people = {
        group.name: [
            f"{group.name}{n:04d}@{group.domains[n % len(group.domains)]}" for n in range(group.count)
        ]
        for group in scene.people
    }
    writer = _Writer(scene, seed, full, people)
    acts: list[Act] = []
    clock = 0.0
    for index, step in enumerate(scene.step):
        begin = step.at if step.at is not None else clock + step.after
        made = list(writer.acts(index, step, begin))
        acts += made
        clock = max([begin, *(act.at for act in made)])
    acts.sort(key=lambda act: act.at)
    return LabScript(acts, people, full)


def pick_address(networks: tuple[IPv4Network | IPv6Network, ...], dice: random.Random) -> IpAddress:
    """One address of one of the networks, never the first or last of a larger one."""
    network = dice.choice(networks)
    if network.num_addresses == 1:
        return network.network_address
    return network.network_address + dice.randrange(1, min(network.num_addresses - 1, 2**62))


def whole_address(scene: Scene, text: str) -> str:
    """An account's or alias's name with the house's first domain; whatever else was written, as it stands."""
    names = {account.name for account in scene.account} | {
        alias for account in scene.account for alias in account.aliases
    }
    return f"{text}@{scene.house.domains[0]}" if text in names or text in _ROLE_NAMES else text


class _Writer:
    def __init__(self, scene: Scene, seed: int, full: bool, people: dict[str, list[str]]) -> None:
        self._scene = scene
        self._seed = seed
        self._full = full
        self._people = people
        self._unused = {name: list(addresses) for name, addresses in people.items()}
        self._senders: dict[str, list[str]] = {}  # by step: who wrote each of its messages

    def acts(self, index: int, step: SceneStep, begin: float) -> Iterator[Act]:
        dice = random.Random(f"{self._seed}:{index}:{step.name}")
        number = 0
        times = (
            [begin]
            if step.do in ("guess", "wait", "command", "move", "look", "dns")
            else self._times(step, begin, dice)
        )
        actor = self._scene.find_actor(step.actor) if step.actor else None
        fixed = pick_address(actor.address, dice) if actor else None
        for turn, at in enumerate(times):
            recipients = self._recipients(step, turn, dice)
            for part in [(one,) for one in recipients] if step.each == "recipient" else [recipients]:
                address = (
                    fixed if actor is None or actor.rotate == "never" else pick_address(actor.address, dice)
                )
                if step.do == "mail" and actor is not None:
                    self._senders.setdefault(step.name, []).append(sender_of(step, actor, number))
                thread = turn if step.thread else None
                yield Act(
                    at=at,
                    step=step,
                    number=number,
                    token=f"{step.name}.{number}.{self._seed}",
                    seed=f"{self._seed}:{index}:{number}",
                    address=address,
                    recipients=part,
                    thread=thread,
                )
                number += 1

    def _times(self, step: SceneStep, begin: float, dice: random.Random) -> list[float]:
        count = step.full_count if self._full and step.full_count else step.count
        if step.days is not None:
            return self._times_of_days(step, begin, count, dice)
        times = [begin + n * step.every for n in range(count)]
        if step.jitter:
            times = [at + dice.uniform(0, step.jitter * step.every) for at in times]
        return times

    def _times_of_days(self, step: SceneStep, begin: float, per_day: int, dice: random.Random) -> list[float]:
        """`count` times a day, within the hours of the clock that `begin` of the scene has."""
        start = datetime.fromisoformat(self._scene.begin)
        since_midnight = start.hour * 3600 + start.minute * 60 + start.second
        midnight = (
            begin + since_midnight
        ) // DAY * DAY - since_midnight  # of the day that the step begins on
        first, last = (step.hours[0], step.hours[-1]) if step.hours else (0, 24)
        times = []
        for day in range(step.days or 0):
            times += [midnight + day * DAY + dice.uniform(first, last) * 3600 for _ in range(per_day)]
        return sorted(at for at in times if at >= begin)

    def _recipients(self, step: SceneStep, turn: int, dice: random.Random) -> tuple[str, ...]:
        found = [whole_address(self._scene, text) for text in step.to]
        if step.people:
            group = self._people[step.people]
            if step.pick == "all":
                found += group
            elif step.pick == "new":
                unused = self._unused[step.people]
                found += unused[: step.take]
                del unused[: step.take]
            else:
                found += dice.sample(group, min(step.take, len(group)))
        if step.thread:
            senders = self._senders.get(step.thread, [])
            found += [senders[turn % len(senders)]] if senders else []
        return tuple(dict.fromkeys(found))


def sender_of(step: SceneStep, actor: Actor, number: int) -> str:
    """The envelope sender of a stranger's message; `{n}` in it becomes the message's number."""
    if step.sender is not None:
        return step.sender.replace("{n}", str(number))
    return f"{actor.name}@{actor.domain}"
