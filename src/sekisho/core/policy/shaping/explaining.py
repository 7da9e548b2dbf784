"""The words of the table, as a notice says them to who sent the message."""

from sekisho.core.message.dsn_text import ReplyMeaning
from sekisho.core.policy.shaping.recognise import BY_RULE, recognise
from sekisho.core.policy.shaping.rule import TREATMENTS
from sekisho.core.terms.reply import Reply

PACED = "451 4.7.1 Waits here: "  # how a reply of our own begins, for what we keep back ourselves
_PACED = ReplyMeaning(
    (
        "This server itself sends slowly there, so that the provider goes on taking its mail.",
        "相手の事業者に受け取り続けてもらうため、このサーバーが速度を抑えて送信しています。",
    ),
    (
        "You need not do anything and need not send it again; the time is given above.",
        "お手続きも送り直しも不要です。送信の見込みは上の時刻のとおりです。",
    ),
)


def explained(reply: Reply | None, remote: str) -> ReplyMeaning | None:
    """What `remote`'s reply means; None where the table does not know it."""
    if reply is not None and reply.cause == "pace":
        return _PACED
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
