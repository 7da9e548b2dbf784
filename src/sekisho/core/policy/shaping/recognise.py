"""From a reply to what it means. A reply is hostile text: only its beginning is read, by linear patterns."""

from dataclasses import dataclass

from sekisho.core.policy.shaping.provider import Provider, provider_of
from sekisho.core.policy.shaping.replies_general import ANYBODY, ONE_RECIPIENT
from sekisho.core.policy.shaping.replies_japan import JAPAN
from sekisho.core.policy.shaping.replies_west import APPLE, EUROPE, GOOGLE, MICROSOFT, YAHOO
from sekisho.core.policy.shaping.rule import TREATMENTS, ReplyRule, Treatment, Words
from sekisho.core.terms.reply import Reply

MOST_OCTETS = 1000
_OF_PROVIDERS = (*GOOGLE, *MICROSOFT, *YAHOO, *APPLE, *EUROPE, *JAPAN)
# What is known for sure, then what is about one recipient, then what is only likely.
RULES: tuple[ReplyRule, ...] = (
    *(rule for rule in _OF_PROVIDERS if rule.certain),
    *ONE_RECIPIENT,
    *(rule for rule in _OF_PROVIDERS if not rule.certain),
    *ANYBODY,
)
BY_RULE = {rule.name: rule for rule in RULES}


@dataclass(frozen=True, slots=True)
class Recognised:
    """`provider` None: some other host."""

    rule: ReplyRule
    provider: Provider | None

    @property
    def treatment(self) -> Treatment:
        return TREATMENTS[self.rule.kind]

    @property
    def rest_seconds(self) -> int:
        return self.rule.rest_seconds or self.treatment.rest_seconds

    @property
    def remedy(self) -> Words:
        return self.rule.remedy or self.treatment.remedy

    @property
    def link(self) -> str:
        return self.rule.link or (self.provider.link if self.provider is not None else "")


def recognise(reply: Reply, remote: str) -> Recognised | None:
    """What `remote` ("host [address]") means by `reply`; None for what is not known and for our words."""
    return None if reply.cause not in ("", "answered") else recognise_text(str(reply), remote)


def recognise_text(text: str, remote: str) -> Recognised | None:
    """`text`: "421 4.7.28 …", as the queue and the ledger keep it."""
    if not remote or text[:1] not in ("4", "5"):
        return None
    provider = provider_of(remote)
    name = provider.name if provider is not None else ""
    text = text[:MOST_OCTETS]
    for rule in RULES:
        if (
            (not rule.providers or name in rule.providers)
            and text.startswith(rule.codes)
            and rule.pattern.search(text)
        ):
            return Recognised(rule, provider)
    return None
