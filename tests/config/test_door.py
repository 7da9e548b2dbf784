"""[door] as the policy takes it."""

import re
from pathlib import Path
from typing import Any

import pytest

from sekisho.config.checks import check_config
from sekisho.config.door import blocklists, door_modes, door_rules, reputation_rules, setting_of
from sekisho.config.schema import Config
from sekisho.config.section import SettingsSection
from sekisho.core.policy.door import author, content, stranger
from sekisho.core.policy.door.author import DMARC, OWN_DOMAIN
from sekisho.core.policy.door.connection import CONNECTION_RULES
from sekisho.core.policy.door.content import VIRUS
from sekisho.core.policy.door.judge import EVERY_RULE, ORDER, RULES
from sekisho.core.policy.door.rule import Rule, RuleSetting
from sekisho.core.policy.door.stranger import DNSBL, GREYLIST, REPUTATION, SENDER
from sekisho.core.policy.greylist import GreylistRules
from sekisho.core.policy.reputation import DAY_US

ROOT = Path(__file__).parents[2]
LIST = {"zone": "bl.example.org.", "codes": {"127.0.0.2": "spam source"}, "accepted_terms": True}


def config(**sections: Any) -> Config:
    return Config.model_validate(
        {
            "hostname": "mx.example.org",
            "data_dir": "/x",
            "roles": {"postmaster": "a@example.org", "abuse": "a@example.org"},
            **sections,
        }
    )


def test_a_rule_whose_evidence_nobody_gathers_is_off() -> None:
    rules = door_rules(config())
    assert tuple(map(rules.mode, (DMARC, OWN_DOMAIN, REPUTATION, DNSBL, VIRUS))) == (
        "enforce",
        "enforce",
        "enforce",
        "off",
        "off",
    )
    rules = door_rules(config(reputation={"enabled": False}, door={"blocklists": [LIST]}))
    assert (rules.mode(REPUTATION), rules.mode(DNSBL)) == ("off", "enforce")


def test_every_rule_can_be_off_or_observe() -> None:
    off = config(
        door={"dmarc": "off", "own_domains": "off", "dnsbl": "off", "blocklists": [LIST]},
        reputation={"bad_history": "off"},
    )
    rules = door_rules(off)
    assert set(map(rules.mode, (DMARC, OWN_DOMAIN, DNSBL, REPUTATION))) == {"off"}
    assert blocklists(off) == []
    observing = config(door={"dnsbl": "observe", "blocklists": [LIST]}, reputation={"bad_history": "observe"})
    assert (door_rules(observing).mode(DNSBL), door_rules(observing).mode(REPUTATION)) == (
        "observe",
        "observe",
    )
    assert [one.zone for one in blocklists(observing)] == ["bl.example.org"]


def test_experience_by_days() -> None:
    rules = reputation_rules(
        config(reputation={"half_life_days": 10, "bad_history": "defer", "trust_days": 7})
    )
    assert (rules.half_life_us, rules.bad_action, rules.written_us) == (10 * DAY_US, "defer", 7 * DAY_US)


def test_greylisting_in_hours_and_days() -> None:
    rules = door_rules(
        config(
            greylist={
                "after_seconds": 5,
                "until_hours": 2,
                "remember_days": 3,
                "tarpit_seconds": 65,
                "mode": "observe",
            }
        )
    )
    assert rules.mode(GREYLIST) == "observe"
    assert rules.waiting == GreylistRules(5_000_000, 7_200_000_000, 3 * DAY_US, 65_000_000)
    assert door_rules(config()).waiting == GreylistRules()
    assert door_rules(config(reputation={"enabled": False})).mode(GREYLIST) == "off"  # nobody is known then


def test_senders_without_a_domain() -> None:
    modes = {
        setting: door_rules(config(door={"sender_domain": setting}))
        for setting in ("defer", "refuse", "observe", "off")
    }
    assert {setting: rules.mode(SENDER) for setting, rules in modes.items()} == {
        "defer": "enforce",
        "refuse": "enforce",
        "observe": "observe",
        "off": "off",
    }
    assert [setting for setting, rules in modes.items() if rules.refuses_senders] == ["refuse"]


def test_greylisting_without_experience_is_warned_of() -> None:
    problems = [
        problem
        for problem in check_config(config(reputation={"enabled": False}))
        if problem.path == "greylist.mode"
    ]
    assert [problem.severity for problem in problems] == ["warning"]
    assert [one for one in check_config(config()) if one.path == "greylist.mode"] == []


def test_every_rule_has_a_mode_and_a_setting_that_exists() -> None:
    every = CONNECTION_RULES + RULES
    assert door_modes(config()).keys() == EVERY_RULE.keys() == {rule.name for rule in every}
    for rule in every:
        assert setting_of(config(), rule.setting.path) == rule.setting.default, rule.setting.path


def test_what_is_said_of_a_setting_stands_with_its_rule_alone() -> None:
    """The schema takes default and description from the rule, and names the words that may be said."""
    for rule in CONNECTION_RULES + RULES:
        above, _, last = rule.setting.path.rpartition(".")
        section = type(setting_of(config(), above))
        assert issubclass(section, SettingsSection)
        field = section.model_fields[last]
        assert (field.description, field.default) == (rule.setting.says, rule.setting.default)
        assert rule.setting.says.endswith(".")
        written = {last: rule.setting.default}
        assert getattr(section.model_validate(written), last) == rule.setting.default, "not one of its words"
        source = (ROOT / "src" / f"{section.__module__.replace('.', '/')}.py").read_text("utf-8")
        assert re.search(rf"\n    {last}: [^\n]* = of_rule\(", source), rule.setting.path


def test_rules_of_one_setting_say_the_same_of_it() -> None:
    said: dict[str, set[str]] = {}
    for rule in CONNECTION_RULES + RULES:
        said.setdefault(rule.setting.path, set()).add(rule.setting.says)
    assert [path for path, texts in said.items() if len(texts) > 1] == []


def test_a_rule_is_written_by_keyword() -> None:
    with pytest.raises(TypeError):
        Rule("name", "Says.", RuleSetting(path="door.dmarc", says="Says."), author.RULES[DMARC].judge)  # type: ignore[call-arg, misc]


def test_every_rule_has_its_place() -> None:
    """A rule of a family that nobody put into the order would never be asked."""
    families = {**author.RULES, **content.RULES, **stranger.RULES}
    assert sorted(families) == sorted(ORDER) == sorted(rule.name for rule in RULES)
