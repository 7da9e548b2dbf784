"""The words of the table, as a notice says them to who sent the message."""

from sekisho.core.message.dsn_text import ReplyMeaning
from sekisho.core.policy.shaping.recognise import BY_RULE, recognise
from sekisho.core.policy.shaping.rule import TREATMENTS
from sekisho.core.terms.reply import Reply


def explained(reply: Reply | None, remote: str) -> ReplyMeaning | None:
    """What `remote`'s reply means; None where the table does not know it."""
    found = recognise(reply, remote) if reply is not None else None
    if found is None:
        return None
    return ReplyMeaning(found.rule.meaning, found.treatment.advice, found.link)


def meaning_in(rule_name: str, language: str) -> dict[str, str]:
    """`meaning` and `advice` of a row for the postmaster, with its link; empty for a row that is gone."""
    rule = BY_RULE.get(rule_name)
    if rule is None:
        return {"meaning": "?", "advice": ""}
    number = int(language == "ja")
    remedy = (rule.remedy or TREATMENTS[rule.kind].remedy)[number]
    return {"meaning": rule.meaning[number], "advice": f"{remedy} {rule.link}".rstrip()}
