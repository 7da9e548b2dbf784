"""What the configuration says about the door, in the terms of its policy."""

from typing import Literal

from sekisho.config.schema import Config
from sekisho.core.policy.dnsbl import Blocklist, DnsblRules
from sekisho.core.policy.door import DoorRules
from sekisho.core.policy.mode import Mode
from sekisho.core.policy.reputation import DAY_US, ReputationRules

_BAD_ACTIONS: dict[str, Literal["quarantine", "defer"]] = {"defer": "defer"}
_BAD_MODES: dict[str, Mode] = {"observe": "observe", "off": "off"}
_SENDER_MODES = _UNREADABLE_MODES = _BAD_MODES


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


def door_rules(config: Config) -> DoorRules:
    """A rule whose evidence nobody gathers is off, whatever its setting says."""
    door, reputation = config.door, config.reputation
    return DoorRules(
        door.dmarc,
        door.own_domains,
        door.on_temperror,
        reputation=_BAD_MODES.get(reputation.bad_history, "enforce") if reputation.enabled else "off",
        experience=reputation_rules(config),
        sender=_SENDER_MODES.get(door.sender_domain, "enforce"),
        refuses_senders=door.sender_domain == "refuse",
        dnsbl=door.dnsbl if blocklists(config) else "off",
        blocklists=DnsblRules(door.blocklist_weight, door.blocklist_count),
        greylist=config.greylist.mode if reputation.enabled else "off",
        waiting=config.greylist.rules(),
        content=config.content.rules(),
        early_talkers=door.early_talkers,
        helo=door.helo_forged,
        rates=door.rates.mode,
        limits=door.rates.limits(),
        impersonation=door.impersonation,
        forwarding=door.forwarding,
        unreadable=_UNREADABLE_MODES.get(door.unreadable_from, "enforce"),
        refuses_unreadable=door.unreadable_from == "refuse",
        shown=door.shown_authors,
        trusted_sealers=frozenset(domain.lower() for domain in door.trusted_sealers),
        **config.content.modes,
    )
