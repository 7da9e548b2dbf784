"""What a notice says to people, in English and Japanese. No octet of others is interpreted here: it is only
quoted."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "ja"]
Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]  # RFC 3464 §2.3.3

SUBJECTS: dict[Language, dict[Action, str]] = {
    "en": {
        "failed": "Your message could not be delivered",
        "delayed": "Your message is delayed",
        "delivered": "Your message was delivered",
        "relayed": "Your message was passed on",
        "expanded": "Your message was passed on to a list",
    },
    "ja": {
        "failed": "メールを配送できませんでした",
        "delayed": "メールの配送が遅れています",
        "delivered": "メールを配送しました",
        "relayed": "メールを次のサーバーへ渡しました",
        "expanded": "メールを宛先一覧へ渡しました",
    },
}

_INTRODUCTIONS: dict[Language, dict[Action, str]] = {
    "en": {
        "failed": "This is the mail server {host}.\n\nYour message could not be delivered to the "
        "recipients below. We will not try again.",
        "delayed": (
            "This is the mail server {host}.\n\nYour message could not be delivered to the recipients "
            "below yet. "
            "We keep trying; you need not send it again."
        ),
        "delivered": "This is the mail server {host}.\n\nYour message was delivered to the recipients "
        "below, as you asked to be told.",
        "relayed": (
            "This is the mail server {host}.\n\nYour message was passed on to a server that does not "
            "report deliveries. "
            "You will hear no more about the recipients below unless it fails there."
        ),
        "expanded": "This is the mail server {host}.\n\nYour message was passed on to everybody behind "
        "the addresses below.",
    },
    "ja": {
        "failed": "メールサーバー {host} からのお知らせです。\n\n"
        "以下の宛先にメールを配送できませんでした。再送は行いません。",
        "delayed": (
            "メールサーバー {host} からのお知らせです。\n\n以下の宛先へのメールはまだ配送できていません。"
            "自動的に再送を続けますので、送り直す必要はありません。"
        ),
        "delivered": "メールサーバー {host} からのお知らせです。\n\n"
        "ご依頼の配送通知です。以下の宛先にメールを配送しました。",
        "relayed": (
            "メールサーバー {host} からのお知らせです。\n\n"
            "配送通知に対応していないサーバーへメールを渡しました。"
            "渡した先で失敗しない限り、以下の宛先についてこれ以上の通知はありません。"
        ),
        "expanded": "メールサーバー {host} からのお知らせです。\n\n"
        "以下のアドレスの先にいる全員へメールを渡しました。",
    },
}

# By subject.detail of RFC 3463 (and its registry, RFC 5248): a sentence for somebody who does not read codes.
_MEANINGS: dict[str, tuple[str, str]] = {
    "1.1": (
        "There is no such address. Please check its spelling.",
        "このアドレスは存在しません。綴りをお確かめください。",
    ),
    "1.2": (
        "The domain after the @ does not exist or takes no mail.",
        "＠の後のドメインが存在しないか、メールを受け付けていません。",
    ),
    "1.10": (
        "This domain says that it takes no mail.",
        "このドメインはメールを受け付けないと宣言しています。",
    ),
    "2.1": ("The mailbox is switched off.", "このメールボックスは停止されています。"),
    "2.2": ("The mailbox is full.", "相手のメールボックスがいっぱいです。"),
    "3.4": (
        "The message is too large for the recipient's server.",
        "メールが大きすぎるため、相手のサーバーが受け取れません。",
    ),
    "4.1": ("The recipient's server does not answer.", "相手のサーバーが応答しません。"),
    "4.4": (
        "The recipient's mail server has no address.",
        "相手のメールサーバーのアドレスが見つかりません。",
    ),
    "4.6": (
        "The message goes in circles: the recipient's domain is set up wrongly.",
        "配送が循環しています。相手のドメインの設定に誤りがあります。",
    ),
    "4.7": (
        "We tried for as long as we may, without success.",
        "定められた期間、再送を続けましたが配送できませんでした。",
    ),
    "6.3": (
        "The recipient's server does not take this kind of content.",
        "相手のサーバーはこの形式の内容を受け取れません。",
    ),
    "6.7": (
        "The recipient's server does not take internationalised addresses.",
        "相手のサーバーは国際化メールアドレスに対応していません。",
    ),
    "7.1": (
        "The recipient's server refuses this message by its rules.",
        "相手のサーバーの規則により受信を拒否されました。",
    ),
}

_LABELS: dict[Language, tuple[str, str, str, str, str]] = {
    "en": ("Recipient", "The server {remote} said", "Reason", "What to do", "More"),
    "ja": ("宛先", "サーバー {remote} の返答", "理由", "対処", "詳細"),
}
_ENDINGS: dict[Language, tuple[str, str]] = {
    "en": ("If you ask your administrator about it, please name this id: {id}", "We try until {date}."),
    "ja": ("管理者にお問い合わせの際は、この番号をお伝えください: {id}", "{date} まで再送を続けます。"),
}


@dataclass(frozen=True, slots=True)
class ReplyMeaning:
    """What a reply means and what the reader may do, each in English and in Japanese; `link` "" if none."""

    meaning: tuple[str, str]
    advice: tuple[str, str]
    link: str = ""


def introduction(language: Language, action: Action, host: str) -> str:
    return _INTRODUCTIONS[language][action].replace("{host}", host)


def recipient_paragraph(
    language: Language,
    address: str,
    status: str,
    *,
    remote: str = "",
    diagnostic: str = "",
    explained: ReplyMeaning | None = None,
) -> str:
    """Who, why in plain words if we know them, what was said, and what to do. All texts are one printable
    line each."""
    who, said, reason, to_do, more = _LABELS[language]
    lines = [f"{who}: {address}"]
    if not status.startswith("2."):
        known = explained.meaning if explained is not None else None
        meaning = known or _MEANINGS.get(status.partition(".")[2])
        if meaning is not None:
            lines.append(f"  {reason}: {meaning[language == 'ja']}")
        if diagnostic:
            label = said.replace("{remote}", remote) if remote else reason
            lines.append(f"  {label}: {diagnostic}")
        if explained is not None:
            lines.append(f"  {to_do}: {explained.advice[language == 'ja']}")
            if explained.link:
                lines.append(f"  {more}: {explained.link}")
    return "\n".join(lines)


def ending(language: Language, message_id: str, retry_until: str) -> str:
    asks, until = _ENDINGS[language]
    lines = [until.replace("{date}", retry_until)] if retry_until else []
    if message_id:
        lines.append(asks.replace("{id}", message_id))
    return "\n".join(lines)
