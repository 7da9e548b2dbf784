"""The letter about logins from new places, in its reader's language."""

from collections.abc import Sequence

from sekisho.core.message.dsn_text import Language
from sekisho.core.policy.takeover.wording import if_not_you, one_line

_TEXTS: dict[Language, tuple[str, str, str]] = {
    "en": (
        "New login as {address}",
        (
            "This is the mail server {host}.\n\nSomebody logged in as {address} from where, or "
            "with what, you "
            "never did before:"
        ),
        (
            "If it was you, on a journey or with a new device, there is nothing to do; this place is known "
            "from now on."
        ),
    ),
    "ja": (
        "{address} への新しいログイン",
        (
            "メールサーバー {host} からのお知らせです。\n\n"
            "これまでに使われたことのない場所、または認証情報で、{address} としてログインがありました:"
        ),
        (
            "旅行先や新しい端末からのご本人のログインであれば、何もする必要はありません。次からはお知らせしま"
            "せん。"
        ),
    ),
}
_PLACE: dict[Language, str] = {
    "en": "{time}: {client}, by {service}, {mechanism}, {tls}, with {credential}",
    "ja": "{time}: {client}({service}、{mechanism}、{tls}、{credential})",
}
_WITH: dict[Language, tuple[str, str]] = {
    "en": ("the password of the account", "“{label}”"),
    "ja": ("アカウントのパスワード", "「{label}」"),
}


def credential_in(language: Language, label: str) -> str:
    """`label` "": the account's own password."""
    password, other = _WITH[language]
    return other.format(label=label) if label else password


def login_notice(
    language: Language, places: Sequence[dict[str, str]], values: dict[str, str]
) -> tuple[str, str]:
    """(subject, text). `places` with time, client, service, mechanism, tls, credential; `values` with
    address, host, postmaster."""
    subject, beginning, if_you = (text.format(**values) for text in _TEXTS[language])
    lines = "\n".join("  - " + one_line(_PLACE[language].format(**place)) for place in places)
    return subject, "\n\n".join([f"{beginning}\n\n{lines}", if_you, if_not_you(language, values)]) + "\n"
