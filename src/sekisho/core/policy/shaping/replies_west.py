"""Replies of the big providers outside Japan. Numbers collide between them: each row names whose it reads."""

from sekisho.core.policy.shaping.rule import ReplyRule, Words, reading

_GOOGLE, _MICROSOFT, _YAHOO, _APPLE = ("google",), ("microsoft",), ("yahoo",), ("apple",)
_GMX, _TELEKOM, _ORANGE, _MIMECAST, _PROTON = ("gmx",), ("t-online",), ("orange",), ("mimecast",), ("proton",)
_SENDER_RULES = "https://support.google.com/mail/answer/81126"

GOOGLE: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="google-rate",
        kind="throttle",
        providers=_GOOGLE,
        codes=("4",),
        pattern=reading(r"4\.7\.28|unusual rate of"),
        sample="421 4.7.28 Gmail has detected an unusual rate of mail originating from your IP address - "
        "gsmtp",
        meaning=Words(
            "Google gets more mail from this server than it trusts it with.",
            "Googleが、このサーバーからの送信量を信用の範囲を超えていると判断しました。",
        ),
        link=_SENDER_RULES,
    ),
    ReplyRule(
        name="google-rate-blocked",
        kind="blocked",
        providers=_GOOGLE,
        codes=("5",),
        pattern=reading(r"5\.7\.28|unusual rate of"),
        sample="550 5.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your "
        "IP address",
        meaning=Words(
            "Google refuses mail from this server, because too much of it was unwanted.",
            "迷惑メールが多すぎるとして、Googleがこのサーバーからのメールを拒否しています。",
        ),
        link=_SENDER_RULES,
    ),
    ReplyRule(
        name="google-unauthenticated",
        kind="unauthenticated",
        providers=_GOOGLE,
        pattern=reading(r" [45]\.7\.(26|27|30|32|40) |unauthenticated|DMARC policy"),
        sample="550 5.7.26 Your email has been blocked because the sender is unauthenticated. - gsmtp",
        meaning=Words(
            "Google wants the sender's domain proved by SPF, DKIM and DMARC, and it was not.",
            "送信元ドメインがSPF・DKIM・DMARCで証明されていないため、Googleが受け取りませんでした。",
        ),
        link=_SENDER_RULES,
    ),
    ReplyRule(
        name="google-reverse",
        kind="reverse",
        providers=_GOOGLE,
        pattern=reading(r" [45]\.7\.(23|25) |does not have a PTR record"),
        sample="550 5.7.25 The IP address sending this message does not have a PTR record setup",
        meaning=Words(
            "This server's address has no reverse name that leads back to it.",
            "このサーバーのアドレスの逆引き名がないか、正引きと一致していません。",
        ),
        link=_SENDER_RULES,
    ),
    ReplyRule(
        name="google-reputation",
        kind="throttle",
        providers=_GOOGLE,
        codes=("421",),
        pattern=reading(r"4\.7\.0 .*(detected that this message|low reputation|suspicious)"),
        sample="421 4.7.0 [192.0.2.1 15] Our system has detected that this message is suspicious due to "
        "the very low reputation",
        meaning=Words(
            "Google does not trust this server or domain yet, or not any more.",
            "Googleが、このサーバーまたはドメインをまだ（またはもう）信用していません。",
        ),
        rest_seconds=1800,
        link=_SENDER_RULES,
    ),
    ReplyRule(
        name="google-unwanted",
        kind="content",
        providers=_GOOGLE,
        codes=("5",),
        pattern=reading(r"5\.7\.1 .*(unsolicited|suspicious|low reputation)"),
        sample="550 5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited "
        "mail.",
        meaning=Words("Google takes the message for spam.", "Googleが迷惑メールと判断しました。"),
        link=_SENDER_RULES,
    ),
    ReplyRule(
        name="google-recipient-rate",
        kind="recipient-busy",
        providers=_GOOGLE,
        codes=("450", "550"),
        pattern=reading(r"[45]\.2\.1 .*receiving e?mail (too quickly|at a rate)"),
        sample="450 4.2.1 The user you are trying to contact is receiving email too quickly. Please "
        "resend later.",
        meaning=Words(
            "The recipient gets more mail at the moment than Google lets through.",
            "受信者への配信が一時的にGoogleの上限を超えています。",
        ),
        link="https://support.google.com/a/answer/3726730",
    ),
)
MICROSOFT: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="microsoft-rate",
        kind="throttle",
        providers=_MICROSOFT,
        codes=("4",),
        pattern=reading(r"4\.7\.65[01]|temporarily rate limited|\bRP-00[1-3]"),
        sample="451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
        "reputation. (S775)",
        meaning=Words(
            "Microsoft slows mail from this server down until it knows it better.",
            "このサーバーの実績が分かるまで、Microsoftが受信を制限しています。",
        ),
        rest_seconds=1800,
        link="https://postmaster.live.com/",
    ),
    ReplyRule(
        name="microsoft-listed",
        kind="blocked",
        providers=_MICROSOFT,
        codes=("5",),
        pattern=reading(r"\bA?S31[45]0\b|on our block ?list|\b(SC|OU)-00[1-4]"),
        sample="550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is "
        "on our block list (S3140).",
        meaning=Words(
            "Microsoft's consumer mail (Outlook, Hotmail) has this server or its network on its list.",
            "MicrosoftのOutlook.comなどが、このサーバーまたはその回線をブロックしています。",
        ),
        rest_seconds=7200,
        link="https://olcsupport.office.com/",
    ),
    ReplyRule(
        name="microsoft-banned",
        kind="blocked",
        providers=_MICROSOFT,
        codes=("5",),
        pattern=reading(r"5\.7\.(511|60[6-9]|6[1-4][0-9]) |banned send"),
        sample="550 5.7.606 Access denied, banned sending IP [192.0.2.1]. visit "
        "https://sender.office.com/ (AS16012609)",
        meaning=Words(
            "Microsoft 365 has banned this server's address.",
            "Microsoft 365が、このサーバーのアドレスを禁止しています。",
        ),
        rest_seconds=7200,
        link="https://sender.office.com/",
    ),
    ReplyRule(
        name="microsoft-unauthenticated",
        kind="unauthenticated",
        providers=_MICROSOFT,
        codes=("5",),
        pattern=reading(r"5\.7\.(515|509|23) "),
        sample="550 5.7.515 Access denied, sending domain example.org does not meet the required "
        "authentication level.",
        meaning=Words(
            "Microsoft wants SPF, DKIM and DMARC to pass for the sender's domain.",
            "Microsoftは、送信元ドメインのSPF・DKIM・DMARCの合格を求めています。",
        ),
        link="https://postmaster.live.com/",
    ),
    ReplyRule(
        name="microsoft-connections",
        kind="connections",
        providers=_MICROSOFT,
        codes=("4",),
        pattern=reading(
            r"maximum number of connections|max(imum)? concurrent connections|maximum number of messages "
            r"per conn"
        ),
        sample="421 4.3.2 The mail server [192.0.2.1] has exceeded the maximum number of connections.",
        meaning=Words(
            "Microsoft takes fewer connections from this server at a time.",
            "Microsoftが、このサーバーからの同時接続数を制限しています。",
        ),
        link="https://postmaster.live.com/",
    ),
    ReplyRule(
        name="microsoft-busy",
        kind="throttle",
        providers=_MICROSOFT,
        codes=("4",),
        pattern=reading(r"4\.7\.(5[0-9]{2}|6[0-9]{2}) |Server busy|Access denied, please try again later"),
        sample="451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712211)",
        meaning=Words(
            "Microsoft puts mail from this server off, for what it knows of the address.",
            "Microsoftが、このサーバーの評価に基づいて受信を延期しています。",
        ),
        rest_seconds=1800,
        link="https://postmaster.live.com/",
    ),
)
YAHOO: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="yahoo-permanent",
        kind="blocked",
        providers=_YAHOO,
        pattern=reading(r"permanently deferred"),
        sample="421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will "
        "NOT succeed.",
        meaning=Words(
            "Yahoo takes no more mail from this server.", "Yahooが、このサーバーからの受信を停止しています。"
        ),
        rest_seconds=14_400,
        link="https://senders.yahooinc.com/contact",
    ),
    ReplyRule(
        name="yahoo-rate",
        kind="throttle",
        providers=_YAHOO,
        codes=("4",),
        pattern=reading(r"\[(TSS?|IPTS)[0-9]+\]|temporarily deferred"),
        sample="421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume "
        "or user complaints",
        meaning=Words(
            "Yahoo sees more mail from this server than usual, or its users complain about it.",
            "Yahooが、普段より多い送信量、または利用者からの苦情を検知しました。",
        ),
        rest_seconds=14_400,
        link="https://senders.yahooinc.com/smtp-error-codes/",
    ),
    ReplyRule(
        name="yahoo-listed",
        kind="blocked",
        providers=_YAHOO,
        codes=("5",),
        pattern=reading(r"\[BL[0-9]+\]"),
        sample="553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in "
        "Spamhaus's list",
        meaning=Words(
            "This server's address is on a list of Spamhaus, which Yahoo asks.",
            "このサーバーのアドレスが、Yahooの参照するSpamhausのリストに載っています。",
        ),
        rest_seconds=7200,
        link="https://check.spamhaus.org/",
    ),
    ReplyRule(
        name="yahoo-unauthenticated",
        kind="unauthenticated",
        providers=_YAHOO,
        codes=("5",),
        pattern=reading(r"5\.7\.9 |unauthenticated"),
        sample="550 5.7.9 This mail has been blocked because the sender is unauthenticated.",
        meaning=Words(
            "Yahoo wants the sender's domain proved by SPF or DKIM, and it was not.",
            "送信元ドメインがSPFまたはDKIMで証明されていないため、Yahooが受け取りませんでした。",
        ),
        link="https://senders.yahooinc.com/best-practices/",
    ),
    ReplyRule(
        name="yahoo-per-connection",
        kind="connections",
        providers=_YAHOO,
        codes=("4",),
        pattern=reading(r"Max message per connection"),
        sample="421 Max message per connection reached, closing transmission channel",
        meaning=Words(
            "Yahoo takes only so many messages over one connection.",
            "Yahooは1回の接続で受け取る通数を制限しています。",
        ),
        link="https://senders.yahooinc.com/smtp-error-codes/",
    ),
)
APPLE: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="apple-volume",
        kind="throttle",
        providers=_APPLE,
        codes=("4",),
        pattern=reading(r"excessive volume|\[HCM1\]|\[BS02\]|Service unavailable - try again later"),
        sample="421 4.7.1 Messages to taro@icloud.com deferred due to excessive volume. Try again later",
        meaning=Words("Apple gets too much at a time.", "Appleへの送信が短時間に集中しています。"),
        link="https://support.apple.com/102322",
    ),
    ReplyRule(
        name="apple-unauthenticated",
        kind="unauthenticated",
        providers=_APPLE,
        codes=("5",),
        pattern=reading(r"\[HME1\]|DMARC policy"),
        sample="554 5.7.1 [HME1] This message was blocked for failing both SPF and DKIM authentication "
        "checks.",
        meaning=Words(
            "Apple wants SPF or DKIM to pass for the sender's domain.",
            "Appleは、送信元ドメインのSPFまたはDKIMの合格を求めています。",
        ),
        link="https://support.apple.com/102322",
    ),
    ReplyRule(
        name="apple-policy",
        kind="content",
        providers=_APPLE,
        codes=("5",),
        pattern=reading(r"\[(CS0[0-9]|HM0[0-9])\]|local policy"),
        sample="550 5.7.1 [CS01] Message rejected due to local policy. Please visit "
        "https://support.apple.com/en-us/HT204137",
        meaning=Words(
            "Apple's filter refused the message; it does not say for which part.",
            "Appleのフィルターが拒否しました。理由の詳細は示されていません。",
        ),
        link="https://support.apple.com/102322",
    ),
)
EUROPE: tuple[ReplyRule, ...] = (
    ReplyRule(
        name="gmx-connections",
        kind="connections",
        providers=_GMX,
        codes=("4",),
        pattern=reading(r"Too many connections"),
        sample="421 gmx.net (mxgmx104) Nemesis ESMTP Service not available Too many connections",
        meaning=Words(
            "GMX and web.de take few connections at a time.", "GMX・web.deの同時接続数の制限を超えました。"
        ),
        link="https://postmaster.gmx.net/en/error-messages",
    ),
    ReplyRule(
        name="gmx-rate",
        kind="throttle",
        providers=_GMX,
        codes=("4",),
        pattern=reading(r"Rate limit|policy (restrictions|violations)|Reject due to"),
        sample="421 gmx.net (mxgmx104) Nemesis ESMTP Service not available Reject due to policy "
        "restrictions. For explanation visit",
        meaning=Words(
            "GMX and web.de slow this server down: too much at a time, or too many addresses that do not "
            "exist.",
            "GMX・web.deが受信を制限しています。送信量が多いか、存在しない宛先が多すぎます。",
        ),
        rest_seconds=3600,
        link="https://postmaster.gmx.net/en/error-messages",
    ),
    ReplyRule(
        name="gmx-listed",
        kind="blocked",
        providers=_GMX,
        codes=("5",),
        pattern=reading(r"block ?listed|No SMTP service|policy restrictions"),
        sample="554 gmx.net (mxgmx104) Nemesis ESMTP Service not available No SMTP service IP address is "
        "block listed.",
        meaning=Words(
            "GMX and web.de have this server's address on a list.",
            "GMX・web.deが、このサーバーのアドレスをブロックしています。",
        ),
        rest_seconds=7200,
        link="https://postmaster.gmx.net/en/contact",
    ),
    ReplyRule(
        name="t-online-unknown",
        kind="blocked",
        providers=_TELEKOM,
        pattern=reading(r"\((BL|NOWL|DIAL)\)|bad reputation|(tosa|toda|tobr|postmaster)@rx\.t-online\.de"),
        sample="554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact "
        "tosa@rx.t-online.de for reset. (NOWL)",
        meaning=Words(
            "T-Online takes mail only from servers that it knows; new ones must write to it first.",
            "T-Onlineは登録済みのサーバーからのメールだけを受け取ります。"
            "新しいサーバーは先に申請が必要です。",
        ),
        remedy=Words(
            "Give this server a reverse name below your domain with a web page that names its operator, "
            "then write to "
            "tosa@rx.t-online.de with the address; it is usually let in within a day or two.",
            "自分のドメインの逆引き名と、運営者を記したウェブページを用意し、tosa@rx.t-online.de "
            "へアドレスを知らせてください。"
            "通常は1〜2日で解除されます。",
        ),
        rest_seconds=3600,
        link="https://postmaster.t-online.de/index.en.html",
    ),
    ReplyRule(
        name="orange-connections",
        kind="connections",
        providers=_ORANGE,
        codes=("4",),
        pattern=reading(r"OFR004_104|Trop de connexions|Too many connections"),
        sample="421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many "
        "connections OFR004_104",
        meaning=Words("Orange takes two connections at a time.", "Orangeの同時接続数の制限を超えました。"),
        rest_seconds=600,
        link="https://postmaster.orange.fr/",
    ),
    ReplyRule(
        name="orange-listed",
        kind="blocked",
        providers=_ORANGE,
        pattern=reading(r"blocked for spamming|cloudmark\.com|spamhaus"),
        sample="550 5.7.1 Client host blocked for spamming issues. OFR006_102 Ref "
        "http://csi.cloudmark.com/reset-request/",
        meaning=Words(
            "Orange refuses this server for spam that came from its address.",
            "迷惑メールの発信元として、Orangeがこのサーバーを拒否しています。",
        ),
        rest_seconds=7200,
        link="https://csi.cloudmark.com/en/reset/",
    ),
    ReplyRule(
        name="orange-rate",
        kind="throttle",
        providers=_ORANGE,
        codes=("4",),
        pattern=reading(r"Service refuse|\bOFR_?[0-9]+"),
        sample="421 mwinf5c04 ME Service refuse. Veuillez essayer plus tard. Service refused, please try "
        "later. OFR_999",
        meaning=Words(
            "Orange puts mail from this server off for some hours.", "Orangeが数時間、受信を延期しています。"
        ),
        rest_seconds=14_400,
        link="https://postmaster.orange.fr/",
    ),
    ReplyRule(
        name="proton-policy",
        kind="throttle",
        providers=_PROTON,
        codes=("4",),
        pattern=reading(r"4\.7\.[0-9]+ |rate|too many|try again later"),
        sample="451 4.7.1 Too many messages, please try again later",
        meaning=Words(
            "Proton asks this server to come again later.", "Protonが、時間をおいた再送を求めています。"
        ),
        link="https://proton.me/support/",
        certain=False,
    ),
    ReplyRule(
        name="mimecast-greylisted",
        kind="greylisted",
        providers=_MIMECAST,
        codes=("451",),
        pattern=reading(r"Internal resources? (is |are )?temporarily unavailable"),
        sample="451 Internal resource temporarily unavailable - "
        "https://community.mimecast.com/docs/DOC-1369#451",
        meaning=Words(
            "Mimecast greylists: it lets strangers try twice.",
            "Mimecastのグレーリスティングです。初めての相手には再送を求めます。",
        ),
        link="https://mimecastsupport.zendesk.com/hc/en-us/articles/34000709564691",
    ),
    ReplyRule(
        name="mimecast-busy",
        kind="throttle",
        providers=_MIMECAST,
        codes=("4",),
        pattern=reading(r"Unable to process connection"),
        sample="421 Unable to process connection at this time",
        meaning=Words("Mimecast is under load.", "Mimecastの負荷が高くなっています。"),
        link="https://mimecastsupport.zendesk.com/hc/en-us/articles/34000709564691",
    ),
    ReplyRule(
        name="mimecast-policy",
        kind="refused",
        providers=_MIMECAST,
        pattern=reading(
            r"Sender address blocked|Local policy|Rejected by header|Envelope blocked|Administrative "
            r"prohibition"
        ),
        sample="550 Administrative prohibition - envelope blocked - "
        "https://community.mimecast.com/docs/DOC-1369#550",
        meaning=Words(
            "A rule that the recipient's organisation set in Mimecast refuses the mail; only they can "
            "change it.",
            "受信者の組織がMimecastに設定した規則により拒否されました。変更できるのは相手だけです。",
        ),
        link="https://mimecastsupport.zendesk.com/hc/en-us/articles/34000709564691",
    ),
)
