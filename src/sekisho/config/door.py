"""What the configuration says about the door, in the terms of its policy."""

from functools import reduce
from typing import Literal

from sekisho.config.schema import Config
from sekisho.core.policy.dnsbl import Blocklist, DnsblRules
from sekisho.core.policy.door.author import ARC_TRUSTED
from sekisho.core.policy.door.content import RSPAMD, VIRUS
from sekisho.core.policy.door.judge import EVERY_RULE
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.door.stranger import DNSBL, GREYLIST, REPUTATION
from sekisho.core.policy.mode import Mode
from sekisho.core.policy.reputation import DAY_US, ReputationRules

_BAD_ACTIONS: dict[str, Literal["quarantine", "defer"]] = {"defer": "defer"}
_MODES: dict[object, Mode] = {
    "observe": "observe",
    "off": "off",
}  # any other word of a setting says what is done


def reputation_rules(config: Config) -> ReputationRules:
    settings = config.reputation
    return ReputationRules(
        half_life_us=int(settings.half_life_days * DAY_US),
        bad_action=_BAD_ACTIONS.get(settings.bad_history, "quarantine"),
        written_us=int(settings.trust_days * DAY_US),
    )


def blocklists(config: Config) -> list[Blocklist]:
    """Those that may be asked."""
    if config.door.dnsbl == "off":
        return []
    return [settings.blocklist() for settings in config.door.blocklists if settings.accepted_terms]


def door_modes(config: Config) -> dict[str, Mode]:
    """By the name of each rule, from the setting that it names. One whose evidence nobody gathers is off,
    whatever that says."""
    modes = {
        rule.name: _MODES.get(setting_of(config, rule.setting.path), "enforce")
        for rule in EVERY_RULE.values()
    }
    idle = {
        ARC_TRUSTED: not config.door.trusted_sealers,
        DNSBL: not blocklists(config),
        GREYLIST: not config.reputation.enabled,
        REPUTATION: not config.reputation.enabled,
        VIRUS: not config.content.clamav,
        RSPAMD: not config.content.rspamd,
    }
    return modes | dict.fromkeys((name for name, is_idle in idle.items() if is_idle), "off")


def setting_of(config: Config, path: str) -> object:
    """What stands at a path such as "door.rates.mode"; raises AttributeError."""
    return reduce(getattr, path.split("."), config)


def door_rules(config: Config) -> DoorRules:
    door = config.door
    return DoorRules(
        modes=door_modes(config),
        on_temperror=door.on_temperror,
        experience=reputation_rules(config),
        refuses_senders=door.sender_domain == "refuse",
        refuses_unreadable=door.unreadable_from == "refuse",
        blocklists=DnsblRules(door.blocklist_weight, door.blocklist_count),
        waiting=config.greylist.rules(),
        content=config.content.rules(),
        trusted_sealers=frozenset(domain.lower() for domain in door.trusted_sealers),
        limits=door.rates.limits(),
    )
