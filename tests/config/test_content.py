"""[content] as the rules at the door take it."""

import pytest
from pydantic import ValidationError
from tests.config.test_door import config

from sekisho.config.content import ContentSettings
from sekisho.config.door import door_modes
from sekisho.core.policy.mode import Mode


def test_rules_and_modes() -> None:
    settings = ContentSettings(
        attachments="refuse", allowed_endings=(".XLSM",), clamav="/run/clamd", clamav_action="observe",
        rspamd="127.0.0.1:11333", rspamd_action="refuse",
    )  # fmt: skip
    rules = settings.rules()
    assert rules.refuses_attachments and rules.refuses_viruses and rules.refuses_for_rspamd
    assert rules.attachments.allowed == {"xlsm"} and "encrypted archive" not in rules.attachments.flagged


def test_a_scanner_without_a_place_is_off_whatever_its_action_says() -> None:
    names = ("virus", "dangerous-attachment", "rspamd", "content-junk")

    def modes(**content: object) -> list[Mode]:
        found = door_modes(config(content=content))
        return [found[name] for name in names]

    places = {"clamav": "/run/clamd", "rspamd": "127.0.0.1:11333"}
    acting = modes(attachments="refuse", clamav_action="observe", rspamd_action="refuse", **places)
    assert acting == ["observe", "enforce", "enforce", "enforce"]
    assert modes() == ["off", "enforce", "off", "enforce"]
    off = modes(classifier="off", attachments="off", clamav_action="off", rspamd_action="off", **places)
    assert set(off) == {"off"}


@pytest.mark.parametrize("place", ["clamd", "host:", "host:99999"])
def test_places_are_checked(place: str) -> None:
    with pytest.raises(ValidationError):
        ContentSettings(clamav=place)
