"""How a rule is followed."""

from typing import Literal

# "observe": only written down; "off": not even asked.
Mode = Literal["enforce", "observe", "off"]
