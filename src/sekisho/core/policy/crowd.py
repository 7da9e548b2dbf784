"""Who gives way when there is not room for all: strangers who keep us waiting, and of them those with the
most neighbours.

A connection is vouched for when somebody logged in on it; it stays. One of a client that this server has good
experience with weighs little: a network's good name must not fill the house either. Without a crowd nobody
gives way.
"""

from dataclasses import dataclass

# A whole provider (/16, IPv6 /32) may have so many times as many connections as one of its networks (/24,
# /48).
WIDE_FACTOR = 8
KNOWN_FACTOR = 50  # and so many times as many if its mail was good so far
LEAST_SECONDS = 0.5  # so much weighs who came just now
HOLD_SECONDS = 60.0  # that the stress must be over before it is


@dataclass(frozen=True, slots=True)
class CrowdRules:
    """The operator's choices. `kept_share`: of all places, for those who are vouched for; `stress_share`: of
    all places, from which on strangers without headway must go after `stress_seconds`."""

    kept_share: float = 0.1
    stress_share: float = 0.6
    stress_seconds: float = 20.0

    def strangers(self, places: int, vouched: int) -> int:
        """So many may be there. However many are vouched for, half of what they leave is free for those who
        come to log in."""
        kept = int(places * self.kept_share)
        return max(places - kept - vouched, (places - vouched) // 2, 1)

    def is_stress(self, places: int, taken: int, *, already: bool) -> bool:
        """It begins at the share, and goes on down to two thirds of it."""
        share = self.stress_share * 2 / 3 if already else self.stress_share
        return taken >= max(1.0, places * share)


def crowding(network: int, wide: int) -> float:
    """How much a client's surroundings take: connections of its network and of the provider around it."""
    return max(network, wide / WIDE_FACTOR, 1.0)


def burden(crowding: float, silent_seconds: float, *, is_known: bool = False) -> float:
    """The heaviest goes first. Fifty neighbours weigh as much as fifty times the silence: who floods meets
    himself."""
    weight = crowding * max(silent_seconds, LEAST_SECONDS)
    return weight / KNOWN_FACTOR if is_known else weight
