"""The guard's reasons and notices in the reader's language. No octet of others is interpreted here: it is
only quoted."""

from collections.abc import Mapping, Sequence

import msgspec

from sekisho.core.message.dsn_text import Language
from sekisho.core.policy.takeover.signals import Reason

REASONS_JA: dict[str, str] = {
    "The network {network} is new for this account.": "ネットワーク {network} "
    "からの送信は、このアカウントでは初めてです。",
    "The mail program ({client}) is new for this account.": "このアカウントが使ったことのないメールソフト("
    "{client})です。",
    "This password has hardly been used for sending before.": "このパスワードでの送信は、これまでほとんど"
    "ありません。",
    "The account hardly ever sends at this time of day.": "このアカウントがめったに送信しない時間帯です。",
    "Mail came from {count} new networks within an hour.": "1時間以内に {count} "
    "個の新しいネットワークから送信されました。",
    "Answers would go to {address}, never used before.": "返信先が、使ったことのない {address} "
    "になっています。",
    "The author's name or address was never used before.": "差出人の名前またはアドレスが、使われたことのな"
    "いものです。",
    "It links to {host}, which the account never did before.": "これまで載せたことのない {host} "
    "へのリンクがあります。",
    "Within a day it wrote to many people for the first time; they count {count}, up to {usual} would "
    "be usual.": ("1日のうちに初めての宛先へ多数送信しました(換算 {count}、普段は {usual} まで)。"),
    "Within a day it wrote to very many people it knows; they count {count}, up to {usual} would be usual.": (
        "1日のうちに既知の宛先へ非常に多く送信しました(換算 {count}、普段は {usual} まで)。"
    ),
    "From there {count} messages link to places that the account never linked to.": (
        "この場所から、これまで載せたことのないリンク先を含むメールが {count} 通送られました。"
    ),
    "Within a day it wrote {count} messages, up to {usual} would be usual.": (
        "1日のうちに {count} 通送信しました(普段は {usual} 通まで)。"
    ),
    "{count} of the recipients had no mail from it for more than a month.": (
        "宛先のうち {count} 件へは1か月以上送信していませんでした。"
    ),
    "The new recipients are scattered over {count} domains or more.": (
        "初めての宛先が {count} 以上のドメインに散らばっています。"
    ),
    "{count} recipients are named neither in To nor in Cc.": "{count} 件の宛先が To にも Cc "
    "にも書かれていません。",
    "The same text or link went out in {count} messages.": "同じ文面またはリンクが {count} "
    "通で送られました。",
    "{count} first-time recipients on one day; {limit} are allowed.": (
        "1日に初めての宛先が {count} 件あります(上限 {limit} 件)。"
    ),
    "{count} recipients on one day; {limit} are allowed.": "1日の宛先が {count} 件あります(上限 {limit} "
    "件)。",
    "{bounced} of {answered} recipients do not exist.": "{answered} 件の宛先のうち {bounced} "
    "件が存在しません。",
    "Other servers called its mail spam or too much, {count} times.": (
        "他のサーバーから迷惑メールまたは送りすぎと {count} 回言われました。"
    ),
    "ClamAV found a virus in it: {said}.": "ClamAV がウイルスを見つけました: {said}",
    "rspamd calls it spam: {said}.": "rspamd が迷惑メールと判定しました: {said}",
    "It carries something that acts when it is opened: {said}.": "開くと動作するものが添付されています: "
    "{said}",
    "It reads like mail that people here called junk: {said}.": "ここで迷惑メールとされたものによく似た内"
    "容です: {said}",
    "The administrator held it.": "管理者が保留しました。",
}
BY_HAND = "The administrator held it."

# What was done about a credential.
CUT = (
    "Nobody can log in with the password any more, and connections that it opened were cut; app "
    "passwords go on working."
)
CUT_OTHER = (
    "Nobody can log in with this app password, token or certificate any more, and its open "
    "connections were cut."
)
CUT_MADE = "App passwords that were made with it meanwhile were disabled too."
NO_PASSWORD = "All mail of this system user is held; there is no password to freeze."
THAWED = "The password works again."
THAWED_OTHER = "The app password, token or certificate works again."
DONE_JA: dict[str, str] = {
    CUT: "このパスワードではもう誰もログインできません。これで開かれた接続は切断しました。アプリパスワード"
    "は引き続き使えます。",
    CUT_OTHER: "このアプリパスワード・トークン・証明書ではもう誰もログインできません。これで開かれた接続は"
    "切断しました。",
    CUT_MADE: "その間にこれを使って作られたアプリパスワードも無効にしました。",
    NO_PASSWORD: "このシステムユーザーのメールはすべて保留します。凍結すべきパスワードはありません。",
    THAWED: "パスワードは再び使えます。",
    THAWED_OTHER: "アプリパスワード・トークン・証明書は再び使えます。",
}

_OWNER: dict[Language, tuple[str, str, str, str]] = {
    "en": (
        "Mail sent as {address} is held",
        (
            "This is the mail server {host}.\n\n"
            "Mail is being sent with the password of {address} in a way that is unusual for you. To "
            "protect you and others it is held: "
            "nothing of it leaves, and nothing is lost."
        ),
        "If it was you: tell your administrator ({postmaster}), who can let it go with one command.",
        (
            "If it was not you: somebody knows your password. Have it changed, from a device that you "
            "trust, and tell your administrator "
            "({postmaster}). Do not send the password by mail to anybody."
        ),
    ),
    "ja": (
        "{address} からのメールを保留しました",
        (
            "メールサーバー {host} からのお知らせです。\n\n"
            "{address} のパスワードを使って、普段と違う形でメールが送信されています。"
            "あなたと相手の方々を守るため、そのメールを保留しました。"
            "外へは何も出ておらず、失われてもいません。"
        ),
        "ご本人の送信であれば、管理者({postmaster})へお知らせください。すぐに送り出せます。",
        (
            "心当たりがなければ、パスワードが他人に知られています。安全な端末からパスワードを変更してもらい"
            "、管理者({postmaster})へ"
            "ご連絡ください。パスワードをメールで誰かに送らないでください。"
        ),
    ),
}
_ADMINISTRATOR: dict[Language, tuple[str, str, str]] = {
    "en": (
        "Guard: mail of {address} is held",
        "The guard of {host} holds the mail of {address} (credential {credential}, {score} points).",
        (
            "Look, and ask the owner by telephone:\n  sekisho guard show {address}\n\nIf it was the owner, "
            "everything goes with:\n"
            "  sekisho guard release {address}\n\nIf it was not, the held mail is removed with:\n  sekisho "
            "guard purge {address}"
        ),
    ),
    "ja": (
        "関所の番人: {address} のメールを保留",
        "{host} の番人が {address} のメールを保留しています(認証情報 {credential}、{score} 点)。",
        (
            "内容を確認し、電話などで本人に尋ねてください:\n  sekisho guard show {address}\n\n"
            "本人の送信なら、次のコマンドで送り出せます:\n"
            "  sekisho guard release {address}\n\n"
            "本人でなければ、次のコマンドで保留中のメールを破棄します:\n  sekisho guard purge {address}"
        ),
    ),
}
_LABELS: dict[Language, tuple[str, str, str, str]] = {
    "en": (
        "Why",
        "What was done",
        "{messages} messages are held. Since {since} mail went to {left} recipients elsewhere.",
        "They had it",
    ),
    "ja": (
        "理由",
        "行った処置",
        "{messages} 通を保留中です。{since} 以降、外部の {left} 件の宛先へ送信済みです。",
        "送信済みの宛先",
    ),
}


class Facts:
    """What a notice is filled with: one printable line each. `had`: addresses of recipients that had mail."""

    def __init__(
        self, reasons: Sequence[Reason], done: Sequence[str], had: Sequence[str], **values: str | int
    ) -> None:
        self.reasons, self.done, self.had, self.values = reasons, done, had, values


def reason_in(reason: Reason, language: Language) -> str:
    text = REASONS_JA.get(reason.text, reason.text) if language == "ja" else reason.text
    return one_line(text.format(**reason.values))


def reasons_told(reasons: Sequence[Reason]) -> str:
    """For the journal, so that it can be read in either language later: see `because_in`."""
    return msgspec.json.encode([(reason.text, reason.values) for reason in reasons]).decode("utf-8")


def because_in(told: str, language: Language) -> str:
    """What `reasons_told` gave, as sentences; "" if it is not that."""
    try:
        reasons = msgspec.json.decode(told, type=list[tuple[str, dict[str, str | int]]])
        return " ".join(reason_in(Reason("", 0, text, values), language) for text, values in reasons)
    except (msgspec.MsgspecError, LookupError, ValueError):
        return ""


def done_in(sentence: str, language: Language) -> str:
    return one_line(DONE_JA.get(sentence, sentence) if language == "ja" else sentence)


def owner_notice(language: Language, facts: Facts) -> tuple[str, str]:
    """(subject, text)."""
    subject, beginning, if_you, if_not = (text.format(**facts.values) for text in _OWNER[language])
    return subject, "\n\n".join([beginning, *_details(language, facts, ()), if_you, if_not]) + "\n"


def administrator_notice(language: Language, facts: Facts) -> tuple[str, str]:
    subject, beginning, ending = (text.format(**facts.values) for text in _ADMINISTRATOR[language])
    return subject, "\n\n".join([beginning, *_details(language, facts, facts.had), ending]) + "\n"


def if_not_you(language: Language, values: Mapping[str, str | int]) -> str:
    """What to do when it was somebody else; `values` with postmaster."""
    return _OWNER[language][3].format(**values)


def _details(language: Language, facts: Facts, had: Sequence[str]) -> list[str]:
    why, what, counts, they_had = _LABELS[language]
    out = [_list(why, [reason_in(reason, language) for reason in facts.reasons])]
    if facts.done:
        out.append(_list(what, [done_in(sentence, language) for sentence in facts.done]))
    out.append(counts.format(**facts.values))
    if had:
        out.append(_list(they_had, had))
    return out


def _list(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *(f"  - {one_line(item)}" for item in items)])


def one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:500])
