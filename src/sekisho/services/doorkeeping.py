"""What an operator's commands about the door work with."""

from dataclasses import dataclass

from sekisho.core.policy.greylist import GreylistRules
from sekisho.core.policy.reputation import ReputationRules
from sekisho.ports.greylist import Greylist
from sekisho.ports.learning import JunkWatch
from sekisho.ports.mailstore import MailStore
from sekisho.ports.reputation import Reputation
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.experience import Experience


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorKit:
    """`rules`: by which histories are weighed; `junk` is told what is moved out of Junk; `experience` whom to
    trust; `waiting`: the rules of `greylist`."""

    reputation: Reputation
    rules: ReputationRules
    recipients: RecipientProbe
    mail: MailStore
    junk: JunkWatch
    experience: Experience
    greylist: Greylist
    waiting: GreylistRules
