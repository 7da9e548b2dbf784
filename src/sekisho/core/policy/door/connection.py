"""The rules that speak before there is a message: at the greeting, at MAIL, at RCPT. They see the connection
and what its network did."""

from collections.abc import Callable

from sekisho.core.policy.door.rule import DoorRules, DoorVerdict, Rule, RuleSetting
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.rates import Measure
from sekisho.core.terms.reply import Reply

EARLY_TALKER, HELO_FORGED = "early-talker", "helo-forged"
CONNECTION_RATE, MESSAGE_RATE, RECIPIENT_RATE = "connection-rate", "message-rate", "recipient-rate"
ERROR_FLOOD, HARVEST = "error-flood", "address-harvest"


def _judge_early(evidence: Evidence, _rules: DoorRules) -> DoorVerdict | None:
    """RFC 5321 §4.3.1: the client waits for the greeting. Whoever does not is no mail server that listens to
    answers."""
    if evidence.early is None or not evidence.early.before_greeting:
        return None
    text = "Commands came before the greeting; wait for the greeting before you send"
    return DoorVerdict(
        action="disconnect",
        rule=EARLY_TALKER,
        because="it spoke before the greeting",
        reply=Reply.of(421, "4.5.1", text),
    )


def _judge_helo(evidence: Evidence, _rules: DoorRules) -> DoorVerdict | None:
    """Not for a name that does not fit its address, which RFC 5321 §4.1.4 forbids, but for one that is ours
    (§7.9)."""
    finding = evidence.helo
    if finding is None or finding.is_forged is not True or finding.forgery not in ("own-name", "own-domain"):
        return None
    text = f"{finding.name} is a name of this server; say EHLO with your own, or log in to send mail"
    return DoorVerdict(
        action="refuse",
        rule=HELO_FORGED,
        because=f"it said EHLO {finding.name}",
        reply=Reply.of(550, "5.7.1", text),
    )


def _beyond(rule: str, measure: Measure, reply: Reply) -> Callable[[Evidence, DoorRules], DoorVerdict | None]:
    def judge(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
        because = evidence.rate.explain(measure, rules.limits) if evidence.rate is not None else ""
        if not because:
            return None
        return DoorVerdict(
            action="disconnect" if reply.code == 421 else "defer", rule=rule, because=because, reply=reply
        )

    return judge


# They have one mode, and one evidence.
_RATES = RuleSetting(
    path="door.rates.mode",
    says=(
        "Defer networks (/24, IPv6: /64) that exceed these limits; observe: only record it; off: do "
        "not count."
    ),
)
RATE_RULES = (CONNECTION_RATE, MESSAGE_RATE, RECIPIENT_RATE, ERROR_FLOOD, HARVEST)
# In this order within a stage.
CONNECTION_RULES: tuple[Rule, ...] = (
    Rule(
        name=EARLY_TALKER,
        says="Clients that send commands before the greeting are refused.",
        setting=RuleSetting(
            path="door.early_talkers",
            says=(
                "Refuse clients that send commands before the greeting; observe: only record it; "
                "off: do not check."
            ),
        ),
        judge=_judge_early,
        stage="greeting",
    ),
    Rule(
        name=ERROR_FLOOD,
        says="Networks that make too many errors are deferred.",
        setting=_RATES,
        judge=_beyond(
            ERROR_FLOOD,
            "errors",
            Reply.of(421, "4.7.0", "Too many errors from your network recently; try again later"),
        ),
        stage="greeting",
    ),
    Rule(
        name=HARVEST,
        says="Networks that try too many recipients that do not exist are deferred.",
        setting=_RATES,
        judge=_beyond(
            HARVEST,
            "refused",
            Reply.of(421, "4.7.0", "Too many refused recipients from your network recently; try again later"),
        ),
        stage="greeting",
    ),
    Rule(
        name=CONNECTION_RATE,
        says="Networks that connect too often are deferred.",
        setting=_RATES,
        judge=_beyond(
            CONNECTION_RATE,
            "connections",
            Reply.of(421, "4.7.0", "Too many connections from your network recently; try again later"),
        ),
        stage="greeting",
    ),
    Rule(
        name=MESSAGE_RATE,
        says="Networks that send too many messages are deferred.",
        setting=_RATES,
        judge=_beyond(
            MESSAGE_RATE,
            "messages",
            Reply.of(421, "4.7.0", "Too many messages from your network recently; try again later"),
        ),
        stage="sender",
    ),
    Rule(
        name=HELO_FORGED,
        says="Clients that say EHLO with a name of this server are refused.",
        setting=RuleSetting(
            path="door.helo_forged",
            says=(
                "Refuse clients that say EHLO with this server's name or domain; observe: only "
                "record it; off: do nothing."
            ),
        ),
        judge=_judge_helo,
        stage="recipient",
    ),
    Rule(
        name=RECIPIENT_RATE,
        says="Networks that name too many recipients are deferred.",
        setting=_RATES,
        judge=_beyond(
            RECIPIENT_RATE,
            "recipients",
            Reply.of(450, "4.7.0", "Too many recipients from your network recently; try again later"),
        ),
        stage="recipient",
    ),
)
AT_GREETING = tuple(rule for rule in CONNECTION_RULES if rule.stage == "greeting")
AT_MAIL = tuple(rule for rule in CONNECTION_RULES if rule.stage == "sender")
AT_RCPT = tuple(rule for rule in CONNECTION_RULES if rule.stage == "recipient")
AT_REFUSED_RCPT = tuple(rule for rule in CONNECTION_RULES if rule.name == HARVEST)
