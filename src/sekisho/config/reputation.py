"""[reputation]: what this server's own experience with senders counts for."""

from typing import Annotated, Literal

from pydantic import Field

from sekisho.config.ruled import of_rule
from sekisho.config.section import SettingsSection
from sekisho.core.policy.door.stranger import REPUTATION


class ReputationSettings(SettingsSection):
    enabled: bool = Field(
        True,
        description="Learn about senders from verdicts, from the recipients of your people's mail, "
        "and from what your people move to and from Junk.",
    )
    half_life_days: Annotated[float, Field(ge=1, le=365)] = Field(
        30.0, description="Days after which an experience counts half."
    )
    bad_history: Literal["junk", "defer", "observe", "off"] = of_rule(REPUTATION)
    trust_days: Annotated[float, Field(ge=1, le=3650)] = Field(
        180.0,
        description="How many days somebody to whom your people wrote stays known without an answer.",
    )
    entries: Annotated[int, Field(ge=1000)] = Field(
        200_000, description="Most senders that are remembered, at about 200 octets each."
    )
