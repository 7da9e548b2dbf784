"""[content] as the rules at the door take it."""

import pytest
from pydantic import ValidationError

from sekisho.config.content import ContentSettings


def test_rules_and_modes() -> None:
    settings = ContentSettings(
        attachments="refuse", allowed_endings=(".XLSM",), clamav="/run/clamd", clamav_action="observe",
        rspamd="127.0.0.1:11333", rspamd_action="refuse",
    )  # fmt: skip
    rules = settings.rules()
    assert rules.refuses_attachments and rules.refuses_viruses and rules.refuses_for_rspamd
    assert rules.attachments.allowed == {"xlsm"} and "encrypted archive" not in rules.attachments.flagged
    assert settings.modes == {
        "virus": "observe",
        "dangerous-attachment": "enforce",
        "rspamd": "enforce",
        "content-junk": "enforce",
    }
    settings = ContentSettings(classifier="off", attachments="off", clamav="/run/clamd", clamav_action="off")
    assert set(settings.modes.values()) == {"off"}  # rspamd has no place


@pytest.mark.parametrize("place", ["clamd", "host:", "host:99999"])
def test_places_are_checked(place: str) -> None:
    with pytest.raises(ValidationError):
        ContentSettings(clamav=place)
