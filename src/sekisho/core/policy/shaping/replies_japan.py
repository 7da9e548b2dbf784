"""Replies of the carriers and providers of Japan.

They publish rules of conduct rather than codes: rows that are not `certain` read what servers commonly
say, and only where these hosts say it.
"""

from sekisho.core.policy.shaping.provider import BY_NAME
from sekisho.core.policy.shaping.rule import ReplyRule, Words, reading

_LATER = r"[45]\.7\.[0-9]+ |too many|rate|limit|busy|temporar|try again|service not available|deferred"
_TITLES = {
    "docomo": ("docomo", "ドコモ"),
    "au": ("au", "au"),
    "softbank": ("SoftBank", "ソフトバンク"),
    "yahoo-japan": ("Yahoo! JAPAN", "Yahoo! JAPAN"),
    "nifty": ("@nifty", "@nifty"),
    "ocn": ("OCN", "OCN"),
    "so-net": ("So-net", "So-net"),
    "iij": ("IIJ", "IIJ"),
}
_RATE_SAMPLES = {
    "docomo": "421 Service not available, closing transmission channel",
    "au": "421 4.7.0 Too many messages, try again later",
    "softbank": "421 Service not available, too many connections",
    "yahoo-japan": "421 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or "
    "user complaints",
    "nifty": "450 4.7.1 Temporarily restricted, try again later",
    "ocn": "421 4.7.0 Too many messages from your host",
    "so-net": "421 4.7.0 rate limit exceeded",
    "iij": "450 4.7.1 Client host temporarily deferred",
}
_CARRIER_REMEDY = Words(
    "Take addresses that do not exist off the lists and send slowly: carriers block a network for a day "
    "when many are wrong. "
    "The pace is lowered by itself.",
    "存在しない宛先を名簿から除き、時間をかけて送ってください。宛先不明が多いと、"
    "携帯各社は送信元を半日から1日ほど"
    "遮断します。速度は自動的に下がります。",
)


def _rate(name: str) -> ReplyRule:
    english, japanese = _TITLES[name]
    return ReplyRule(
        name=f"{name}-rate",
        kind="throttle",
        providers=(name,),
        codes=("4",),
        pattern=reading(_LATER),
        sample=_RATE_SAMPLES[name],
        meaning=Words(
            f"{english} puts mail from this server off: too much at a time, or "
            "too many addresses that do not exist.",
            f"{japanese}が受信を延期しています。短時間の送信量か、存在しない宛先が多すぎる可能性があります。",
        ),
        remedy=_CARRIER_REMEDY,
        rest_seconds=1800,
        link=BY_NAME[name].link,
        certain=False,
    )


JAPAN: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="docomo-unknown",
        kind="unknown-user",
        providers=("docomo",),
        codes=("550",),
        pattern=reading(r"Unknown user"),
        sample="550 Unknown user taro@docomo.ne.jp",
        meaning=Words(
            "docomo: there is no such address, or its owner refuses mail from this domain.",
            "ドコモ: 宛先が存在しないか、受信者が受信拒否を設定しています。",
        ),
        link="https://www.docomo.ne.jp/service/docomo_mail/smtp_notice/",
    ),
    ReplyRule(
        name="docomo-full",
        kind="mailbox-full",
        providers=("docomo",),
        codes=("552", "452"),
        pattern=reading(r"Too much mail data"),
        sample="552 Too much mail data taro@docomo.ne.jp",
        meaning=Words(
            "docomo: the recipient's mailbox is full.", "ドコモ: 受信者のメールボックスがいっぱいです。"
        ),
        link="https://www.docomo.ne.jp/service/docomo_mail/smtp_notice/",
    ),
    ReplyRule(
        name="au-unknown",
        kind="unknown-user",
        providers=("au",),
        codes=("550",),
        pattern=reading(r"User unknown"),
        sample="550 <taro@ezweb.ne.jp>: User unknown",
        meaning=Words(
            "au: there is no such address, or its owner refuses mail from this domain.",
            "au: 宛先が存在しないか、受信者が受信拒否を設定しています。",
        ),
        link="https://www.au.com/mobile/service/attention/specification/",
    ),
    ReplyRule(
        name="au-malformed",
        kind="unknown-user",
        providers=("au",),
        codes=("554",),
        pattern=reading(r"Relay access denied"),
        sample="554 <ta!ro@ezweb.ne.jp>: Relay access denied",
        meaning=Words("au: the address is not written as au's are.", "au: 宛先の書式が正しくありません。"),
        link="https://www.au.com/mobile/service/attention/specification/",
    ),
    ReplyRule(
        name="softbank-unknown",
        kind="unknown-user",
        providers=("softbank",),
        codes=("550",),
        pattern=reading(r"Invalid recipient"),
        sample="550 Invalid recipient: <taro@i.softbank.jp>",
        meaning=Words("SoftBank: there is no such address.", "ソフトバンク: 宛先が存在しません。"),
        link="https://www.softbank.jp/mobile/support/antispam/wrestle/",
    ),
    ReplyRule(
        name="softbank-sender-domain",
        kind="refused",
        providers=("softbank",),
        codes=("553",),
        pattern=reading(r"does not exist"),
        sample="553 mail.example.org does not exist",
        meaning=Words(
            "SoftBank: the domain of the sender has no DNS records.",
            "ソフトバンク: 送信元ドメインのDNSレコードが見つかりません。",
        ),
        remedy=Words(
            "Give the sender's domain an MX or A record.",
            "送信元ドメインにMXまたはAレコードを設定してください。",
        ),
        link="https://www.softbank.jp/mobile/support/antispam/wrestle/",
    ),
    ReplyRule(
        name="yahoo-japan-deferred",
        kind="throttle",
        providers=("yahoo-japan",),
        pattern=reading(r"\bVS98-IP0\b"),
        sample="553 Mail from 192.0.2.1 not allowed - VS98-IP0 deferred",
        meaning=Words(
            "Yahoo! JAPAN takes no mail from this server for a while.",
            "Yahoo! JAPANが、このサーバーからの受信を一時的に止めています。",
        ),
        rest_seconds=3600,
        link=BY_NAME["yahoo-japan"].link,
    ),
    *(_rate(name) for name in _TITLES),
)
