"""Does a message look like a one-time code or a confirmation, which somebody waits for right now? Then it is
never delayed.

Generous, since all that it spares is a wait: whoever imitates such a message is judged like everybody else.
English and Japanese.
"""

import re
import unicodedata
from itertools import islice

MAX_CHARACTERS = 8_000  # of the text are looked at
_NEAR = 200  # characters between the words and the code
_MOST_WORDS = 100  # that a code is looked for beside

_CODE_WORDS = re.compile(
    r"(?:verification|security|confirmation|authentication|activation|access|log-?in|sign-?in|one-?time|sin"
    r"gle-use|2fa|mfa|otp)"
    r"[ -]{0,3}(?:pass)?(?:code|pin|number|password|passcode)s?\b"
    r"|\b(?:one-?time|temporary)[ "
    r"-](?:pass(?:word|code|phrase)|pin|key|token)\b|\bpasscodes?\b|\botp\b|\byour (?:code|pin)\b"
    r"|\bcode (?:is|below)\b"
    r"|(?:認証|確認|検証|照合|本人確認|セキュリティー?|ログイン|サインイン|アクセス|ワンタイム|パス|二段階"
    r"認証|2段階認証|メール認証)"
    r"(?:用の?|の)?(?:コード|番号|キー|パスワード|pin)|ワンタイム(?:パスワード|パスコード)|暗証番号",
    re.IGNORECASE,
)
# 4–8 digits, 123-456, G-123456, or 6–8 capitals and digits; not a part of a price, a date, a telephone number
# or a longer word.
_CODE = re.compile(
    r"(?<![a-zA-Z0-9_.,/¥$€#+-])(?:[0-9]{4,8}|[0-9]{3}[ "
    r"-][0-9]{3}|[A-Z]{1,3}-?[0-9]{4,8}|(?=[A-Z]*[0-9])[A-Z0-9]{6,8})"
    r"(?![a-zA-Z0-9_/:-]|[.,][0-9]|[ ]?(?:円|年))"
)
_CONFIRMATIONS = re.compile(
    r"\b(?:confirm|verify|validate|activate)(?:ing)? (?:(?:your|the|this) )?(?:new )?"
    r"(?:e-?mail|account|address|registration|subscription|identity|sign-?up|log-?in|device)"
    r"|\b(?:complete|finish) (?:your )?(?:registration|sign-?up|account)\b"
    r"|\breset (?:your )?password|\bpassword "
    r"reset\b|\b(?:magic|sign-?in|log-?in|confirmation|activation|verification) link\b"
    r"|メールアドレス(?:の(?:ご)?|を(?:ご)?)(?:確認|認証|登録)|アドレスの?認証|仮登録|本登録|仮会員"
    r"|(?:会員|ユーザー?|アカウント|利用者)?登録(?:の(?:手続|確認|完了)|を(?:完了|続け|確認))|アカウント(?:"
    r"の有効化|を有効|の確認)"
    r"|パスワード(?:の|を)?(?:再設定|再発行|リセット|変更|初期化)|ログイン用?の?(?:リンク|url)",
    re.IGNORECASE,
)


def one_time_words(subject: str, text: str, *, has_link: bool) -> str:
    """The words that give it away, "" if none do. `text`: what a reader sees of the message; `has_link`: it
    leads somewhere."""
    whole = unicodedata.normalize("NFKC", f"{subject[:500]}\n{text[:MAX_CHARACTERS]}")[
        : 500 + MAX_CHARACTERS
    ]  # NFKC makes some longer
    for found in islice(_CODE_WORDS.finditer(whole), _MOST_WORDS):
        near = whole[max(0, found.start() - _NEAR) : found.start()], whole[found.end() : found.end() + _NEAR]
        if any(map(_CODE.search, near)):
            return found[0]
    if has_link and (confirmation := _CONFIRMATIONS.search(whole)):
        return confirmation[0]
    return ""
