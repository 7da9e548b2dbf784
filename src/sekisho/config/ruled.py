"""Settings that say what becomes of a rule of the door: what is said of them stands with the rule."""

from typing import Any

from pydantic import Field

from sekisho.core.policy.door.judge import EVERY_RULE


def of_rule(name: str) -> Any:
    """The field's default and description. The class names its type: the words that it takes."""
    setting = EVERY_RULE[name].setting
    return Field(setting.default, description=setting.says)
