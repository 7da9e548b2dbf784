"""What people and others write: sentences from which a message of a style is put together, the same for the
same seed."""

import random
from collections.abc import Mapping, Sequence
from typing import Literal

Writing = Literal["en", "ja"]

# style -> language -> (subjects, sentences). `{…}` are filled below.
_TEXTS: Mapping[str, Mapping[Writing, tuple[Sequence[str], Sequence[str]]]] = {
    "letter": {
        "en": (
            (
                "Sunday's practice",
                "Minutes of the meeting",
                "Photos from the trip",
                "About next week",
                "The hall on {day}",
            ),
            (
                "Thank you for your help on {day}.",
                "The hall is free from {hour} o'clock, so we can start a little earlier than last time.",
                "I have attached nothing yet; the list will follow when {name} has checked it.",
                "Could you tell me by {day} whether you can come?",
                "The key is with the caretaker, please bring your own cup.",
                "We were {number} people last month and I expect about as many again.",
                "Please give my regards to {name}.",
            ),
        ),
        "ja": (
            ("{day}の練習について", "議事録をお送りします", "先日の写真", "来週の件", "会議室の予約"),
            (
                "いつもお世話になっております。",
                "{day}の会議は{hour}時からに変更になりましたので、よろしくお願いいたします。",
                "先日はお忙しいところ手伝っていただき、ありがとうございました。",
                "名簿は{name}さんの確認が済みましたらお送りします。",
                "参加できるかどうか、{day}までにお知らせください。",
                "先月は{number}名の参加でした。今回も同じくらいになりそうです。",
                "取り急ぎご連絡まで。",
            ),
        ),
    },
    "invoice": {
        "en": (
            ("Invoice {number}", "Your order {number}", "Delivery note {number}"),
            (
                "Thank you for your order of {day}.",
                "The amount of {number} yen is due within 30 days; our bank details have not changed.",
                "The parcel leaves our house on {day} and arrives the day after.",
                "If anything is missing please write to us or call between 9 and {hour} o'clock.",
            ),
        ),
        "ja": (
            ("ご請求書 {number}", "ご注文ありがとうございます({number})", "発送のお知らせ {number}"),
            (
                "このたびはご注文いただき、誠にありがとうございます。",
                "ご請求額は{number}円です。お支払い期限は翌月末日です。",
                "商品は{day}に発送いたします。",
                "ご不明な点がございましたら、お気軽にお問い合わせください。",
            ),
        ),
    },
    "newsletter": {
        "en": (
            ("News of the month", "What happens in {day}'s class", "Our programme, number {number}"),
            (
                "Dear members, here is what happens this month.",
                "The exhibition opens on {day} at {hour} o'clock; members enter free.",
                "{number} of you answered our question, thank you.",
                (
                    "The next issue appears in four weeks. You can leave this list at any time by the link "
                    "below."
                ),
            ),
        ),
        "ja": (
            ("今月のお知らせ", "会報 第{number}号", "{day}の催しのご案内"),
            (
                "会員のみなさま、今月の予定をお知らせします。",
                "展覧会は{day}{hour}時に開場します。会員は無料です。",
                "アンケートには{number}名の方からお答えをいただきました。",
                "配信の停止は下のリンクからいつでもできます。",
            ),
        ),
    },
    "code": {
        "en": (
            ("Your verification code", "{code} is your sign-in code"),
            ("Your verification code is {code}.", "It is valid for 10 minutes. Do not give it to anybody."),
        ),
        "ja": (
            ("認証コードのお知らせ", "【確認コード】{code}"),
            ("認証コード: {code}", "有効期限は10分です。このコードを他人に教えないでください。"),
        ),
    },
    "pills": {
        "en": (
            ("Cheap meds no prescription", "V1agra 80% off today only", "Lose {number} pounds in a week"),
            (
                (
                    "Order generic viagra and cialis online, no prescription needed, shipped discreetly "
                    "worldwide!"
                ),
                "Limited offer: {number}% discount if you click now http://pills-{code}.example/buy",
                "Doctors hate this weight loss trick. 100% guaranteed or money back!",
                "Best price pharmacy, order today, FREE bonus pills.",
            ),
        ),
        "ja": (
            ("【激安】EDサプリ 本日限り", "医師も驚く!{number}キロ減"),
            (
                "処方箋不要!バイアグラ・シアリスを激安通販でお届けします。",
                "今すぐクリックで{number}%オフ http://kusuri-{code}.example/buy",
                "飲むだけで痩せる、全額返金保証。",
            ),
        ),
    },
    "lottery": {
        "en": (
            ("You are the lucky winner", "CLAIM YOUR PRIZE of ${number}000", "Congratulations!!!"),
            (
                "Your e-mail address has won ${number}000,000 in the international lottery.",
                (
                    "To claim your prize send your full name, bank account and a small transfer fee by "
                    "Western Union."
                ),
                "This is urgent and confidential, reply now http://claim-{code}.example/",
            ),
        ),
        "ja": (
            ("ご当選おめでとうございます!", "【重要】{number}万円の受取手続き"),
            (
                "あなたのメールアドレスが{number}万円に当選しました!",
                "受け取りには口座番号と手数料の振込が必要です。今すぐ http://atari-{code}.example/ へ。",
                "副業で月収{number}万円、誰でも簡単に稼げます。",
            ),
        ),
    },
    "phish": {
        "en": (
            (
                "Your account has been suspended",
                "Unusual sign-in: verify now",
                "Mailbox full, action required",
            ),
            (
                "We noticed unusual activity. Your mailbox will be closed within 24 hours.",
                "Verify your password immediately: http://secure-login-{code}.example/verify",
                "Failure to confirm your account details leads to permanent suspension.",
            ),
        ),
        "ja": (
            ("【重要】アカウントの利用停止のお知らせ", "お客様のカードが不正利用されました"),
            (
                "お客様のアカウントに異常なログインが確認されました。24時間以内にご確認ください。",
                "パスワードの確認はこちら: http://kakunin-{code}.example/login",
                "ご確認いただけない場合、アカウントは永久に停止されます。",
            ),
        ),
    },
    "loan": {
        "en": (
            ("Loan approved", "Business proposal", "Invest in crypto and earn {number}% daily"),
            (
                "You are approved for a loan of ${number}00,000 at 1% interest, no credit check.",
                (
                    "Guaranteed bitcoin profit of {number}% per day, withdraw at any time "
                    "http://coin-{code}.example/"
                ),
                "Act now, this offer ends tonight!!!",
            ),
        ),
        "ja": (
            ("即日融資のご案内", "【必ず儲かる】仮想通貨投資"),
            (
                "ブラックOK!審査なしで{number}万円まで即日融資。",
                "元本保証、毎日{number}%の利益 http://coin-{code}.example/ 今すぐ登録。",
            ),
        ),
    },
    "empty": {"en": (("",), ("",)), "ja": (("",), ("",))},
}
_DAYS: Mapping[Writing, Sequence[str]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "ja": ("月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日", "日曜日"),
}
_NAMES: Mapping[Writing, Sequence[str]] = {
    "en": ("Mika", "Ms Sato", "Peter", "Dr Ito", "Ken"),
    "ja": ("佐藤", "鈴木", "高橋", "田中", "伊藤"),
}
STYLES = (*_TEXTS, "thread")


def write_text(style: str, writing: str, seed: str) -> tuple[str, str, Writing]:
    """(subject, body, language). A "thread" is a letter; its subject is the caller's business."""
    dice = random.Random(f"text:{seed}")
    language: Writing = "ja" if writing == "ja" or (writing == "both" and dice.random() < 0.5) else "en"
    subjects, sentences = _TEXTS["letter" if style == "thread" else style][language]
    values = {
        "day": dice.choice(_DAYS[language]),
        "name": dice.choice(_NAMES[language]),
        "hour": str(dice.randrange(13, 20)),
        "number": str(dice.randrange(11, 98)),
        "code": str(dice.randrange(100_000, 999_999)),
    }
    few = style in ("code", "empty")
    chosen = list(sentences) if few else dice.sample(sentences, min(len(sentences), dice.randrange(3, 6)))
    return (
        dice.choice(subjects).format(**values),
        "\n".join(sentence.format(**values) for sentence in chosen) + "\n",
        language,
    )
