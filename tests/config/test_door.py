"""[door] as the policy takes it."""

from typing import Any

from sekisho.config.door import blocklists, door_rules, reputation_rules
from sekisho.config.schema import Config
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
