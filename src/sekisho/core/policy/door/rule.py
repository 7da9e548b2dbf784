"""What a rule of the door is, and what it is judged by: the operator's choices go in, a verdict comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sekisho.core.policy.contentrules import ContentRules
from sekisho.core.policy.dnsbl import DnsblRules
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greylist import GreylistEffect, GreylistRules
from sekisho.core.policy.mode import Mode
from sekisho.core.policy.rates import RateLimits
from sekisho.core.policy.reputation import ReputationRules
from sekisho.core.terms.reply import Reply

Action = Literal["accept", "junk", "defer", "refuse", "disconnect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRules:
    """The operator's choices. `modes`: by the name of the rule; one that is not named is enforced. A rule in
    "observe" is only written down, one that is "off" not even asked. `on_temperror`: when DNS cannot say
    whether DMARC passes."""

    modes: Mapping[str, Mode] = field(default_factory=dict)
    on_temperror: Literal["accept", "defer"] = "accept"
    experience: ReputationRules = field(default_factory=ReputationRules)
    refuses_senders: bool = False
    refuses_unreadable: bool = True
    blocklists: DnsblRules = field(default_factory=DnsblRules)
    waiting: GreylistRules = field(default_factory=GreylistRules)
    content: ContentRules = field(default_factory=ContentRules)
    trusted_sealers: frozenset[str] = frozenset()
    limits: RateLimits = field(default_factory=RateLimits)

    def mode(self, name: str) -> Mode:
        return self.modes.get(name, "enforce")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorVerdict:
    """`rule` spoke ("" if none did); `reply` is there for defer, refuse and disconnect (421, then we close).

    `observed`: it would have acted, had it been enforced. `spared`: accounts whose copy goes into INBOX
    although the action is "junk". `greylist`: what is to be remembered of the sender.
    """

    action: Action = "accept"
    rule: str = ""
    because: str = ""
    reply: Reply | None = None
    observed: bool = False
    spared: frozenset[int] = frozenset()
    greylist: GreylistEffect | None = None


ACCEPTED = DoorVerdict()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetting:
    """Where an operator says what becomes of a rule: its path in sekisho.toml, what counts if nothing stands
    there, and what the reference of settings says of it. The field itself, with the words that it takes, is
    in `config`, and takes these from here."""

    path: str
    default: str | tuple[str, ...] = "enforce"
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`name`: in journal, `why` and `DoorRules.modes`; `says` is for people; `judge` gives None when the rule
    has nothing to say.

    `stage` is when it is asked: at the greeting, at MAIL, at RCPT, or about a whole message.
    """

    name: str
    says: str
    setting: RuleSetting
    judge: Callable[[Evidence, DoorRules], DoorVerdict | None]
    stage: Literal["greeting", "sender", "recipient", "message"] = "message"


def by_name(*rules: Rule) -> dict[str, Rule]:
    """The rules of a family."""
    return {rule.name: rule for rule in rules}


def is_for_roles(evidence: Evidence) -> bool:
    """Postmaster and abuse are sent what should be looked at (RFC 2142 §4): into Junk at the worst."""
    return bool(evidence.roles)
