"""[shaping]: how fast mail goes to the big providers."""

from typing import Literal

from pydantic import Field

from sekisho.config.section import SettingsSection


class ShapingSettings(SettingsSection):
    enabled: bool = Field(
        True,
        description="Keep to what big providers bear: few connections, and everything for a provider slowed "
        "after it complained.",
    )
    warmup: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Keep a daily budget of recipients for each big provider, which grows with clean days of "
        "sending; auto: on a new server only; on: also on one that was sending before, such as after a move "
        "to another IP address; off: never.",
    )
