"""What a reply of another server means: a pattern, its class, what is done, and the words for people."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

# throttle: more than they trust us with. connections: too many at once. blocked: our address is refused.
# unauthenticated: SPF, DKIM, DMARC. reverse: our reverse name. recipient-busy, mailbox-full, unknown-user: of
# one recipient. content: of this message. greylisted: come again. refused: by some rule of theirs.
ReplyClass = Literal[
    "throttle",
    "connections",
    "blocked",
    "unauthenticated",
    "reverse",
    "recipient-busy",
    "mailbox-full",
    "unknown-user",
    "content",
    "greylisted",
    "refused",
]
# rest: nothing goes to the provider for a while, then slowly. fewer: fewer at once. none: one message.
Action = Literal["rest", "fewer", "none"]


class Words(NamedTuple):
    en: str
    ja: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What is done about a class; `remedy` is for the postmaster, `advice` for who sent the message."""

    action: Action
    rest_seconds: int
    remedy: Words
    advice: Words
    tells_operator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRule:
    """`providers`: whose replies it reads, () for anybody's. `codes`: how the reply begins ("4", "550").
    `sample`: one that it reads. `certain`: published by the provider, or seen word for word by many."""

    name: str
    kind: ReplyClass
    pattern: "re.Pattern[str]"
    sample: str
    meaning: Words
    providers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ("4", "5")
    remedy: Words | None = None
    rest_seconds: int = 0
    link: str = ""
    certain: bool = True


def reading(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.IGNORECASE)


_NOBODY = Words(
    "You need not do anything; we send more slowly and keep trying.",
    "お手続きは不要です。速度を落として再送を続けます。",
)
_TELL = Words(
    "Please show this notice to your administrator; sending it again changes nothing.",
    "この通知を管理者にお見せください。送り直しても結果は変わりません。",
)
TREATMENTS: dict[ReplyClass, Treatment] = {
    "throttle": Treatment(
        action="rest",
        rest_seconds=900,
        remedy=Words(
            "Nothing at once: everything for this provider is slowed by itself. If it comes back every "
            "day, send less there, "
            "and only to people who want it.",
            "すぐに必要な操作はありません。この事業者宛ての送信は自動的に減速します。毎日続く場合は、"
            "送信量を減らし、"
            "希望者だけに送ってください。",
        ),
        advice=_NOBODY,
    ),
    "connections": Treatment(
        action="fewer",
        rest_seconds=60,
        remedy=Words(
            "Nothing: fewer connections are opened there for a while.",
            "必要な操作はありません。しばらくの間、同時接続数を減らします。",
        ),
        advice=_NOBODY,
    ),
    "blocked": Treatment(
        action="rest",
        rest_seconds=3600,
        tells_operator=True,
        remedy=Words(
            "Find out what was sent (sekisho guard list, sekisho why DOMAIN), stop it, then ask the "
            "provider at the link to "
            "take the address of this server off its list.",
            "何が送られたかを調べて止め（sekisho guard list、sekisho why ドメイン）、"
            "その後、リンク先でこのサーバーのアドレスの解除を申請してください。",
        ),
        advice=_TELL,
    ),
    "unauthenticated": Treatment(
        action="none",
        rest_seconds=0,
        tells_operator=True,
        remedy=Words(
            "Publish SPF for this server's address, sign with DKIM and publish DMARC: sekisho check "
            "domain DOMAIN says what "
            "is missing.",
            "このサーバーのアドレスをSPFに載せ、DKIM署名を行い、DMARCを公開してください。"
            "足りないものは sekisho check domain ドメイン で分かります。",
        ),
        advice=_TELL,
    ),
    "reverse": Treatment(
        action="none",
        rest_seconds=0,
        tells_operator=True,
        remedy=Words(
            "Have the reverse name (PTR) of this server's address set to its host name: sekisho check "
            "sending.",
            "このサーバーのアドレスの逆引き（PTR）を、ホスト名と一致させてください: sekisho check sending",
        ),
        advice=_TELL,
    ),
    "recipient-busy": Treatment(
        action="none",
        rest_seconds=0,
        remedy=Words(
            "Nothing: only this one mailbox gets too much at the moment.",
            "必要な操作はありません。今、この宛先だけが受け取りすぎています。",
        ),
        advice=_NOBODY,
    ),
    "mailbox-full": Treatment(
        action="none",
        rest_seconds=0,
        remedy=Words("Only the recipient can make room.", "空きを作れるのは受信者だけです。"),
        advice=Words(
            "Please tell the recipient by other means that the mailbox is full.",
            "メールボックスがいっぱいであることを、別の手段で相手にお伝えください。",
        ),
    ),
    "unknown-user": Treatment(
        action="none",
        rest_seconds=0,
        remedy=Words(
            "Take the address off your lists: many wrong addresses make a provider refuse the rest.",
            "名簿からこの宛先を除いてください。誤った宛先が多いと、ほかのメールも拒否されます。",
        ),
        advice=Words(
            "Please check the address, and take it off your lists if it is wrong.",
            "宛先をお確かめください。誤りであれば名簿から除いてください。",
        ),
    ),
    "content": Treatment(
        action="none",
        rest_seconds=0,
        remedy=Words(
            "Look at the message: links, attachments, and whether the recipients asked for it.",
            "メールの内容（リンク、添付ファイル、受信者の希望の有無）を確認してください。",
        ),
        advice=Words(
            "Try it without links and attachments, or show this notice to your administrator.",
            "リンクや添付ファイルなしで送るか、この通知を管理者にお見せください。",
        ),
    ),
    "greylisted": Treatment(
        action="none",
        rest_seconds=0,
        remedy=Words(
            "Nothing: the next attempt is usually accepted.",
            "必要な操作はありません。通常は次の再送で受け取られます。",
        ),
        advice=_NOBODY,
    ),
    "refused": Treatment(
        action="none",
        rest_seconds=0,
        remedy=Words(
            "Ask the recipient's administrator which rule it is; their words are in the reply.",
            "どの規則によるものかを、相手の管理者に尋ねてください。返答に相手の言葉があります。",
        ),
        advice=_TELL,
    ),
}
