"""What an operator's commands about the door work with."""

from dataclasses import dataclass

from sekisho.core.policy.reputation import ReputationRules
from sekisho.ports.reputation import Reputation
from sekisho.probes.recipient import RecipientProbe


@dataclass(frozen=True, slots=True)
class DoorKit:
    """`experience`: by which rules histories are weighed."""

    reputation: Reputation
    experience: ReputationRules
    recipients: RecipientProbe
