"""[content] as the rules at the door take it."""

import pytest
from pydantic import ValidationError

from sekisho.config.content import ContentSettings


def test_rules_and_modes() -> None:
    settings = ContentSettings(attachments="refuse", allowed_endings=(".XLSM",), clamav_action="observe", rspamd_action="refuse")
    rules = settings.rules()
    assert rules.refuses_attachments and rules.refuses_viruses and rules.refuses_for_rspamd
    assert rules.attachments.allowed == {"xlsm"} and "encrypted archive" not in rules.attachments.flagged
    assert settings.modes == {"viruses": "observe", "attachments": "enforce", "rspamd": "enforce", "words": "enforce"}
    assert ContentSettings(classifier="off").modes["words"] == "enforce"  # it is not asked at all


@pytest.mark.parametrize("place", ["clamd", "host:", "host:99999"])
def test_places_are_checked(place: str) -> None:
    with pytest.raises(ValidationError):
        ContentSettings(clamav=place)
