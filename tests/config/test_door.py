"""[door] as the policy takes it."""

from typing import Any

from sekisho.config.checks import check_config
from sekisho.config.door import blocklists, door_rules, reputation_rules
from sekisho.config.schema import Config
from sekisho.core.policy.greylist import GreylistRules
from sekisho.core.policy.reputation import DAY_US

LIST = {"zone": "bl.example.org.", "codes": {"127.0.0.2": "spam source"}, "accepted_terms": True}


def config(**sections: Any) -> Config:
    return Config.model_validate(
        {"hostname": "mx.example.org", "data_dir": "/x", "roles": {"postmaster": "a@example.org", "abuse": "a@example.org"}, **sections}
    )


def test_a_rule_whose_evidence_nobody_gathers_is_off() -> None:
    rules = door_rules(config())
    assert (rules.dmarc, rules.own_domains, rules.reputation, rules.dnsbl, rules.viruses) == ("enforce", "enforce", "enforce", "off", "off")
    rules = door_rules(config(reputation={"enabled": False}, door={"blocklists": [LIST]}))
    assert (rules.reputation, rules.dnsbl) == ("off", "enforce")


def test_every_rule_can_be_off_or_observe() -> None:
    off = config(door={"dmarc": "off", "own_domains": "off", "dnsbl": "off", "blocklists": [LIST]}, reputation={"bad_history": "off"})
    rules = door_rules(off)
    assert {rules.dmarc, rules.own_domains, rules.dnsbl, rules.reputation} == {"off"}
    assert blocklists(off) == []
    observing = config(door={"dnsbl": "observe", "blocklists": [LIST]}, reputation={"bad_history": "observe"})
    assert (door_rules(observing).dnsbl, door_rules(observing).reputation) == ("observe", "observe")
    assert [one.zone for one in blocklists(observing)] == ["bl.example.org"]


def test_experience_by_days() -> None:
    rules = reputation_rules(config(reputation={"half_life_days": 10, "bad_history": "defer", "trust_days": 7}))
    assert (rules.half_life_us, rules.bad_action, rules.written_us) == (10 * DAY_US, "defer", 7 * DAY_US)


def test_greylisting_in_hours_and_days() -> None:
    rules = door_rules(config(greylist={"after_seconds": 5, "until_hours": 2, "remember_days": 3, "tarpit_seconds": 65, "mode": "observe"}))
    assert rules.greylist == "observe"
    assert rules.waiting == GreylistRules(5_000_000, 7_200_000_000, 3 * DAY_US, 65_000_000)
    assert door_rules(config()).waiting == GreylistRules()
    assert door_rules(config(reputation={"enabled": False})).greylist == "off"  # nobody is known then


def test_senders_without_a_domain() -> None:
    modes = {setting: door_rules(config(door={"sender_domain": setting})) for setting in ("defer", "refuse", "observe", "off")}
    assert {setting: rules.sender for setting, rules in modes.items()} == {
        "defer": "enforce",
        "refuse": "enforce",
        "observe": "observe",
        "off": "off",
    }
    assert [setting for setting, rules in modes.items() if rules.refuses_senders] == ["refuse"]


def test_greylisting_without_experience_is_warned_of() -> None:
    problems = [problem for problem in check_config(config(reputation={"enabled": False})) if problem.path == "greylist.mode"]
    assert [problem.severity for problem in problems] == ["warning"]
    assert [one for one in check_config(config()) if one.path == "greylist.mode"] == []
