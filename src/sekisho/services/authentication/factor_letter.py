"""Where the account's own password is not enough any more, a mail program gets the answer of a wrong one. The
owner is told why."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.date import format_date
from sekisho.core.message.dsn_text import Language
from sekisho.core.terms.address import Address
from sekisho.ports.authentication import Channel
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Counters
from sekisho.ports.journal import Entry, Journal
from sekisho.services.authentication.tallies import network_of
from sekisho.services.letters import Letter

_DAY_SECONDS = 86_400
_TEXTS: dict[Language, tuple[str, str]] = {
    "en": (
        "Your mail program needs an app password",
        (
            "This is the mail server {host}.\n\n"
            "On {when} somebody logged in to {address} by {service} from the network {network} with the "
            "right account password, and "
            "was refused: your account has a second factor, so its own password alone no longer opens the "
            "mail.\n\n"
            "If it was your telephone or your mail program: it needs a password of its own, an app "
            "password. Ask your administrator "
            "({postmaster}) for one for each device; it is shown once and then typed in as the password "
            "there. "
            "The administrator makes it with\n\n"
            "  sekisho account credential add {address} phone\n\n"
            "If it was not you: somebody knows your account password. Nobody got in, but have the password "
            "changed.\n\n"
            "This letter comes once a day at most."
        ),
    ),
    "ja": (
        "メールソフトにはアプリパスワードが必要です",
        (
            "メールサーバー {host} からのお知らせです。\n\n"
            "{when} に、ネットワーク {network} から {service} で {address} "
            "へ、正しいアカウントのパスワードによるログインが"
            "ありましたが、断りました。二要素認証を有効にしているため、アカウントのパスワードだけではメール"
            "を開けません。\n\n"
            "ご自身の携帯電話やメールソフトであれば、専用のパスワード(アプリパスワード)が必要です。端末ごと"
            "に一つずつ、管理者"
            "({postmaster})に作ってもらってください。一度だけ表示されるので、その端末のパスワード欄に入力し"
            "ます。"
            "管理者は次のコマンドで作れます。\n\n"
            "  sekisho account credential add {address} phone\n\n"
            "心当たりがなければ、アカウントのパスワードが他人に知られています。ログインはされていませんが、"
            "パスワードを変更して"
            "もらってください。\n\n"
            "このお知らせは、多くても一日に一通です。"
        ),
    ),
}
_SERVICES = {"submission": "SMTP", "imap": "IMAP", "pop3": "POP3", "sieve": "ManageSieve"}


class LetterSender(Protocol):
    async def send(self, letter: Letter) -> bool: ...


@dataclass(frozen=True, slots=True)
class FactorRules:
    hostname: str
    language: Language
    postmaster: str


@dataclass(frozen=True, slots=True)
class FactorPorts:
    counters: Counters
    clock: Clock
    journal: Journal


class FactorLetters:
    """Tells off the way of the answer, whose time must not show anything. `under_way` outlives this one and
    its settings."""

    def __init__(
        self,
        rules: FactorRules,
        letters: LetterSender,
        ports: FactorPorts,
        under_way: "set[asyncio.Task[None]]",
    ) -> None:
        self._rules, self._letters, self._under_way = rules, letters, under_way
        self._counters, self._clock, self._journal = ports.counters, ports.clock, ports.journal

    def tell(self, account_id: int, address: Address, channel: Channel) -> None:
        """At once, and soon done."""
        task = asyncio.create_task(self._tell(account_id, address, channel))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _tell(self, account_id: int, address: Address, channel: Channel) -> None:
        now_us = self._clock.now_us()
        key = f"factor-letter:{account_id}"
        try:
            if await self._counters.total(key, _DAY_SECONDS):
                return
            await self._counters.add(key, 1, _DAY_SECONDS)
            # Two workers may come here at once: the same letter is delivered once.
            letter_id = f"factor-{account_id}-{now_us // (_DAY_SECONDS * 1_000_000)}"
            subject, text = _TEXTS[self._rules.language]
            values = {
                "host": self._rules.hostname,
                "postmaster": self._rules.postmaster,
                "address": str(address),
                "service": _SERVICES[channel.service],
                "network": network_of(channel.client),
                "when": format_date(now_us),
            }
            if not await self._letters.send(
                Letter(
                    id=letter_id,
                    to=address,
                    author_domain=address.domain,
                    subject=subject,
                    text=text.format(**values) + "\n",
                )
            ):
                self._journal.record(
                    Entry(
                        "notice.lost", letter_id, {"recipients": str(address), "reason": "no mailbox took it"}
                    )
                )
        except StoreUnavailable:
            return  # the next login of the device tells
        except Exception as error:  # nobody waits for this task
            self._journal.fault("factor.letter", error)
