"""[guard]: the watch over hijacked accounts."""

from typing import Annotated, Literal

from pydantic import Field

from sekisho.config.section import SettingsSection
from sekisho.core.policy.takeover.rules import GuardRules

Count = Annotated[int, Field(ge=1)]


class GuardSettings(SettingsSection):
    """The guard watches the mail that your own people send, and holds what does not fit the account."""

    mode: Literal["enforce", "observe", "off"] = Field(
        "enforce",
        description="Slow down or hold unusual mail of your own people; observe: only record it; "
        "off: do not watch.",
    )
    first_time_per_day: Count = Field(
        200, description="Most recipients elsewhere, per account and day, to whom nobody here wrote before."
    )
    recipients_per_day: Count = Field(1000, description="Most recipients per account and day.")
    bulk_recipients_per_day: Count = Field(
        50_000,
        description="Most recipients a day of an account with the bulk right (`sekisho account bulk`).",
    )
    service_recipients_per_day: Count = Field(
        50,
        description="Most recipients a day of a credential for a program, such as cron, a scanner or a "
        "web form.",
    )
    slow_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        60.0, description="How long mail from an unfamiliar place or program waits before it leaves."
    )
    slow_at: Count = Field(30, description="Points from which mail is slowed down.")
    hold_at: Count = Field(100, description="Points from which mail is held until an operator decides.")
    freeze_at: Count = Field(
        130,
        description="Points from which the credential is frozen too, if it was used in an unfamiliar "
        "context.",
    )
    usual_strangers: Count = Field(
        20, description="First-time recipients a day that count as usual, whatever the account did before."
    )
    usual_fan_out: Count = Field(30, description="Known recipients a day that count as usual.")
    newcomer_strangers: Count = Field(
        200, description="First-time recipients a day that count as usual for an account without history."
    )
    newcomer_fan_out: Count = Field(
        300, description="Recipients known here, per day, that count as usual for an account without history."
    )
    ignore: tuple[str, ...] = Field(
        (), description='Names of the signals that do not count, such as ["hour", "link"].'
    )

    def rules(self) -> GuardRules:
        return GuardRules(
            mode=self.mode,
            slow_us=int(self.slow_seconds * 1_000_000),
            slow_at=self.slow_at,
            hold_at=self.hold_at,
            freeze_at=self.freeze_at,
            first_time_per_day=self.first_time_per_day,
            recipients_per_day=self.recipients_per_day,
            service_recipients_per_day=self.service_recipients_per_day,
            bulk_recipients_per_day=self.bulk_recipients_per_day,
            usual_strangers=self.usual_strangers,
            newcomer_strangers=self.newcomer_strangers,
            usual_fan_out=self.usual_fan_out,
            newcomer_fan_out=self.newcomer_fan_out,
            ignored=frozenset(self.ignore),
        )
