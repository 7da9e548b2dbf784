"""Replies that anybody may give. They are asked behind those that a provider is known to give."""

from sekisho.core.policy.shaping.provider import PROVIDERS
from sekisho.core.policy.shaping.rule import ReplyRule, Words, reading

_LISTED = tuple(provider.name for provider in PROVIDERS)
_SPAMHAUS = "https://check.spamhaus.org/"

ONE_RECIPIENT: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="mailbox-full",
        kind="mailbox-full",
        pattern=reading(
            r" [45]\.2\.2 |over ?quota|quota exceeded|mailbox (is )?full|out of storage|insufficient "
            r"storage for"
        ),
        sample="552 5.2.2 The recipient's inbox is out of storage space",
        meaning=Words("The recipient's mailbox is full.", "受信者のメールボックスがいっぱいです。"),
    ),
    ReplyRule(
        name="unknown-user",
        kind="unknown-user",
        codes=("5",),
        pattern=reading(
            r" 5\.1\.(1|6|10) |user unknown|unknown user|no such (user|recipient|mailbox|address)|user "
            r"(does not|doesn't) exist|"
            r"invalid recipient|(recipient|mailbox|user|account)( address)? (not found|unknown|unavailable)"
        ),
        sample="550 5.1.1 <taro@example.org>: Recipient address rejected: User unknown in virtual mailbox "
        "table",
        meaning=Words("There is no such address.", "このアドレスは存在しません。"),
    ),
    ReplyRule(
        name="greylisted",
        kind="greylisted",
        codes=("4",),
        pattern=reading(r"gr[ae]y-?list"),
        sample="450 4.7.1 <taro@example.org>: Recipient address rejected: Greylisted",
        meaning=Words(
            "The other server lets strangers come twice (greylisting).",
            "相手のサーバーは、初めての送信元に再送を求めます（グレーリスティング）。",
        ),
    ),
)
ANYBODY: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="spamhaus",
        kind="blocked",
        pattern=reading(r"spamhaus"),
        sample="554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        meaning=Words(
            "This server's address or a domain in the message is on a list of Spamhaus, which many "
            "servers ask.",
            "このサーバーのアドレスまたは本文中のドメインが、広く参照されるSpamhausのリストに載っています。",
        ),
        remedy=Words(
            "Look the address up at the link. It says why it is listed and how it gets off; PBL only "
            "means that the address is "
            "not known as a mail server's, and is taken off at once.",
            "リンク先でアドレスを調べてください。掲載理由と解除方法が示されます。PBLの場合は、"
            "メールサーバーのアドレスとして"
            "未登録という意味だけで、すぐに解除できます。",
        ),
        link=_SPAMHAUS,
    ),
    ReplyRule(
        name="blocklisted",
        kind="blocked",
        pattern=reading(
            r"block ?list|black ?list|blocked using|deny ?list|dnsbl|\brbl\b|spamcop|uceprotect|"
            r"barracudacentral"
        ),
        sample="554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net",
        meaning=Words(
            "This server's address is on a blocklist that the other side asks.",
            "このサーバーのアドレスが、相手の参照するブロックリストに載っています。",
        ),
    ),
    ReplyRule(
        name="connections",
        kind="connections",
        codes=("4",),
        pattern=reading(
            r"too many (\w+ )?(connections|sessions)|connection (limit|rate)|concurrent connections"
        ),
        sample="421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1",
        meaning=Words(
            "The other server takes fewer connections at a time.",
            "相手のサーバーの同時接続数の制限を超えました。",
        ),
    ),
    ReplyRule(
        name="reverse",
        kind="reverse",
        pattern=reading(
            r"reverse (dns|host|lookup|name)|\brdns\b|PTR record|cannot find your (reverse )?hostname"
        ),
        sample="450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]",
        meaning=Words(
            "This server's address has no reverse name that leads back to it.",
            "このサーバーのアドレスの逆引き名がないか、正引きと一致していません。",
        ),
    ),
    ReplyRule(
        name="unauthenticated",
        kind="unauthenticated",
        pattern=reading(r" [45]\.7\.(20|21|22|23|26) |\bSPF\b|\bDKIM\b|\bDMARC\b"),
        sample="550 5.7.1 Email rejected per DMARC policy for example.org",
        meaning=Words(
            "The other server does not find the sender's domain proved by SPF, DKIM or DMARC.",
            "送信元ドメインがSPF・DKIM・DMARCで証明されていないと、相手のサーバーが判断しました。",
        ),
    ),
    ReplyRule(
        name="rate",
        kind="throttle",
        codes=("4",),
        pattern=reading(
            r"rate[ -]limit|throttl|slow ?down|too (many|much) (messages|e?-?mails?|requests|mail)|"
            r"sending (rate|limit|quota)|"
            r"(message|hourly|daily) (rate|limit|quota)|temporarily deferred|unusual (rate|volume|"
            r"traffic)|excessive"
        ),
        sample="450 4.7.1 Error: too much mail from 192.0.2.1",
        meaning=Words(
            "The other server gets more mail from here than it takes at a time.",
            "相手のサーバーが一度に受け取る量を超えています。",
        ),
    ),
    ReplyRule(
        name="content",
        kind="content",
        codes=("5",),
        pattern=reading(
            r"\bspam|junk mail|unsolicited|virus|malware|phish|message content|content (rejected|filter)"
        ),
        sample="554 5.7.1 Message rejected as spam",
        meaning=Words(
            "The other server takes the message for spam or something harmful.",
            "相手のサーバーが、迷惑メールまたは有害なメールと判断しました。",
        ),
    ),
    ReplyRule(
        name="provider-policy",
        kind="throttle",
        providers=_LISTED,
        codes=("4",),
        pattern=reading(r"^4[0-9]{2} 4\.7\.[0-9]+ "),
        sample="451 4.7.999 Something new",
        meaning=Words(
            "The provider puts mail from this server off by a rule of its own.",
            "事業者が独自の規則により、このサーバーからの受信を延期しています。",
        ),
        certain=False,
    ),
    ReplyRule(
        name="policy",
        kind="refused",
        codes=("5",),
        pattern=reading(
            r"^5[0-9]{2} 5\.7\.[0-9]+ |access denied|not (permitted|authorized|allowed)|local policy"
        ),
        sample="550 5.7.1 Rejected by local policy",
        meaning=Words(
            "The other server refuses the message by its rules.",
            "相手のサーバーの規則により受信を拒否されました。",
        ),
    ),
)
