"""What is in the message: viruses, attachments, words. None of it is asked about mail of our own people."""

from sekisho.core.policy.contentrules import dangerous, junk_by_words, rspamd_says, told_of, virus_in
from sekisho.core.policy.door.rule import DoorRules, DoorVerdict, Rule, RuleSetting, by_name, is_for_roles
from sekisho.core.policy.door.stranger import vouching
from sekisho.core.policy.evidence import Evidence
from sekisho.core.terms.reply import Reply

VIRUS, ATTACHMENT, RSPAMD, CONTENT = "virus", "dangerous-attachment", "rspamd", "content-junk"


def _judge_virus(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    virus = virus_in(evidence.clamav)
    if not virus:
        return None
    because = f"ClamAV found {virus}"
    if rules.content.refuses_viruses and not is_for_roles(evidence):
        return DoorVerdict(
            action="refuse",
            rule=VIRUS,
            because=because,
            reply=Reply.of(550, "5.7.1", "The message contains a virus"),
        )
    return DoorVerdict(action="junk", rule=VIRUS, because=because)


def _judge_attachments(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    found = dangerous(evidence.content, rules.content)
    if not found:
        return None
    because = told_of(found)
    if rules.content.refuses_attachments and not is_for_roles(evidence):
        text = (
            f"An attachment of this kind ({found[0].danger}) is not accepted here; send a link to it instead"
        )
        return DoorVerdict(
            action="refuse", rule=ATTACHMENT, because=because, reply=Reply.of(550, "5.7.1", text)
        )
    return DoorVerdict(action="junk", rule=ATTACHMENT, because=because)


def _judge_rspamd(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    action, because = rspamd_says(evidence.rspamd, rules.content)
    if action == "refuse" and not is_for_roles(evidence):
        return DoorVerdict(
            action="refuse",
            rule=RSPAMD,
            because=because,
            reply=Reply.of(
                550, "5.7.1", "The message looks like spam; if that is a mistake, write to postmaster"
            ),
        )
    return DoorVerdict(action="junk", rule=RSPAMD, because=because) if action else None


def _judge_words(evidence: Evidence, rules: DoorRules) -> DoorVerdict | None:
    finding, known = evidence.content, evidence.reputation
    if finding is None:
        return None
    is_known = known is not None and bool(vouching(known, rules.experience))
    junk = junk_by_words(finding, rules.content, is_known=is_known)
    return (
        DoorVerdict(action="junk", rule=CONTENT, because=junk[0], spared=junk[1])
        if junk is not None
        else None
    )


RULES = by_name(
    Rule(
        name=VIRUS,
        says="Mail in which ClamAV finds a virus is refused or put into Junk.",
        setting=RuleSetting(
            path="content.clamav_action",
            default="refuse",
            says="What to do with a message that has a virus; off: clamd is not asked.",
        ),
        judge=_judge_virus,
    ),
    Rule(
        name=ATTACHMENT,
        says="Mail with an attachment that acts when it is opened is put into Junk or refused.",
        setting=RuleSetting(
            path="content.attachments",
            default="junk",
            says="What to do with a message that has an attachment that acts when it is opened.",
        ),
        judge=_judge_attachments,
    ),
    Rule(
        name=RSPAMD,
        says="Mail that rspamd judges to be spam is put into Junk or refused.",
        setting=RuleSetting(
            path="content.rspamd_action",
            default="junk",
            says=(
                "What to do with mail that rspamd would reject; mail that it would only mark goes "
                "into Junk. observe: only record both; off: rspamd is not asked."
            ),
        ),
        judge=_judge_rspamd,
    ),
    Rule(
        name=CONTENT,
        says="Mail that the classifier judges to be junk is put into Junk.",
        setting=RuleSetting(
            path="content.classifier",
            says=(
                "Put mail that the classifier judges to be junk into Junk; observe: only record it; "
                "off: only learn."
            ),
        ),
        judge=_judge_words,
    ),
)
