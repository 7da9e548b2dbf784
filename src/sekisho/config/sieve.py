"""[sieve]: the scripts by which accounts sort their mail."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import SettingsSection
from sekisho.core.sieve.limits import SieveLimits
from sekisho.ports.scripts import ScriptLimits


class SieveSettings(SettingsSection):
    enabled: bool = Field(
        True, description="Run the scripts of accounts when mail arrives; off: everything goes into INBOX."
    )
    scripts: Annotated[int, Field(ge=1, le=1000)] = Field(32, description="Most scripts of one account.")
    script_octets: Annotated[int, Field(ge=1024, le=1_048_576)] = Field(65_536, description="Largest script.")
    all_octets: Annotated[int, Field(ge=1024)] = Field(
        1_048_576, description="Largest size of all scripts of one account together."
    )
    redirects: Annotated[int, Field(ge=0, le=32)] = Field(
        4, description="Most addresses to which a script may redirect one message."
    )
    redirects_per_day: Annotated[int, Field(ge=0)] = Field(
        1000,
        description="Most redirected messages per account and day; beyond that, mail stays in the account.",
    )
    letters_per_day: Annotated[int, Field(ge=0)] = Field(
        200, description="Most answers and notices that the scripts of one account may send per day."
    )
    body_octets: Annotated[int, Field(ge=0, le=4_194_304)] = Field(
        262_144, description="How much of a message, from its beginning, is examined by tests of the body."
    )

    def limits(self) -> SieveLimits:
        return SieveLimits(
            script_octets=self.script_octets,
            commands=4000,
            redirects=self.redirects,
            body_octets=self.body_octets,
            vacation_min_seconds=600,
        )

    def store_limits(self) -> ScriptLimits:
        return ScriptLimits(scripts=self.scripts, octets=self.all_octets)
