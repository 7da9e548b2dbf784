"""The operator's choices for the guard."""

from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["enforce", "observe", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """`usual_strangers`, `usual_fan_out`: what is always in order on one day, whatever the account did
    before; the newcomer's hold while there is no history to compare with. `ignored`: names of signals that do
    not count."""

    mode: Mode = "enforce"
    slow_us: int = 60_000_000
    slow_at: int = 30
    hold_at: int = 100
    freeze_at: int = 130
    first_time_per_day: int = 200
    recipients_per_day: int = 1000
    service_recipients_per_day: int = 50
    bulk_recipients_per_day: int = 50_000
    usual_strangers: int = 20
    newcomer_strangers: int = 200
    usual_fan_out: int = 30
    newcomer_fan_out: int = 300
    learning_days: int = 5  # days with mail until places and programs are compared
    settling_days: int = 10  # and amounts
    ignored: frozenset[str] = field(default_factory=frozenset)
