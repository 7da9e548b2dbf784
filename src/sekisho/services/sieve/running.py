"""Runs an account's script over one message: prepares what it may ask for, within budgets over messages too
(THREATS 33)."""

from collections import OrderedDict
from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.core.sieve.actions import Keep, Result
from sekisho.core.sieve.compiler import compile_script
from sekisho.core.sieve.faults import ScriptFault, SieveError
from sekisho.core.sieve.language import LANGUAGE
from sekisho.core.sieve.limits import SieveLimits
from sekisho.core.sieve.machine import run_script
from sekisho.core.sieve.script import Script
from sekisho.core.sieve.situation import MailView, Situation
from sekisho.ports.clock import Clock
from sekisho.ports.content import ContentWriter
from sekisho.ports.mailstore import MailboxInfo, MailStore
from sekisho.ports.scripts import ActiveScripts, Remembered, ScriptsToRun

_COMPILED = 1000  # scripts that a worker keeps
_READ_BODY = frozenset(("body", "foreverypart", "mime", "extracttext"))
_ASK_MAILBOXES = frozenset(("mailbox", "special-use"))
_ROUNDS = 4  # of questions about duplicates; a script that asks on after them gets no
WORK_WINDOW_US = 60_000_000
WORK_PER_WINDOW = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MailToSort:
    """One copy as it will lie in the mailbox: `prefix` on top of the content, whose `header` is indexed.
    Paths are texts, "" for null."""

    account_id: int
    address: str
    recipient: str
    reverse_path: str
    prefix: bytes
    header: HeaderSection
    content: ContentWriter
    separators: str = "+"
    client: str = ""


@dataclass(frozen=True, slots=True)
class RunPorts:
    scripts: ScriptsToRun
    remembered: Remembered
    mail: MailStore
    clock: Clock


class ScriptRunner:
    """One per worker and configuration. Keeps compiled scripts."""

    def __init__(self, ports: RunPorts, hostname: str, limits: SieveLimits) -> None:
        self._ports, self._hostname, self._limits = ports, hostname, limits
        self._compiled: OrderedDict[int, tuple[ActiveScripts, Script | ScriptFault]] = OrderedDict()
        self._work: dict[int, tuple[int, int]] = {}  # account -> (window, work in it)

    async def active(self, account_id: int) -> ActiveScripts | None:
        """None where the account has no active script. Raises StoreUnavailable."""
        return await self._ports.scripts.active(account_id)

    async def run(self, active: ActiveScripts, mail: MailToSort) -> Result:
        """Raises StoreUnavailable."""
        script = self._script(mail.account_id, active)
        if isinstance(script, ScriptFault):
            return _kept(script)
        if self._is_spent(mail.account_id):
            return _kept(
                ScriptFault(
                    1,
                    "The scripts of the account exceeded the work allowed per minute, so "
                    "this one was not run.",
                )
            )
        result = await self._run(script, mail)
        self._spend(mail.account_id, result.work)
        return result

    def _script(self, account_id: int, active: ActiveScripts) -> Script | ScriptFault:
        known = self._compiled.get(account_id)
        if known is not None and known[0] == active:
            self._compiled.move_to_end(account_id)
            return known[1]
        compiled = compiled_script(active, self._limits)
        self._compiled[account_id] = (active, compiled)
        if len(self._compiled) > _COMPILED:
            self._compiled.popitem(last=False)
        return compiled

    def _is_spent(self, account_id: int) -> bool:
        window, work = self._work.get(account_id, (0, 0))
        return window == self._ports.clock.now_us() // WORK_WINDOW_US and work >= WORK_PER_WINDOW

    def _spend(self, account_id: int, work: int) -> None:
        now = self._ports.clock.now_us() // WORK_WINDOW_US
        window, before = self._work.get(account_id, (0, 0))
        if len(self._work) > _COMPILED:
            self._work.clear()
        self._work[account_id] = (now, work + (before if window == now else 0))

    async def _run(self, script: Script, mail: MailToSort) -> Result:
        mailboxes: list[MailboxInfo] = []
        if script.needs & _ASK_MAILBOXES:
            mailboxes = await self._ports.mail.mailboxes(mail.account_id)
        view = await self._view(script, mail)
        known: dict[bytes, bool] = {}
        for _ in range(_ROUNDS):
            asked: list[bytes] = []
            result = run_script(script, self._situation(mail, view, mailboxes, known, asked), self._limits)
            if not asked:
                return result
            # What a script asks is found out when it asked, and the script begins again: running it changes
            # nothing.
            found = await self._ports.remembered.known(asked, self._ports.clock.now_us())
            known |= {key: key in found for key in asked}
        return result

    async def _view(self, script: Script, mail: MailToSort) -> MailView:
        size = len(mail.prefix) + mail.content.size_octets
        if script.needs & _READ_BODY:
            octets = mail.prefix + await mail.content.read(0, self._limits.body_octets)
        else:
            octets = mail.prefix + mail.header.octets
        return MailView(HeaderSection(octets, max_fields=2000), size, lambda start, end: octets[start:end])

    def _situation(
        self,
        mail: MailToSort,
        view: MailView,
        mailboxes: list[MailboxInfo],
        known: dict[bytes, bool],
        asked: list[bytes],
    ) -> Situation:
        names = {each.name for each in mailboxes}
        uses = {(each.name, str(each.special_use).lower()) for each in mailboxes if each.special_use}

        def is_duplicate(key: bytes) -> bool:
            if key not in known:
                asked.append(key)
            return known.get(key, False)

        return Situation(
            message=view,
            reverse_path=mail.reverse_path,
            recipient=mail.recipient,
            original_recipient=mail.recipient,
            owner=(mail.address,),
            separators=mail.separators,
            now_us=self._ports.clock.now_us(),
            environment=self._environment(mail),
            mailbox_exists=lambda name: _canonical(name) in names,
            special_use_exists=lambda name, use: any(
                (name is None or _canonical(name) == mailbox) and use.lower() == its for mailbox, its in uses
            ),
            is_duplicate=is_duplicate,
        )

    def _environment(self, mail: MailToSort) -> dict[str, str]:
        """RFC 5183 §4.1."""
        return {
            "domain": self._hostname.partition(".")[2] or self._hostname,
            "host": self._hostname,
            "location": "MTA",
            "name": "sekisho",
            "phase": "during",
        } | ({"remote-ip": mail.client} if mail.client else {})


def _canonical(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name


def _kept(fault: ScriptFault) -> Result:
    return Result(actions=[Keep(is_implicit=True)], error=fault)


def compiled_script(active: ActiveScripts, limits: SieveLimits) -> Script | ScriptFault:
    """The active script, or what is wrong with it."""

    def find(location: str, name: str) -> bytes | None:
        return active.scripts.get(name) if location == "personal" else None

    try:
        return compile_script(active.scripts[active.active], LANGUAGE, limits, find)
    except SieveError as error:
        return error.faults[0]
